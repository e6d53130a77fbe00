"""The rules of the gate: what is expected of each split, how severe a failure is, and which keys set the bound."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import great_expectations.expectations as gxe
import numpy as np
import pandas as pd

from eibert.corpus import TaskSpec
from eibert.params.validate import Severity, ValidateParams
from tasks.gate.expectations import ExpectClassRatioToBeAtMost, ExpectClassRowsToBeAtLeast, ExpectMarkedShareToBeAtMost
from tasks.gate.rows import LABELLED, TRAIN, MarkedRows, text_columns

_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Rule:
    """One expectation of one split.

    Attributes:
        name: Stable name, unique within a split.
        split: The split it applies to.
        meaning: What is expected, as a sentence.
        bound: The bound, for people.
        expectation: The expectation that Great Expectations runs.
        severity: Whether a failure stops the pipeline or only warns.
        keys: Keys of `validate` in params.yaml that change bound or severity.
    """

    name: str
    split: str
    meaning: str
    bound: str
    expectation: Any
    severity: Severity = Severity.FAIL
    keys: tuple[str, ...] = ()


def schema_rules(split: str, frame: pd.DataFrame, spec: TaskSpec) -> Iterator[Rule]:
    """Yields the rules that must hold before the rows of a split can be checked."""
    texts = ["text", "text_b"] if spec.pair and split in LABELLED else ["text"]
    types = dict.fromkeys(texts, "str")
    if split in LABELLED:
        types["label"] = "float64" if spec.regression else "str"
    columns = gxe.ExpectTableColumnsToMatchSet(column_set=list(types), exact_match=True)
    yield Rule("columns", split, "The columns match the task.", ", ".join(types), columns)
    for column in (column for column in types if column in frame):
        expectation = gxe.ExpectColumnValuesToBeOfType(column=column, type_=types[column])
        yield Rule(f"type_{column}", split, f"Column {column} has the right type.", types[column], expectation)


def row_rules(
    rows: MarkedRows, spec: TaskSpec, params: ValidateParams, *, target_range: tuple[float, float] | None
) -> Iterator[Rule]:
    """Yields the rules for the rows of a split whose schema is correct.

    Args:
        rows: The split with its marks.
        spec: The task.
        params: Bounds and severities.
        target_range: Smallest and largest training target of a regression, if known.
    """
    rules = [*_text_rules(rows, params), *_mark_rules(rows, params), *_twin_rules(rows, spec, params)]
    if rows.split in LABELLED:
        yield from rules
        yield from _label_rules(rows.split, spec, params, target_range)
    else:  # unlabelled text can be dropped without harm to the task
        yield from (replace(rule, severity=Severity.WARN) for rule in rules)


def _text_rules(rows: MarkedRows, params: ValidateParams) -> Iterator[Rule]:
    if rows.split in LABELLED and rows.split != TRAIN:
        some = gxe.ExpectTableRowCountToBeBetween(min_value=1)
        yield Rule("rows", rows.split, "There are enough rows.", "at least 1", some)
    for column in text_columns(rows.frame):
        present = gxe.ExpectColumnValuesToNotBeNull(column=column)
        yield Rule(f"nulls_{column}", rows.split, f"Column {column} has no missing values.", "0 %", present)
        short = gxe.ExpectColumnValueLengthsToBeBetween(column=column, max_value=params.max_chars)
        meaning, bound = f"Column {column} has no overlong texts.", f"0 % over {params.max_chars} characters"
        yield Rule(f"lengths_{column}", rows.split, meaning, bound, short, params.lengths, ("max_chars", "lengths"))


def _mark_rules(rows: MarkedRows, params: ValidateParams) -> Iterator[Rule]:
    blank = ExpectMarkedShareToBeAtMost(column="blank", max_share=0.0)
    yield Rule("blank", rows.split, "Every text contains a visible character.", percent(0), blank)
    share, keys = params.max_wordless_share, ("max_wordless_share", "wordless")
    meaning = "Texts contain a letter or a digit."
    yield _share_rule("wordless", "wordless", rows, meaning, share, params.wordless, keys)
    share, keys = params.max_unclean_share, ("max_unclean_share", "unclean")
    meaning = "Texts show no signs of broken encoding."
    yield _share_rule("unclean", "unclean", rows, meaning, share, params.unclean, keys)


def _twin_rules(rows: MarkedRows, spec: TaskSpec, params: ValidateParams) -> Iterator[Rule]:
    for mark, twins in rows.twins.items():
        if mark == "repeated":
            share, keys = params.max_duplicate_share, ("max_duplicate_share", "duplicates")
            yield _share_rule("duplicates", mark, rows, "Rows are not duplicated.", share, params.duplicates, keys)
        elif mark != "contradictory":
            share, keys = params.max_leak_share, ("max_leak_share", "leakage")
            meaning = f"Inputs do not also occur in {twins.split}."
            yield _share_rule(f"leakage_{twins.split}", mark, rows, meaning, share, params.leakage, keys)
        elif not spec.regression:  # in a regression, two targets for one input are two measurements
            share, keys = params.max_contradictory_share, ("max_contradictory_share", "contradictions")
            meaning = "Equal inputs have the same label."
            yield _share_rule("contradictions", mark, rows, meaning, share, params.contradictions, keys)


def _share_rule(
    name: str, mark: str, rows: MarkedRows, meaning: str, share: float, severity: Severity, keys: tuple[str, ...]
) -> Rule:
    expectation = ExpectMarkedShareToBeAtMost(column=mark, max_share=share)
    bound = f"at most {percent(share)}" if share else percent(0)
    return Rule(name, rows.split, meaning, bound, expectation, severity, keys)


def _label_rules(
    split: str, spec: TaskSpec, params: ValidateParams, target_range: tuple[float, float] | None
) -> Iterator[Rule]:
    nulls = gxe.ExpectColumnValuesToNotBeNull(column="label")
    yield Rule("nulls_label", split, "Every row has a label.", "0 %", nulls)
    if spec.regression:
        yield from _number_rules(split, params, target_range)
    else:
        classes = list(spec.labels)
        known = gxe.ExpectColumnValuesToBeInSet(column="label", value_set=classes)
        bound = f"0 % outside the {len(classes)} classes"
        yield Rule("labels", split, "Every label is one of the classes.", bound, known)


def learning_rules(spec: TaskSpec, params: ValidateParams) -> Iterator[Rule]:
    """Yields the rules for how many training rows there are to learn from: those in neither dev nor test."""
    least = params.min_rows
    enough = gxe.ExpectTableRowCountToBeBetween(min_value=least)
    yield Rule("rows", TRAIN, "There are enough rows to learn from.", f"at least {least}", enough, keys=("min_rows",))
    distinct = gxe.ExpectColumnUniqueValueCountToBeBetween(column="label", min_value=2)
    yield Rule("distinct_labels", TRAIN, "The labels are not all the same.", "at least 2", distinct)
    if spec.regression:
        return
    classes = list(spec.labels)
    each = ExpectClassRowsToBeAtLeast(column="label", classes=classes, min_rows=params.min_class_rows)
    meaning, bound = "Every class has enough rows to learn from.", f"at least {params.min_class_rows}"
    yield Rule("class_rows", TRAIN, meaning, bound, each, keys=("min_class_rows",))
    even = ExpectClassRatioToBeAtMost(column="label", classes=classes, max_ratio=params.max_class_ratio)
    bound, keys = f"at most {params.max_class_ratio:g} to 1", ("max_class_ratio", "balance")
    yield Rule("balance", TRAIN, "The classes are not too imbalanced.", bound, even, params.balance, keys)


def _number_rules(split: str, params: ValidateParams, target_range: tuple[float, float] | None) -> Iterator[Rule]:
    finite = gxe.ExpectColumnValuesToBeBetween(column="label", min_value=-_FLOAT32_MAX, max_value=_FLOAT32_MAX)
    yield Rule("finite", split, "Every target is finite as a 32-bit float.", "0 %", finite)
    if target_range and split != TRAIN:
        low, high = target_range
        within = gxe.ExpectColumnValuesToBeBetween(column="label", min_value=low, max_value=high)
        meaning, bound = "Targets lie in the range of the training targets.", f"0 % outside {low:g} … {high:g}"
        yield Rule("target_range", split, meaning, bound, within, params.target_range, ("target_range",))


def percent(share: float) -> str:
    """Returns a share as a percentage with three significant digits."""
    return f"{100 * share:.3g} %"

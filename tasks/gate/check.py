"""Evaluates the rules with Great Expectations in an in-memory context without analytics."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig

from eibert.corpus import TaskSpec
from eibert.params.validate import Severity, ValidateParams
from eibert.validate import unclean_at
from tasks.gate.findings import Example, Finding, clipped, quoted
from tasks.gate.rows import TRAIN, MarkedRows, listed, mark, text_columns
from tasks.gate.rules import Rule, learning_rules, percent, row_rules, schema_rules

_EXAMPLES = 3
# The faster of the two formats that include examples: listing all unexpected rows can take seconds.
_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": _EXAMPLES}
_SEVERITIES = {Severity.FAIL: "critical", Severity.WARN: "warning"}


def check(
    frames: Mapping[str, pd.DataFrame], learnt: pd.DataFrame, spec: TaskSpec, params: ValidateParams
) -> list[Finding]:
    """Returns the finding of each rule, split by split; the rows of a split with a wrong schema are not examined.

    Args:
        frames: The splits by name, `train` first, with the columns as ingested.
        learnt: The rows of train that are learnt from, with the same columns: those in neither dev nor test.
        spec: The task.
        params: Bounds and severities.
    """
    batches = _batches()
    findings = []
    sound = {}
    for split, frame in frames.items():
        schema = _judge(batches, MarkedRows(split, frame, {}), schema_rules(split, frame, spec))
        findings += schema
        if all(finding.passed for finding in schema):
            sound[split] = frame
    target_range = _target_range(learnt) if spec.regression and TRAIN in sound else None
    if TRAIN in sound:
        findings += _judge(batches, MarkedRows(TRAIN, learnt, {}), learning_rules(spec, params))
    for split in sound:
        rows = mark(split, sound)
        findings += _judge(batches, rows, row_rules(rows, spec, params, target_range=target_range))
    return findings


def _batches() -> Any:
    """Returns the batch definition; shared by all splits, because creating one costs as much as running its rules."""
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return (
        context.data_sources.add_pandas("ingest")
        .add_dataframe_asset("split")
        .add_batch_definition_whole_dataframe("rows")
    )


def _judge(batches: Any, rows: MarkedRows, rules: Iterable[Rule]) -> list[Finding]:
    batch = batches.get_batch({"dataframe": rows.frame})
    by_name = {rule.name: rule for rule in rules}
    suite = gx.ExpectationSuite(rows.split)
    for rule in by_name.values():
        rule.expectation.meta = {"name": rule.name}
        rule.expectation.severity = _SEVERITIES[rule.severity]
        suite.add_expectation(rule.expectation)
    results = batch.validate(suite, result_format=_RESULT_FORMAT).results
    found = {result.expectation_config.meta["name"]: result.to_json_dict() for result in results}
    return [_finding(rule, found[name], rows) for name, rule in by_name.items()]


def _finding(rule: Rule, outcome: dict[str, Any], rows: MarkedRows) -> Finding:
    result, config = outcome["result"], outcome["expectation_config"]
    kwargs = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    return Finding(
        name=rule.name,
        split=rule.split,
        meaning=rule.meaning,
        severity=rule.severity,
        passed=outcome["success"],
        observed=_observed(result, outcome["exception_info"]),
        bound=rule.bound,
        unexpected_rows=result.get("unexpected_count", 0),
        example=_example(rows, kwargs.get("column"), result.get("partial_unexpected_list")),
        keys=rule.keys,
        gx={"type": config["type"], "severity": config["severity"], "kwargs": _plain(kwargs), "result": _plain(result)},
    )


def _observed(result: Mapping[str, Any], exception: Mapping[str, Any]) -> str:
    # Great Expectations reports one exception, or one per metric keyed by the metric's identifier.
    raised = [exception] if "raised_exception" in exception else list(exception.values())
    if messages := sorted({each["exception_message"] for each in raised if each["raised_exception"]}):
        return f"could not be checked ({'; '.join(messages)})"
    if "element_count" in result:
        return percent(result["unexpected_count"] / max(result["element_count"], 1))
    observed = result["observed_value"]
    if isinstance(observed, list):
        return ", ".join(observed)
    return f"{observed:.6g}" if isinstance(observed, int | float) else str(observed)


def _example(rows: MarkedRows, column: str | None, unexpected: list[Any] | None) -> Example | None:
    """Returns the first row whose value in the column is the first unexpected one."""
    if not unexpected or column is None:
        return None
    values, sought = rows.frame[column], unexpected[0]
    found = np.flatnonzero(values.isna() if _missing(sought) else values == sought)
    if not len(found):
        return Example(rows.split, None, f"no row has {column} {quoted(str(sought))}")
    row = int(found[0])
    twins = rows.twins.get(column)
    twin = f"{twins.split} row {twins.rows[row] + 1}" if twins else None
    shown = [_shown(listed(rows.frame.iloc[[row]], name)[0]) for name in text_columns(rows.frame)]
    if "label" in rows.frame:
        shown.append(f"label {_shown(listed(rows.frame.iloc[[row]], 'label')[0])}")
    return Example(rows.split, row + 1, ", ".join(shown), twin)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value, around=unclean_at(value) or 0)
    return "missing" if value is None else f"{value:g}"


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _target_range(train: pd.DataFrame) -> tuple[float, float] | None:
    targets = train["label"].to_numpy(np.float64)
    finite = targets[np.isfinite(targets)]
    return (float(finite.min()), float(finite.max())) if len(finite) else None


def _plain(value: Any) -> Any:
    """Returns a result with long texts clipped and non-finite numbers as text, which JSON lacks."""
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case str():
            return clipped(value)
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value

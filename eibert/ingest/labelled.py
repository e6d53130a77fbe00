"""Checked rows of a labelled source: texts, labels, ids, and labels that do not occur in train."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eibert.corpus import SplitName
from eibert.errors import DataError
from eibert.ingest.reading import PLAIN_TEXT, Table, check_separator, read, stem_of, suffix_of
from eibert.ingest.rows import File, Raw, Refused, Row, UnusableError, class_of, number_of, text_of
from eibert.ingest.sources import SPLITS, Source, split_of
from eibert.params.ingest import ColumnParams, IngestParams, Inputs, Target

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_MOST_DECIMALS = 20
"""Up to this many distinct decimal numbers may be class names, such as half-star ratings; more are measurements."""
_RESOLUTION = 1e-3
"""Maximum rounding error of a numeric label, in standard deviations of the training labels."""


@dataclass(frozen=True)
class Labelled:
    """Rows of a labelled source.

    Attributes:
        pair: Whether rows have two texts.
        regression: Whether labels are numbers.
        splits: Valid rows by split, in file order; splits that the source lacks are missing.
        read: Rows read by split, refused ones included.
        refused: Refused rows by split.
        files: The files read.
        notes: What to tell about how they were read.
    """

    pair: bool
    regression: bool
    splits: dict[SplitName, list[Row]]
    read: dict[SplitName, int]
    refused: dict[SplitName, list[Refused]] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_labelled(source: Source, params: IngestParams) -> Labelled:
    """Returns the checked rows of a labelled source.

    Raises:
        DataError: a file cannot be read or lacks a column, a split has no valid row, or train does not define a task.
    """
    regression = _regression(source, params)
    files = _files(source)
    if params.columns.split is None:
        _check_missing(source, files)
    tables = {file: read(file) for group in files.values() for file in group}
    columns = tables[files["train"][0]].columns
    pair = params.inputs is Inputs.PAIR or (params.inputs is Inputs.AUTO and params.columns.text_b in columns)
    intake = _Intake(params.columns, pair, number_of if regression else class_of)
    for split, group in files.items():
        for file in group:
            intake.take(tables[file], file, split)
    intake.check_task(source.place)
    if regression:
        _check_resolved(intake.sound)
    else:
        if params.target is Target.AUTO:
            _check_are_classes(intake.sound["train"], source.place)
        intake.refuse_unseen_labels()
    read_rows = {split: len(intake.sound[split]) + len(intake.refused[split]) for split in SPLITS}
    for split in SPLITS:
        if read_rows[split] and not intake.sound[split]:
            remedy = "fix them, or remove the file to have the split carved out of train"
            raise DataError(f"{intake.refused[split][0]}\nall {read_rows[split]} rows of {split} are refused; {remedy}")
    present = [split for split in SPLITS if read_rows[split]]
    return Labelled(
        pair,
        regression,
        {split: intake.sound[split] for split in present},
        {split: read_rows[split] for split in present},
        {split: sorted(intake.refused[split], key=lambda row: (row.file.name, row.line)) for split in present},
        [file for group in files.values() for file in group],
        [table.note for table in tables.values() if table.note],
    )


def _files(source: Source) -> dict[SplitName, list[File]]:
    files = source.labelled
    if "train" not in files:
        found = ", ".join(str(file) for group in (*files.values(), source.other) for file in group)
        raise DataError(f"{source.place}: no train file, found {found}; name one train.csv, .tsv, .jsonl or .parquet")
    for file in (file for group in files.values() for file in group):
        if suffix_of(file.path) == PLAIN_TEXT:
            raise DataError(f"{file}: plain text has no labels; use CSV, TSV, JSONL or Parquet")
    return files


def _check_missing(source: Source, files: dict[SplitName, list[File]]) -> None:
    """Refuses to carve a split out of train if an unread file might be that split."""
    for split in (split for split in SPLITS if split not in files):
        other = [file for file in source.other if file not in files["train"]]
        meant = other + [file for file in source.unknown if split_of(stem_of(file.path)) == split]
        if meant:
            places = " and ".join(map(str, meant))
            raise DataError(
                f"{source.place}: no {split} file, but {places} would not be read, expected {split}.csv, .tsv, "
                f".jsonl or .parquet; rename or convert the {split} file, or move unrelated files elsewhere"
            )


def _regression(source: Source, params: IngestParams) -> bool:
    task = (source.about.get("task") or "").lower()
    if "unlabelled" in task:
        remedy = "name it under ingest.unlabelled and another source under ingest.source"
        raise DataError(f"{source.place}/dataset.json: the task is {task!r}, expected a labelled one; {remedy}")
    by_description = task == "regression" or source.about.get("labels") == []
    return params.target is Target.NUMBER or (params.target is Target.AUTO and by_description)


def _check_are_classes(train: list[Row], place: str) -> None:
    """Refuses to treat measurements as class names."""
    names = {str(row.label) for row in train}
    if len(names) > _MOST_DECIMALS and any("." in name for name in names) and all(map(_NUMBER.fullmatch, names)):
        raise DataError(
            f"{place}: the labels are {len(names)} distinct numbers, expected class names; set ingest.target to "
            "number for regression, or to class if each number is a class"
        )


def _check_resolved(splits: dict[SplitName, list[Row]]) -> None:
    """Refuses numbers of which float32, in which models compute, keeps too little."""
    with np.errstate(over="ignore"):
        spread = float(np.std([float(row.label) for row in splits["train"]]))
        for row in (row for split in SPLITS for row in splits[split]):
            rounded = float(np.float32(row.label))
            if math.isinf(rounded) or abs(float(row.label) - rounded) > _RESOLUTION * spread:
                raise DataError(
                    f"{row.file}:{row.line}: the label {row.label!r} is {rounded!r} in float32, too coarse for "
                    f"a standard deviation of {spread:.3g}; subtract a constant from all labels, or change their unit"
                )


class _Intake:
    """Sorts the rows of one source into valid and refused ones."""

    def __init__(self, names: ColumnParams, pair: bool, label_of: Callable[[dict[str, Any], str], str | float]) -> None:
        self.sound: dict[SplitName, list[Row]] = {split: [] for split in SPLITS}
        self.refused: dict[SplitName, list[Refused]] = {split: [] for split in SPLITS}
        self._names = names
        self._pair = pair
        self._label_of = label_of
        self._ids: dict[tuple[SplitName, str], tuple[File, int]] = {}

    def take(self, table: Table, file: File, split: SplitName) -> None:
        """Adds all rows of a file."""
        self._check_columns(table, file)
        self.refused[split] += table.refused
        for raw in table.rows:
            named = split
            try:
                if self._names.split is not None:
                    named = self._split(raw.values, self._names.split)
                self.sound[named].append(self._row(raw, file, named))
            except UnusableError as error:
                self.refused[named].append(Refused(file, raw.line, str(error), raw.values))

    def check_task(self, place: str) -> None:
        """Checks that train has rows, and more than one label."""
        train = self.sound["train"]
        if not train:
            first = f" (first: {self.refused['train'][0]})" if self.refused["train"] else ""
            raise DataError(f"{place}: no usable training rows{first}; fix the rows or the names under ingest.columns")
        if len({row.label for row in train}) == 1:
            row = train[0]
            raise DataError(
                f"{row.file}:{row.line}: all {len(train)} training rows have the label {row.label!r}, expected two or "
                "more; add rows with other labels, or correct ingest.columns.label"
            )

    def refuse_unseen_labels(self) -> None:
        """Moves dev and test rows whose label does not occur in train to the refused ones."""
        seen = {row.label for row in self.sound["train"]}
        for split, rows in self.sound.items():
            self.refused[split] += [_unseen(row) for row in rows if row.label not in seen]
            self.sound[split] = [row for row in rows if row.label in seen]

    def _check_columns(self, table: Table, file: File) -> None:
        names = self._names
        wanted = {"text": names.text, "label": names.label, "id": names.id, "split": names.split}
        if self._pair:
            wanted["text_b"] = names.text_b
        check_separator(table, file, [column for column in wanted.values() if column is not None])
        for key, column in wanted.items():
            # If no line could be read, the refused lines say more than a missing column.
            if column is not None and column not in table.columns and table.rows:
                found = ", ".join(repr(column) for column in table.columns)
                raise DataError(
                    f"{file}:1: no column {column!r}, found {found}; set ingest.columns.{key} to one of them"
                )

    def _row(self, raw: Raw, file: File, split: SplitName) -> Row:
        names = self._names
        if names.id is not None:
            self._check_id(raw, file, split, names.id)
        text = text_of(raw.values, names.text)
        text_b = text_of(raw.values, names.text_b) if self._pair else None
        return Row(text, text_b, self._label_of(raw.values, names.label), file, raw.line)

    def _split(self, values: dict[str, Any], column: str) -> SplitName:
        name = text_of(values, column)
        split = split_of(name)
        if split is None:
            raise UnusableError(f"`{column}` is {name!r}, expected train, dev or test; correct it")
        return split

    def _check_id(self, raw: Raw, file: File, split: SplitName, column: str) -> None:
        key = raw.values.get(column)
        if key is None or key == "":
            raise UnusableError(f"`{column}` is missing; fill it in, or set ingest.columns.id to null")
        earlier, line = self._ids.setdefault((split, str(key)), (file, raw.line))
        if (earlier, line) != (file, raw.line):
            where = "" if earlier == file else f" of {earlier.path.name}"
            raise UnusableError(
                f"`{column}` {str(key)!r} already occurs in line {line}{where}; give each row its own id"
            )


def _unseen(row: Row) -> Refused:
    reason = f"label {row.label!r} never occurs in train; add such rows to train or correct the label"
    texts = {"text": row.text} if row.text_b is None else {"text": row.text, "text_b": row.text_b}
    return Refused(row.file, row.line, reason, {**texts, "label": row.label})


def texts_of(rows: Iterable[Row]) -> list[str]:
    """Returns all texts of rows, both first and second, in order."""
    return [text for row in rows for text in (row.text, row.text_b) if text is not None]

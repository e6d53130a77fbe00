"""A bundle's predictions for the rows of a file in any format that `ingest` reads, and their score if it has labels.

All rows are read and checked before the first is predicted: a file with an unusable row yields nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eibert.errors import DataError
from eibert.evaluate.conclusion import METRICS
from eibert.ingest.reading import Table, check_separator, read
from eibert.ingest.rows import File, Label, UnusableError, class_of, number_of, text_of
from eibert.params.ingest import ColumnParams
from eibert.params.load import load as load_params
from eibert.runtime.bundle import Bundle
from eibert.scores import score
from flows.predict import described, load
from flows.workspace import PARAMS

_STANDARD = ColumnParams(text="text", text_b="text_b", label="label", id=None, split=None)
_SHOWN = 5
_LABELS_SHOWN = 10


@dataclass(frozen=True)
class Predicted:
    """The predictions for a file.

    Attributes:
        rows: One mapping per row, in order: `text`, for pairs `text_b`, and what `predict.predictions` returns.
        metric: The bundle's metric; None: the file has no labels.
        score: Its value on all rows; None likewise.
        note: What to tell about how the file was read; "" if nothing.
    """

    rows: list[dict[str, Any]]
    metric: str | None = None
    score: float | None = None
    note: str = ""

    def told(self, path: Path) -> list[str]:
        """Returns lines for the user: the note, and the score if the file has labels."""
        scored = f"{path}: {METRICS[self.metric]} {self.score:.4f} on {len(self.rows):,} rows" if self.metric else ""
        return [line for line in (self.note, scored) if line]


@dataclass(frozen=True)
class _Rows:
    """The checked rows of a file: cells by name, and their labels; None: there are none."""

    texts: list[dict[str, str]]
    labels: list[Label] | None


def predict_file(bundle: Path, path: Path, workspace: Path, top_k: int) -> Predicted:
    """Returns the predictions for the rows of a file.

    Args:
        bundle: Folder of a bundle.
        path: The file.
        workspace: If it has a params.yaml, names other than `text`, `text_b` and `label` are read from there.
        top_k: Number of classes in `scores`, best first.

    Raises:
        BundleError: the bundle cannot be loaded.
        ParamsError: params.yaml has problems.
        DataError: the file cannot be read, lacks a text column, or has unusable rows; the message names them.
    """
    model = load(bundle)
    named = load_params(workspace / PARAMS).ingest.columns if (workspace / PARAMS).is_file() else _STANDARD
    file = File(path, str(path), str(path))
    table = read(file)
    rows = _checked(table, file, named, model.bundle)
    inputs: list[str | tuple[str, str]] = [
        (row["text"], row["text_b"]) if model.bundle.pair else row["text"] for row in rows.texts
    ]
    found = model.predict(inputs, top_k=top_k)
    answers = [row | described(one) for row, one in zip(rows.texts, found, strict=True)]
    if rows.labels is None:
        return Predicted(answers, note=table.note)
    said: list[Label] = [one.score if one.label is None else one.label for one in found]
    return Predicted(answers, model.bundle.metric, _score(model.bundle, said, rows.labels), table.note)


def _checked(table: Table, file: File, named: ColumnParams, bundle: Bundle) -> _Rows:
    """Returns the rows of a table; all of them are usable."""
    label = _column(table, named.label, _STANDARD.label)
    if label is not None and all(raw.values.get(label) in (None, "") for raw in table.rows):
        label = None  # a column to be filled in
    texts = {"text": _column(table, named.text, _STANDARD.text)}
    if bundle.pair:
        texts["text_b"] = _column(table, named.text_b, _STANDARD.text_b)
    if table.rows:  # else the unreadable rows say more than a missing column
        _check_columns(table, file, named, texts)
    bad = {one.line: one.reason for one in table.refused}
    kept, labels = [], []
    for raw in table.rows:
        try:
            kept.append({key: text_of(raw.values, column) for key, column in texts.items() if column is not None})
            if label is not None:
                labels.append(_label(raw.values, label, bundle))
        except UnusableError as error:
            bad[raw.line] = str(error)
    if bad:
        raise DataError(_told(bad, str(file), len(table.rows) + len(table.refused)))
    return _Rows(kept, None if label is None else labels)


def _column(table: Table, named: str, standard: str) -> str | None:
    return next((column for column in (named, standard) if column in table.columns), None)


def _check_columns(table: Table, file: File, named: ColumnParams, texts: Mapping[str, str | None]) -> None:
    if None in texts.values():
        check_separator(table, file, [getattr(named, key) for key in texts])
    for key, column in texts.items():
        if column is None:
            wanted = " or ".join(dict.fromkeys((repr(getattr(named, key)), repr(key))))
            found = ", ".join(map(repr, table.columns))
            remedy = f"rename one, or set ingest.columns.{key} to one of them in the workspace that -C names"
            raise DataError(f"{file}:1: no column {wanted}, found {found}; {remedy}")


def _label(values: dict[str, Any], column: str, bundle: Bundle) -> Label:
    if not bundle.labels:
        return number_of(values, column)
    label = class_of(values, column)
    if label not in bundle.labels:
        more = ", …" if len(bundle.labels) > _LABELS_SHOWN else ""
        expected = f"{', '.join(bundle.labels[:_LABELS_SHOWN])}{more}"
        remedy = "correct it, or remove the column to predict without a score"
        raise UnusableError(f"`{column}` is {label!r}, none of the model's classes ({expected}); {remedy}")
    return label


def _told(bad: Mapping[int, str], name: str, total: int) -> str:
    lines = [f"  {name}:{line}: {bad[line]}" for line in sorted(bad)]
    more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    shown = "\n".join([*lines[:_SHOWN], *more])
    return f"{name}: {len(bad):,} of {total:,} rows cannot be used, so none was predicted\n{shown}"


def _score(bundle: Bundle, said: Sequence[Label], labels: Sequence[Label]) -> float:
    if not bundle.labels:
        return score(bundle.metric, np.array(said, np.float32)[:, None], np.array(labels, np.float32))
    index = {str(label): at for at, label in enumerate(bundle.labels)}
    logits = np.eye(len(index), dtype=np.float32)[[index[str(one)] for one in said]]
    return score(bundle.metric, logits, np.array([index[str(one)] for one in labels]))

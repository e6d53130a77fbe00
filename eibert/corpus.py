"""Texts and labels: the form in which every stage after `ingest` sees data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eibert.artifact import read_json, write_json
from eibert.matching import HeldOut

SplitName = Literal["train", "dev", "test"]


Text = tuple[str, str | None]
"""A text and its partner in a pair task, or None if it stands alone."""

TEXT = pa.schema([pa.field("text", pa.string(), nullable=False)])
TASK = "task.json"
PRETRAINING, HELD_OUT = "pretraining.parquet", "held_out.parquet"
LEAKED = "leaked"
"""Name of the table of training rows that also occur in dev or test."""
_HELD_OUT = b"held_out"


@dataclass(frozen=True)
class TaskSpec:
    """The task definition; `labels` is empty for regression.

    Attributes:
        name: Name of the data set.
        pair: Whether each row has two texts.
        labels: Class names, sorted; logit c belongs to labels[c].
        metric: `accuracy`, `macro_f1`, `matthews` or `spearman`; the metric by which models are compared.
    """

    name: str
    pair: bool
    labels: tuple[str, ...]
    metric: str

    @property
    def regression(self) -> bool:
        """Whether the target is a number."""
        return not self.labels

    @property
    def outputs(self) -> int:
        """Number of logits C: one per class, or 1 for regression."""
        return len(self.labels) or 1


@dataclass(frozen=True)
class Split:
    """Rows of one split.

    Attributes:
        texts: First texts, N of them.
        texts_b: Second texts of pairs, N of them, or None.
        targets: Class indices int64 (N,), or numbers float32 (N,) for regression.
    """

    texts: list[str]
    texts_b: list[str] | None
    targets: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> list[str | tuple[str, str]]:
        """The rows in the form a bundle takes: N texts, or N pairs of texts."""
        return list(self.texts) if self.texts_b is None else list(zip(self.texts, self.texts_b, strict=True))

    @property
    def pairs(self) -> list[tuple[str, str | None]]:
        """The N rows as pairs; the second is None if there is no partner."""
        partners = [None] * len(self) if self.texts_b is None else self.texts_b
        return list(zip(self.texts, partners, strict=True))

    def take(self, rows: Sequence[int] | np.ndarray[Any, Any]) -> "Split":
        """Returns the given rows, in that order."""
        texts_b = None if self.texts_b is None else [self.texts_b[row] for row in rows]
        return Split([self.texts[row] for row in rows], texts_b, self.targets[rows])

    def spread(self, count: int) -> "Split":
        """Returns at most `count` rows, evenly spaced, since files are often sorted by class."""
        return self.take(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int))


def read_spec(ingest: Path) -> TaskSpec:
    """Returns the task in an ingest artifact's folder."""
    found = read_json(ingest / TASK)
    return TaskSpec(found["name"], found["pair"], tuple(found["labels"]), found["metric"])


def write_spec(ingest: Path, dataset: Mapping[str, Any]) -> None:
    """Writes what `read_spec` reads, without counts and sources, which no training depends on."""
    write_json(ingest / TASK, {name: dataset[name] for name in ("name", "pair", "labels", "metric")})


def read_split(ingest: Path, name: SplitName, spec: TaskSpec) -> Split:
    """Returns the rows of one split from an ingest artifact's folder, in order."""
    table = pq.read_table(ingest / f"{name}.parquet")
    labels = table.column("label").to_pylist()
    index = {label: position for position, label in enumerate(spec.labels)}
    targets = np.array(labels, np.float32) if spec.regression else np.array([index[x] for x in labels], np.int64)
    texts_b = table.column("text_b").to_pylist() if spec.pair else None
    return Split(table.column("text").to_pylist(), texts_b, targets)


def read_texts(path: Path) -> list[str]:
    """Returns the texts of a Parquet file with a column `text`."""
    texts: list[str] = pq.read_table(path, columns=["text"]).column("text").to_pylist()
    return texts


@dataclass(frozen=True)
class Pretraining:
    """What a student is pre-trained on.

    Attributes:
        texts: Texts; in a pair task, with a partner if they have one.
        pairs: Whether it is a pair task.
        held_out: Rows that no variant may equal; None: unknown, so no variants are made.
    """

    texts: list[Text]
    pairs: bool
    held_out: HeldOut | None


def read_pretraining(ingest: Path) -> Pretraining:
    """Returns the pre-training corpus from an ingest artifact's folder."""
    table = pq.read_table(ingest / PRETRAINING)
    columns = table.to_pydict()
    seconds = columns.get("text_b", [None] * len(columns["text"]))
    known = (table.schema.metadata or {}).get(_HELD_OUT)
    held_out = None if known is None else HeldOut(frozenset(known.decode().split()))
    return Pretraining(list(zip(columns["text"], seconds, strict=True)), "text_b" in columns, held_out)


def write_pretraining(ingest: Path, found: Pretraining) -> None:
    """Writes what `read_pretraining` reads; digests of held-out rows only if variants may be made."""
    columns: dict[str, list[Any]] = {"text": [text for text, _ in found.texts]}
    schema = TEXT
    if found.pairs:
        columns["text_b"] = [text_b for _, text_b in found.texts]
        schema = schema.append(pa.field("text_b", pa.string()))
    if found.held_out is not None:
        schema = schema.with_metadata({_HELD_OUT: "\n".join(sorted(found.held_out.digests)).encode()})
    write_parquet(ingest / PRETRAINING, columns, schema)


def read_held_out(ingest: Path) -> HeldOut:
    """Returns the digests of dev and test rows from an ingest artifact's folder."""
    return HeldOut(frozenset(read_texts(ingest / HELD_OUT)))


def write_held_out(ingest: Path, found: HeldOut) -> None:
    """Writes what `read_held_out` reads."""
    write_parquet(ingest / HELD_OUT, {"text": sorted(found.digests)}, TEXT)


def write_parquet(path: Path, columns: dict[str, list[Any]], schema: pa.Schema) -> None:
    """Writes columns as Parquet; equal values give equal bytes under the same pyarrow version."""
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd", write_statistics=False)

"""A split as Great Expectations sees it: the ingested columns plus one boolean column per fact about a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from eibert import validate

SPLITS = ("train", "dev", "test", "unlabelled")
LABELLED = SPLITS[:3]
TRAIN = SPLITS[0]


@dataclass(frozen=True)
class Twins:
    """For each row of a split, the matching row in the same or an earlier split; NO_ROW where there is none."""

    split: str
    rows: validate.RowNumbers


@dataclass(frozen=True)
class MarkedRows:
    """A split with its marks.

    Attributes:
        split: Name of the split.
        frame: The ingested columns plus one boolean column per mark.
        twins: For each mark that compares rows: the row that each row matches.
    """

    split: str
    frame: pd.DataFrame
    twins: Mapping[str, Twins]


def listed(frame: pd.DataFrame, column: str) -> list[Any]:
    """Returns the values of a column, with None for missing ones."""
    return [None if missing else value for value, missing in zip(frame[column], frame[column].isna(), strict=True)]


def text_columns(frame: pd.DataFrame) -> list[str]:
    """Returns the names of the text columns."""
    return [column for column in ("text", "text_b") if column in frame]


def mark(split: str, frames: Mapping[str, pd.DataFrame]) -> MarkedRows:
    """Returns one of the splits with its marks.

    Train is compared with itself, dev and test with the labelled splits before them, unlabelled texts with nothing.
    """
    frame = frames[split]
    texts = [listed(frame, column) for column in text_columns(frame)]
    marks: dict[str, Any] = {}
    for fact in (validate.blank, validate.wordless, validate.unclean):
        marks[fact.__name__] = pd.concat([pd.Series(fact(column)) for column in texts], axis=1).any(axis=1)
    twins = _twins(split, frames) if split in LABELLED else {}
    marks |= {name: twin.rows != validate.NO_ROW for name, twin in twins.items()}
    return MarkedRows(split, frame.assign(**marks), twins)


def _twins(split: str, frames: Mapping[str, pd.DataFrame]) -> dict[str, Twins]:
    keys = _keys(frames[split])
    if split == TRAIN:
        labels = listed(frames[split], "label")
        return {
            "repeated": Twins(split, validate.repeated(keys, labels)),
            "contradictory": Twins(split, validate.contradictory(keys, labels)),
        }
    earlier = [name for name in LABELLED[: LABELLED.index(split)] if name in frames]
    return {f"in_{name}": Twins(name, validate.leaked(keys, _keys(frames[name]))) for name in earlier}


def _keys(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return validate.inputs(*(listed(frame, column) for column in text_columns(frame)))

"""A source's rows before and after checking; rows that fail are kept, with their location and the reason."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eibert.errors import DataError

Label = str | float


@dataclass(frozen=True)
class File:
    """A file of a source; as text, its place.

    Attributes:
        path: The file.
        name: What records call it, the same in every clone: begins with the source as written in params.yaml.
        place: What messages call it, valid in any current folder: its absolute path; on a hub as `name`.
    """

    path: Path
    name: str
    place: str

    def __str__(self) -> str:
        return self.place


@dataclass(frozen=True)
class Raw:
    """A row as read.

    Attributes:
        line: 1-based line where it begins; for Parquet, the row number.
        values: Cells by column; for JSON lines only the keys present in the line.
    """

    line: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """A row that could not be used.

    Attributes:
        file: Where it stands.
        line: As in `Raw`.
        reason: What was wrong, and what to do; the same in every clone, as it is recorded.
        row: The row as far as it could be read: cells by column, cells in order, or the line.
    """

    file: File
    line: int
    reason: str
    row: Any

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class RefusedRowsError(DataError):
    """More rows were refused than allowed; `refused` lists all of them."""

    def __init__(self, message: str, refused: Sequence[Refused]) -> None:
        super().__init__(message)
        self.refused = list(refused)


@dataclass(frozen=True)
class Row:
    """A valid row and its origin.

    Attributes:
        text: The first text, unmodified.
        text_b: The second text of a pair, or None.
        label: A class name, or a finite number.
        file: As in `Refused`.
        line: As in `Raw`.
    """

    text: str
    text_b: str | None
    label: Label
    file: File
    line: int


class UnusableError(ValueError):
    """Why a cell cannot be used; a reason within a message, never a message."""


def text_of(values: dict[str, Any], column: str) -> str:
    """Returns the text in a column.

    Raises:
        UnusableError: it is missing, not text, empty, or has a NUL or a lone surrogate.
    """
    text = _present(values, column)
    if not isinstance(text, str):
        raise UnusableError(f"`{column}` is {type(text).__name__}, expected text; write it as text")
    if not text.strip():
        raise UnusableError(f"`{column}` is empty; fill it in or delete the row")
    return _clean(text, column)


def class_of(values: dict[str, Any], column: str) -> str:
    """Returns the class name in a column without white space around it; integers and booleans as in JSON.

    Raises:
        UnusableError: it is missing, empty, or neither text nor an integer.
    """
    label = _present(values, column)
    match label:
        case bool():
            return str(label).lower()
        case int():
            return str(label)
        case str() if label.strip():
            return _clean(label, column).strip()
        case str():
            raise UnusableError(f"`{column}` is empty; fill it in or delete the row")
    raise UnusableError(
        f"`{column}` is {label!r}, expected a class name; write classes as text or integers, "
        "or set ingest.target to number"
    )


def number_of(values: dict[str, Any], column: str) -> float:
    """Returns the finite number in a column.

    Raises:
        UnusableError: it is missing, not a number, or not finite.
    """
    label = _present(values, column)
    try:
        if isinstance(label, bool) or not isinstance(label, int | float | str) or "_" in str(label):
            raise ValueError
        number = float(label)
    except (ValueError, OverflowError) as error:
        remedy = "fix the row, or set ingest.target to class"
        raise UnusableError(f"`{column}` is {label!r}, expected a number; {remedy}") from error
    if not math.isfinite(number):
        raise UnusableError(f"`{column}` is {label!r}, expected a finite number; fix or delete the row")
    return number


def _present(values: dict[str, Any], column: str) -> Any:
    if column not in values:
        raise UnusableError(f"no `{column}`, found {', '.join(values) or 'nothing'}; add it or delete the row")
    if values[column] is None:
        raise UnusableError(f"`{column}` is missing; fill it in or delete the row")
    return values[column]


def _clean(text: str, column: str) -> str:
    if "\0" in text:
        raise UnusableError(f"`{column}` has a NUL byte at character {text.index(chr(0)) + 1}; remove it")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            at = error.start + 1
            raise UnusableError(
                f"`{column}` has half a surrogate pair at character {at}; write the file as UTF-8"
            ) from error
    return text

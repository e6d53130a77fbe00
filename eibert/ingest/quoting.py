"""Whether a TSV file quotes cells as CSV does.

TSV from csv writers and pandas puts a cell with a quotation mark, tab or line end in quotation marks; most TSV in the
wild knows no quoting, and a mark is part of the text. Cells are decoded only if the whole file is what such a writer
writes, so that no literal text is altered; if that cannot be told, it is read as it stands, and the user is told.
"""

import csv
import io
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

_LINE_END = r"(?:\r\n?|\n)"
_CELL = r'(?:"(?:[^"]++|"")*+"|[^"\t\r\n]*+)'
_FILE = re.compile(rf"{_CELL}(?:(?:\t|{_LINE_END}){_CELL})*+")
"""Every quotation mark quotes a cell, or is doubled in a quoted one."""

_QUOTED = re.compile(r'(?:\A|(?<=[\t\r\n]))"((?:[^"]++|"")*+)"(?=[\t\r\n]|\Z)')
_DOUBLED = re.compile(r'(?:\A|(?<=[\t\r\n]))"[^"\t\r\n]*+(?:""[^"\t\r\n]*+)++"(?=[\t\r\n]|\Z)')
_HEADER = re.compile(r'"[^"\t\r\n]*+"(?:\t"[^"\t\r\n]*+")*+(?=[\r\n])')
_NEEDS_QUOTES = re.compile(r'["\t\r\n]')
_SPANS = re.compile(r"[\t\r\n]")


@dataclass(frozen=True)
class Quoting:
    """How to read a TSV file.

    Attributes:
        decoded: Whether cells are quoted as in CSV.
        line: 1-based line of a quoted cell if the user should know how it is read; None: nothing to tell.
    """

    decoded: bool
    line: int | None = None

    def note(self, place: object) -> str:
        """Returns what to tell the user, "" for nothing; `place` names the file."""
        if self.line is None:
            return ""
        if self.decoded:
            how, remedy = "decoded, as csv writers and pandas write them", "if they are part of the text"
        else:
            how, remedy = "read as part of the text", "if they only quote the cell"
        return f"{place}:{self.line}: cell in quotation marks, {how}; {remedy}, save the file as .csv or .jsonl"


def examine(data: bytes) -> Quoting:
    """Returns how to read a TSV file.

    Decoded are files whose header cells are all quoted, and files in which every quotation mark quotes a cell that CSV
    has to quote, or is doubled in one. Where a quoted cell has a tab or a line end, rows must also be even in CSV, and
    uneven without quoting: else the marks may be the first of one text and the last of another.
    """
    if b'"' not in data:
        return Quoting(decoded=False)
    text = data.decode("utf-8-sig", "surrogateescape")
    if _HEADER.match(text):
        return Quoting(decoded=True)
    if not _FILE.fullmatch(text):
        doubled = _DOUBLED.search(text)
        return Quoting(decoded=False, line=_line(text, doubled.start()) if doubled else None)
    quoted = [(found.start(), found[1]) for found in _QUOTED.finditer(text)]
    cells = [cell for _, cell in quoted if cell]  # an empty one is quoted by some writers
    needed = bool(cells) and all(map(_NEEDS_QUOTES.search, cells))
    decoded = needed and (not any(map(_SPANS.search, cells)) or _is_even_in_csv_alone(text))
    return Quoting(decoded, _line(text, quoted[0][0]))


def _is_even_in_csv_alone(text: str) -> bool:
    csv.field_size_limit(sys.maxsize)
    records = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    bare = (line.split("\t") for line in re.split(_LINE_END, text) if line)
    return _is_even(records) and not _is_even(bare)


def _is_even(records: Iterable[list[str]]) -> bool:
    return len({len(cells) for cells in records if cells}) == 1


def _line(text: str, position: int) -> int:
    return len(re.findall(_LINE_END, text[:position])) + 1

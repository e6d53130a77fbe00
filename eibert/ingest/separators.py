"""Which separator a file really has if its header does not fall into columns; only to say so, never to read it."""

import csv
from collections.abc import Collection

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Separator of cells by format."""

_NAMES = {";": "semicolons", "\t": "tabs", "|": "vertical bars", ",": "commas"}


def meant(header: str, suffix: str, wanted: Collection[str] = ()) -> tuple[str, list[str]] | None:
    """Returns the separator that a header seems to have, and the columns it makes; None if there is none.

    Of several, the one that gives most of the wanted columns, then most columns.

    Args:
        header: The header, which is one cell by the separator of its format.
        suffix: The format, as in FORMATS.
        wanted: Column names.
    """
    found: list[tuple[int, int, str, list[str]]] = []
    for separator in _NAMES:
        if separator == SEPARATORS.get(suffix, separator):
            continue
        try:
            names = [name.strip() for name in next(csv.reader([header], delimiter=separator, strict=True), [])]
        except csv.Error:
            continue
        if len(names) > 1:
            found.append((len(set(names) & set(wanted)), len(names), separator, names))
    _, _, separator, names = max(found, default=(0, 0, "", []))
    return (separator, names) if separator else None


def advice(separator: str, suffix: str) -> str:
    """Returns what a file's separator seems to be, and what to do."""
    save = f"save the file with {_NAMES[SEPARATORS[suffix]]}"
    other = next((known for known, its in SEPARATORS.items() if its == separator), None)
    remedy = f"name the file {other}, or {save}" if other else save
    return f"its columns seem to be separated by {_NAMES[separator]}: {remedy}"

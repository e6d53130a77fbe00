"""Facts about rows of text: which are empty, unclean, repeated, contradictory or leaked, and how they are distributed.

Applies no bounds and makes no judgement; rows are numbered from 0. A missing text or label (None) counts as empty and
is never flagged for its characters: whether it may be missing is decided elsewhere.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from eibert.matching import text_key

Mask = np.ndarray[Any, np.dtype[np.bool_]]
RowNumbers = np.ndarray[Any, np.dtype[np.int64]]
Inputs = Sequence[tuple[str, ...]]

NO_ROW = -1
"""Marks a row without a twin."""

# Control characters other than tab and line ends, the replacement character, byte order marks and noncharacters:
# traces of a broken encoding or of binary data.
_NONCHARACTERS = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_UNCLEAN = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufeff\ufffd{_NONCHARACTERS}]")


def unclean(texts: Iterable[str | None]) -> Mask:
    """Returns which texts contain control, replacement or other characters that nobody types, bool (N,)."""
    return _mask(text is not None and unclean_at(text) is not None for text in texts)


def unclean_at(text: str) -> int | None:
    """Returns the position of the first unclean character of a text, or None."""
    found = _UNCLEAN.search(text)
    return found.start() if found else None


def blank(texts: Iterable[str | None]) -> Mask:
    """Returns which texts have no visible character, bool (N,)."""
    return _mask(text is not None and not any(c.isprintable() and not c.isspace() for c in text) for text in texts)


def wordless(texts: Iterable[str | None]) -> Mask:
    """Returns which texts have visible characters but neither a letter nor a digit, bool (N,)."""
    listed = list(texts)
    return _mask(text is not None and not any(map(str.isalnum, text)) for text in listed) & ~blank(listed)


def inputs(texts: Iterable[str | None], texts_b: Iterable[str | None] | None = None) -> list[tuple[str, ...]]:
    """Returns one key per row, equal for rows that differ in case, width or the spacing of punctuation alone.

    Args:
        texts: First texts, N of them.
        texts_b: Second texts of pairs, N of them, or None; their order matters.

    Raises:
        ValueError: texts and texts_b differ in length.
    """
    columns = [texts] if texts_b is None else [texts, texts_b]
    return list(zip(*([text_key(text or "") for text in column] for column in columns), strict=True))


def repeated(keys: Inputs, labels: Sequence[Hashable]) -> RowNumbers:
    """Returns for each row the first row with equal input and label, or NO_ROW if it is itself the first, (N,)."""
    first: dict[Hashable, int] = {}
    twins = [first.setdefault(pair, row) for row, pair in enumerate(zip(keys, labels, strict=True))]
    return _rows(NO_ROW if twin == row else twin for row, twin in enumerate(twins))


def contradictory(keys: Inputs, labels: Sequence[Hashable]) -> RowNumbers:
    """Returns for each row the first row with equal input and another label, or NO_ROW, (N,)."""
    first: dict[tuple[str, ...], int] = {}
    other: dict[tuple[str, ...], int] = {}  # first row whose label differs from that of the input's first row
    for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
        if labels[first.setdefault(key, row)] != label:
            other.setdefault(key, row)

    def twin(key: tuple[str, ...], label: Hashable) -> int:
        if key not in other:
            return NO_ROW
        return first[key] if labels[first[key]] != label else other[key]

    return _rows(twin(key, label) for key, label in zip(keys, labels, strict=True))


def leaked(keys: Inputs, earlier: Inputs) -> RowNumbers:
    """Returns for each row the first row of an earlier split with equal input, or NO_ROW, (N,)."""
    first: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(earlier):
        first.setdefault(key, row)
    return _rows(first.get(key, NO_ROW) for key in keys)


def class_counts(labels: Iterable[str | None], classes: Sequence[str]) -> dict[str, int]:
    """Returns the number of rows per class, possibly 0; labels outside the classes are not counted."""
    found = Counter(labels)
    return {label: found[label] for label in classes}


def lengths(texts: Iterable[str | None]) -> RowNumbers:
    """Returns the length in characters of each text that is not missing, (N,) or shorter."""
    return _rows(len(text) for text in texts if text is not None)


def histogram(values: np.ndarray[Any, Any], edges: Sequence[float]) -> list[int]:
    """Returns how many values fall into each bin [edges[i], edges[i + 1]); the last bin has no upper end.

    Values below the first edge and NaNs are left out.
    """
    bins = np.searchsorted(np.asarray(edges[1:-1]), values[values >= edges[0]], side="right")
    return [int(count) for count in np.bincount(bins, minlength=len(edges) - 1)]


def _mask(values: Iterable[bool]) -> Mask:
    return np.fromiter(values, np.bool_)


def _rows(values: Iterable[int]) -> RowNumbers:
    return np.fromiter(values, np.int64)

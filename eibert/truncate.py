"""Tokenized rows of at most max_tokens, the longer text of a pair cut first.

The tokenizer's own truncation keeps all overflow, for pairs in every combination: ten thousand pairs of 500 words would
take it tens of gigabytes. Here each text is tokenized by itself, and its tokens are sliced.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from eibert.runtime.tokenizer import kept

NO_WORD = -1
_CHUNK = 4096
"""Texts tokenized at a time, in full."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Row:
    """Tokens of a text or pair with special tokens: ids, segments and word numbers, int32 (T,) each.

    Words are numbered from 0 in each text, with `NO_WORD` for special and added tokens; `second`, bool (T,), says which
    tokens are those of a pair's second text.
    """

    ids: Array
    segments: Array
    words: Array
    second: Array


def truncated(
    tokenizer: Tokenizer, texts: Sequence[str], texts_b: Sequence[str] | None, *, max_tokens: int
) -> Iterator[Row]:
    """Yields the tokens of each text, or pair, as the tokenizer would truncate them.

    Args:
        tokenizer: Places the special tokens; left without truncation and padding.
        texts: Texts, or first texts of pairs.
        texts_b: Second texts of pairs, or None.
        max_tokens: Most tokens of a row, special tokens included.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
    frame = _frame(tokenizer, pair=texts_b is not None)
    room = max_tokens - int((frame.words == NO_WORD).sum())
    for start in range(0, len(texts), _CHUNK):
        parts = [
            tokenizer.encode_batch(list(side[start : start + _CHUNK]), add_special_tokens=False)
            for side in (texts, *([] if texts_b is None else [texts_b]))
        ]
        for row in zip(*parts, strict=True):
            yield _row(frame, row, room)


def _frame(tokenizer: Tokenizer, *, pair: bool) -> Row:
    """Returns the row of a text, or pair, of one token: where the tokenizer puts its special tokens."""
    found = tokenizer.encode("a", "a") if pair else tokenizer.encode("a")
    return Row(
        np.array(found.ids, np.int32),
        np.array(found.type_ids, np.int32),
        np.array([NO_WORD if side is None else 0 for side in found.sequence_ids], np.int32),
        np.array([side == 1 for side in found.sequence_ids]),
    )


def _row(frame: Row, texts: Sequence[Encoding], room: int) -> Row:
    """Returns a frame's row with other texts in the places of its own."""
    first, *others = (len(text) for text in texts)
    cuts = kept(first, others[0], room) if others else (min(first, room),)
    counts = np.ones(len(frame.ids), np.int64)
    places = np.flatnonzero(frame.words != NO_WORD)
    counts[places] = cuts
    ids, words = np.repeat(frame.ids, counts), np.repeat(frame.words, counts)
    for place, text, cut in zip(places, texts, cuts, strict=True):
        start = int(counts[:place].sum())
        ids[start : start + cut] = text.ids[:cut]
        words[start : start + cut] = [NO_WORD if word is None else word for word in text.word_ids[:cut]]
    return Row(ids, np.repeat(frame.segments, counts), words, np.repeat(frame.second, counts))

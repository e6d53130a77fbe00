"""Data augmentation for a teacher to label: words replaced by embedding neighbours, pieces dropped, texts spliced.

A variant carries no label of its own. Choice: rates in the spirit of TinyBERT's data augmentation, with the teacher's
own token embeddings in place of a masked language model, which a sentence encoder lacks (decision 0005).
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from eibert.characters import is_ideograph, joined, words
from eibert.corpus import Text
from eibert.matching import HeldOut
from eibert.teacher import Teacher

NEIGHBOURS = 12
EXCHANGED, DROPPED, SPLICED, FOREIGN = 0.25, 0.05, 0.3, 0.3
"""Shares of words replaced, words losing a piece, variants spliced of two texts, replacements by any corpus word."""
_WORD = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)
"""Leading punctuation, the word itself, and trailing punctuation."""

ATTEMPTS = 8
"""Attempts at a variant that is not held out before the original is used instead."""


Row = TypeVar("Row", bound=Hashable)


class Variants:
    """Makes variants of texts.

    Args:
        texts: The corpus that words and splices are drawn from.
        teacher: Its token embeddings define a word's neighbours, its tokenizer a word's pieces.
        generator: Source of randomness.
        held_out: Rows that no variant may equal.
    """

    def __init__(
        self, texts: Sequence[str], teacher: Teacher, generator: np.random.Generator, held_out: HeldOut
    ) -> None:
        self._generator = generator
        self._held_out = held_out
        self._texts = texts
        self._teacher = teacher

    @cached_property
    def _words(self) -> tuple[list[str], np.ndarray[Any, Any]]:
        """The words of the corpus, and the cumulative distribution they are drawn from."""
        counts = Counter(filter(None, (_parts(word)[1] for text in self._texts for word, _ in words(text))))
        known = sorted(counts)
        weights = np.array([counts[word] for word in known], np.float64) ** 0.75
        return known, np.cumsum(weights / weights.sum()) if known else weights

    @cached_property
    def _neighbours(self) -> dict[str, list[str]]:
        known = self._words[0]
        return _neighbours({*known, *(word.lower() for word in known)}, self._teacher.tokens, self._teacher.table)

    def of(self, text: str) -> str:
        """Returns one variant of a text, or the text itself; has at least one word if the text does."""
        return self._free((text, None), lambda: (self._vary(text), None))[0]

    def of_pair(self, text: str, text_b: str, others: Sequence[str]) -> tuple[str, str]:
        """Returns one variant of a pair: one side varied, or the second derived from the first or drawn from others."""
        first, second = self._free((text, text_b), lambda: self._vary_pair(text, text_b, others))
        return first, second or ""

    def partner(self, text: str, others: Sequence[str]) -> str:
        """Returns a second text for a lone one: a variant of it or another text, with equal probability."""
        return self._free((text, text), lambda: (text, self._partner(text, others)))[1] or ""

    def _free(self, row: Text, make: Callable[[], Text]) -> Text:
        """Returns the first row made that is not held out; after ATTEMPTS, the original row."""
        for _ in range(ATTEMPTS):
            made = make()
            if not self._held_out.has(*made):
                return made
        return row

    def _vary(self, text: str) -> str:
        draw = self._generator
        whole = words(text)
        if draw.random() < SPLICED and self._texts:
            other = words(self._texts[int(draw.integers(len(self._texts)))])
            head, tail = draw.integers(len(whole) + 1), draw.integers(len(other) + 1)
            whole = whole[:head] + other[tail:] or whole
        rolls = draw.random(len(whole))
        varied = [(self._varied(word, roll), follows) for (word, follows), roll in zip(whole, rolls, strict=True)]
        return joined([found for found in varied if found[0]] or whole)

    def _varied(self, word: str, roll: float) -> str:
        if roll < EXCHANGED:
            return self._exchange(word)
        return word if roll < 1.0 - DROPPED else self._shortened(word)

    def _vary_pair(self, text: str, text_b: str, others: Sequence[str]) -> tuple[str, str]:
        match self._generator.integers(4):
            case 0:
                return self._vary(text), text_b
            case 1:
                return text, self._vary(text_b)
            case 2:
                return text, self._vary(text)
            case _:
                return text, others[int(self._generator.integers(len(others)))]

    def _partner(self, text: str, others: Sequence[str]) -> str:
        if self._generator.random() < 0.5:
            return self._vary(text)
        return others[int(self._generator.integers(len(others)))]

    def _exchange(self, word: str) -> str:
        """Returns a replacement for a word, with the same punctuation; without neighbours, mostly the word itself."""
        before, core, after = _parts(word)
        near = self._neighbours.get(core) or self._neighbours.get(core.lower(), [core])
        new = near[self._generator.integers(len(near))]
        known, shares = self._words
        if core and known and self._generator.random() < FOREIGN:
            new = known[min(int(np.searchsorted(shares, self._generator.random())), len(known) - 1)]
        return before + new + after

    def _shortened(self, word: str) -> str:
        """Returns a word without one of its pieces; empty, punctuation included, if it has only one."""
        before, core, after = _parts(word)
        pieces = self._teacher.tokenizer.encode(core, add_special_tokens=False).offsets
        if len(pieces) < 2:
            return ""
        first, last = pieces[int(self._generator.integers(len(pieces)))]
        return before + core[:first] + core[last:] + after


def _parts(word: str) -> tuple[str, str, str]:
    found = _WORD.fullmatch(word)
    assert found is not None
    return found[1], found[2], found[3]


def _neighbours(words: set[str], tokens: Sequence[str], table: Tensor) -> dict[str, list[str]]:
    """Returns, for each word that is a single token, its nearest whole-word tokens by cosine similarity."""
    whole = [index for index, token in enumerate(tokens) if token.isalpha() and (len(token) > 1 or is_ideograph(token))]
    known = [index for index in whole if tokens[index] in words]
    if not known:
        return {}
    unit = torch.nn.functional.normalize(table.float().cpu(), dim=-1)
    found: dict[str, list[str]] = {}
    for start in range(0, len(known), 1024):
        chunk = known[start : start + 1024]
        nearest = (unit[chunk] @ unit[whole].T).topk(min(NEIGHBOURS + 1, len(whole)), dim=-1).indices.tolist()
        for index, row in zip(chunk, nearest, strict=True):
            found[tokens[index]] = [tokens[whole[position]] for position in row if whole[position] != index]
    return {word: near for word, near in found.items() if near}


def turns(rows: int, times: int, generator: np.random.Generator) -> Iterator[int]:
    """Yields `times` row indices, cycling through one random permutation."""
    if not rows or times <= 0:
        return
    order = generator.permutation(rows)
    for turn in range(times):
        yield int(order[turn % rows])


def top_up(rows: Sequence[Row], count: int, vary: Callable[[Row], Row], generator: np.random.Generator) -> list[Row]:
    """Returns rows topped up to `count` with variants that differ from the rows and from each other.

    There may be fewer, as attempts are limited to four per missing row.
    """
    known: set[Row] = set(rows)
    found: list[Row] = []
    for row in turns(len(rows), 4 * max(0, count - len(rows)), generator):
        if len(rows) + len(found) >= count:
            break
        variant = vary(rows[row])
        if variant not in known:
            known.add(variant)
            found.append(variant)
    return [*rows, *found]


def draw(rows: Sequence[Row], limit: int | None, generator: np.random.Generator) -> list[Row]:
    """Returns at most `limit` rows, sampled without replacement, in their original order."""
    if limit is None or len(rows) <= limit:
        return list(rows)
    return [rows[index] for index in np.sort(generator.choice(len(rows), limit, replace=False))]

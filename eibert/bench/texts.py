"""Texts of an exact token length, made of the words of real ones."""

import random
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

_SPECIAL, _SPECIAL_PAIR = 2, 3


def of_length(
    tokens: int, words: Sequence[str], count_of: Callable[[str], int], *, texts: int, pair: bool, seed: int
) -> list[Any]:
    """Returns texts, or pairs, of exactly `tokens` tokens, special tokens included.

    Args:
        tokens: Length; at least 4.
        words: Words used in consecutive runs; words too long for the rest are skipped, single-token ones fill it.
        count_of: Returns the tokens of a text without special ones.
        texts: Number of texts.
        pair: Whether to make pairs, the length split between both texts.
        seed: Seed of where each run starts.
    """
    draw = random.Random(seed)  # noqa: S311 — not a secret
    single = next(word for word in (*words, ".") if count_of(word) == 1)

    def one(length: int) -> str:
        kept: list[str] = []
        start, left = draw.randrange(len(words)), length
        for word in cycle([*words[start:], *words[:start], single]):
            if left == 0:
                break
            size = count_of(word)
            if 0 < size <= left:
                kept.append(word)
                left -= size
        return " ".join(kept)

    if not pair:
        return [one(tokens - _SPECIAL) for _ in range(texts)]
    room = tokens - _SPECIAL_PAIR
    return [(one(room - room // 2), one(room // 2)) for _ in range(texts)]

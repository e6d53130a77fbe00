"""Turns lines with choices and slots into sentences, and adds typos."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

_HELD_OUT_LINE = "*"
_HELD_OUT_VALUES = "//"
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\ba(?= [aeiou])")
_WORD = re.compile(r"[a-z]{6,}")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBORS = {key: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in _ROWS for i, key in enumerate(row)}


@dataclass(frozen=True)
class Pool:
    """Choices of one kind: those train may use, and those it may not."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]

    def draw(self, random: Random, unseen_share: float) -> str:
        """Returns one choice, with probability `unseen_share` an unseen one."""
        use_unseen = bool(self.unseen) and random.random() < unseen_share
        return random.choice(self.unseen if use_unseen else self.seen)


def lines(block: str) -> Pool:
    """Returns the lines of a block; those starting with `*` are unseen."""
    stripped = [line.strip() for line in block.splitlines() if line.strip()]
    unseen = tuple(line.removeprefix(_HELD_OUT_LINE).strip() for line in stripped if line.startswith(_HELD_OUT_LINE))
    return Pool(tuple(line for line in stripped if not line.startswith(_HELD_OUT_LINE)), unseen)


def values(text: str) -> Pool:
    """Returns the values between semicolons; those after `//` are unseen."""
    seen, _, unseen = " ".join(text.split()).partition(_HELD_OUT_VALUES)
    return Pool(*(tuple(value.strip() for value in part.split(";") if value.strip()) for part in (seen, unseen)))


def fill(line: str, slots: Mapping[str, Pool], random: Random, unseen_share: float) -> str:
    """Returns a sentence made from a line; no value is used twice.

    Args:
        line: Text with `[a|b]` for a choice and `{slot}` for a value.
        slots: Values by slot name.
        random: Source of all choices.
        unseen_share: Probability that a value is one that train may not use.
    """
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        while (drawn := slots[match[1]].draw(random, unseen_share)) in used:
            pass
        used.add(drawn)
        return drawn

    chosen = _CHOICE.sub(lambda match: random.choice(match[1].split("|")), line)
    sentence = " ".join(_SLOT.sub(value, chosen).split()).replace(" ,", ",")
    return _ARTICLE.sub("an", sentence)


def mistype(text: str, random: Random, protected: frozenset[str]) -> str:
    """Returns the text with one typo inside a long word; first and last letters and protected words are kept."""
    words = [match for match in _WORD.finditer(text) if match[0] not in protected]
    if not words:
        return text
    word = random.choice(words)
    at = random.randrange(word.start() + 1, word.end() - 2)
    slips: Sequence[str] = (
        text[at + 1] + text[at],
        text[at + 1],
        text[at] * 2 + text[at + 1],
        random.choice(_NEIGHBORS[text[at]]) + text[at + 1],
    )
    return text[:at] + random.choice(slips) + text[at + 2 :]

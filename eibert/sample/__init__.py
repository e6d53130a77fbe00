"""The built-in data set: requests to an assistant, written by a seeded grammar.

It is made so that the words alone do not tell the intent: commands are negated, corrected and quoted inside other
commands, accounts and clock times trade places, and dev and test use wordings and names that train has not seen.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from eibert.sample.intents import INTENTS
from eibert.sample.writing import question, request, statement

VERSION = 1
"""Rises with every change of the sentences, so that samples of one version and seed are equal."""

TRAIN_ROWS, DEV_ROWS, TEST_ROWS, UNLABELLED_ROWS = 6000, 1000, 1000, 20000

_UNSEEN_SHARE = 0.15  # of wordings, and of slot values, outside train
_STATEMENT_SHARE, _QUESTION_SHARE = 0.4, 0.1  # of unlabelled texts; the rest are requests
_ATTEMPTS = 1000
_SIGNS = re.compile(r"[^\w']+")


@dataclass(frozen=True)
class Sample:
    """The generated texts; no text stands twice, within a part or across parts, whatever its case and punctuation.

    Attributes:
        train: Texts with their intents, TRAIN_ROWS of them.
        dev: The same, DEV_ROWS of them.
        test: The same, TEST_ROWS of them.
        unlabelled: Texts alone, UNLABELLED_ROWS of them: requests, other questions, and plain statements.
    """

    train: list[tuple[str, str]]
    dev: list[tuple[str, str]]
    test: list[tuple[str, str]]
    unlabelled: list[str]


def generate(seed: int) -> Sample:
    """Returns the sample of this seed; equal seeds give equal samples."""
    random = Random(f"{VERSION}:{seed}")  # noqa: S311 — data, not secrets
    taken: set[str] = set()
    test = _labelled(TEST_ROWS, random, taken, _UNSEEN_SHARE)
    dev = _labelled(DEV_ROWS, random, taken, _UNSEEN_SHARE)
    train = _labelled(TRAIN_ROWS, random, taken, 0.0)
    unlabelled = [_new(_unlabelled, random, taken) for _ in range(UNLABELLED_ROWS)]
    return Sample(train, dev, test, unlabelled)


def _labelled(rows: int, random: Random, taken: set[str], unseen_share: float) -> list[tuple[str, str]]:
    """Returns rows of all intents in equal numbers, as nearly as can be, in random order."""
    names = list(INTENTS)
    intents = [names[row % len(names)] for row in range(rows)]
    random.shuffle(intents)
    return [(_new(partial(request, intent, unseen_share=unseen_share), random, taken), intent) for intent in intents]


def _unlabelled(random: Random) -> str:
    kind = random.random()
    if kind < _STATEMENT_SHARE:
        return statement(random)
    if kind < _STATEMENT_SHARE + _QUESTION_SHARE:
        return question(random, _UNSEEN_SHARE)
    return request(random.choice(list(INTENTS)), random, _UNSEEN_SHARE)


def _new(write: Callable[[Random], str], random: Random, taken: set[str]) -> str:
    for _ in range(_ATTEMPTS):
        text = write(random)
        bare = _SIGNS.sub(" ", text.lower()).strip()
        if bare not in taken:
            taken.add(bare)
            return text
    raise AssertionError("the grammar has run out of sentences")

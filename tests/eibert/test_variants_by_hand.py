"""Variants over a token table made by hand: which words stand in for a word, and which texts meet in a pair."""

from collections.abc import Callable, Sequence
from itertools import product
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from eibert.augment import Variants
from eibert.corpus import Split, TaskSpec
from eibert.lessons import gather
from eibert.matching import HeldOut
from eibert.runtime.tokenizer import wordpiece
from eibert.teacher import Teacher
from tests.toy import letters_and

WORDS = tuple("".join(sounds) for sounds in product("bdfgkt", "aeiou", "n"))
DRAWN = np.random.default_rng(5)
ANGLES = dict(zip(WORDS, DRAWN.uniform(0.0, np.pi, len(WORDS)), strict=True))
"""Each word's direction in a plane, so that the cosine of two words falls as their angles part."""
LENGTHS = dict(zip(WORDS, DRAWN.uniform(0.5, 4.0, len(WORDS)), strict=True))
"""The length of each word's row, on which a cosine does not depend."""

Make = Callable[[Sequence[str]], Variants]


@pytest.fixture
def over() -> Make:
    """Returns variants over a corpus, for a teacher that knows `WORDS` as whole words and nothing of single letters."""
    tokens = letters_and(WORDS)
    table = torch.zeros(len(tokens), 2)
    for at, token in enumerate(tokens):
        if token in ANGLES:
            table[at] = LENGTHS[token] * torch.tensor([np.cos(ANGLES[token]), np.sin(ANGLES[token])])

    tokenizer = wordpiece(tokens, lowercase=True, strip_accents=None, max_tokens=32)
    teacher = cast(Teacher, SimpleNamespace(tokens=tokens, table=table, tokenizer=tokenizer))

    def make(corpus: Sequence[str]) -> Variants:
        return Variants(corpus, teacher, np.random.default_rng(7), HeldOut())

    return make


@pytest.mark.parametrize("word", WORDS[::6])
def test_a_word_is_exchanged_for_the_words_nearest_to_it(word: str, over: Make) -> None:
    text = " ".join([word] * 20)
    made = over([text])
    found = {new for _ in range(200) for new in made.of(text).split()}
    by_angle = sorted(WORDS, key=lambda other: abs(ANGLES[other] - ANGLES[word]))
    assert 1 < len(found) < len(WORDS)
    assert found == {*by_angle[: len(found)]}


def test_an_unlabelled_text_meets_another_text_as_often_as_a_variant_of_itself(over: Make) -> None:
    """No text shares a word with another, so that a variant is told by its words."""
    train = Split(["ban den"], ["fin gon"], np.array([1]))
    unlabelled = [" ".join([word] * 12) for word in WORDS] * 10
    spec = TaskSpec("pairs", pair=True, labels=("no", "yes"), metric="accuracy")
    lessons = gather(spec, train, unlabelled, over(train.texts), variants=0, generator=np.random.default_rng(7))
    assert lessons.texts[1:] == unlabelled
    assert lessons.texts_b is not None
    pairs = list(zip(lessons.texts, lessons.texts_b, strict=True))[1:]
    others = [second for first, second in pairs if second != first and second in unlabelled]
    own = [(first, second) for first, second in pairs if first.split()[0] in second.split()]
    assert len(others) == pytest.approx(150 * 29 / 30, abs=35)  # four standard deviations; one in 30 is the text itself
    assert len({*others}) > len(WORDS) / 2
    assert len(others) + len(own) > 0.95 * len(pairs)  # the rest: variants spliced from another text alone
    assert sum(first != second for first, second in own) > len(own) / 2


def test_a_variant_may_end_as_another_text_does(over: Make) -> None:
    """A run of five words of the other text in their order; words exchanged one by one do not make one."""
    own, other = " ".join(WORDS[:15]), " ".join(WORDS[15:])
    made = over([own, other])
    ends = {" ".join(WORDS[at : at + 5]) for at in range(15, 26)}
    found = [made.of(own) for _ in range(1000)]
    assert sum(any(end in variant for end in ends) for variant in found) > 20

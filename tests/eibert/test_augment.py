"""Variants: as many as requested, close to their text, and never a row of dev or test."""

import numpy as np
import pytest
import torch

from eibert.augment import DROPPED, FOREIGN, Variants, top_up, turns
from eibert.corpus import Split, TaskSpec
from eibert.lessons import Lessons, gather
from eibert.matching import HeldOut
from eibert.teacher import Teacher

TEXTS = ["play the song", "stop the song", "turn on the light"]


def variants(teacher: Teacher, held_out: HeldOut, seed: int = 0) -> Variants:
    return Variants(TEXTS, teacher, np.random.default_rng(seed), held_out)


def test_words_come_from_the_corpus_or_the_teachers_whole_words(teacher: Teacher) -> None:
    made = variants(teacher, HeldOut())
    words = {word for _ in range(200) for text in TEXTS for word in made.of(text).split()}
    whole = {token for token in teacher.tokens if token.isalpha() and len(token) > 1}
    assert words <= whole | {word for text in TEXTS for word in text.split()}
    assert words - {word for text in TEXTS for word in text.split()}


def test_no_variant_is_a_row_that_was_held_out(teacher: Teacher) -> None:
    free = variants(teacher, HeldOut())
    often = sorted({free.of(text) for _ in range(300) for text in TEXTS} - {*TEXTS})
    held_out = HeldOut.of((text, None) for text in often[::2])
    made = variants(teacher, held_out)
    found = {made.of(text.upper()).lower() for _ in range(300) for text in TEXTS}
    assert not found & {*often[::2]}
    assert found & {*often[1::2]}


def test_a_text_with_no_free_variant_stands_for_itself(teacher: Teacher) -> None:
    class Everything(HeldOut):
        def has(self, text: str, text_b: str | None = None) -> bool:  # noqa: ARG002
            return True

    made = variants(teacher, Everything())
    assert made.of("play the song") == "play the song"
    assert made.of_pair("play", "stop", TEXTS) == ("play", "stop")


@pytest.mark.parametrize("turned", [False, True])
def test_no_pair_made_is_one_that_was_held_out(turned: bool, teacher: Teacher) -> None:
    rows = [(TEXTS[0], other) for other in TEXTS[1:]]
    held_out = HeldOut.of((b, a) if turned else (a, b) for a, b in rows)
    made = variants(teacher, held_out)
    found = {made.of_pair(TEXTS[0], TEXTS[0], TEXTS) for _ in range(500)}
    partners = {(TEXTS[0], made.partner(TEXTS[0], TEXTS)) for _ in range(500)}
    free = variants(teacher, HeldOut())
    assert {*rows} <= {free.of_pair(TEXTS[0], TEXTS[0], TEXTS) for _ in range(500)}
    assert not (found | partners) & {*rows}


def test_topping_up_keeps_the_rows_and_repeats_none(teacher: Teacher) -> None:
    generator = np.random.default_rng(0)
    found = top_up(TEXTS, 40, variants(teacher, HeldOut()).of, generator)
    assert found[:3] == TEXTS
    assert len(found) == len(set(found)) == 40
    assert top_up(TEXTS, 2, str.upper, generator) == TEXTS
    assert top_up([], 5, str.upper, generator) == []


def test_equal_seeds_make_equal_variants(teacher: Teacher) -> None:
    first, second, other = ([variants(teacher, HeldOut(), seed).of(text) for text in TEXTS * 9] for seed in (1, 1, 2))
    assert first == second != other


def test_punctuation_stays_and_the_word_within_is_exchanged(teacher: Teacher) -> None:
    texts = ["play, (song)!"]
    made = Variants(texts, teacher, np.random.default_rng(3), HeldOut())
    found = [made._exchange(word) for word in texts[0].split() for _ in range(300)]
    first, second = found[:300], found[300:]
    assert all(word.endswith(",") for word in first)
    assert all(word.startswith("(") and word.endswith(")!") for word in second)
    whole = {token for token in teacher.tokens if token.isalpha() and len(token) > 1}
    cores = {word.strip("(,)!") for word in found}
    assert cores <= whole | {"play", "song"}
    assert cores - {"play", "song"}  # neighbours, although "play," is not a token


def test_a_word_without_neighbours_is_left_alone_but_for_the_foreign_share(teacher: Teacher) -> None:
    made = Variants(["zzzyx play"], teacher, np.random.default_rng(3), HeldOut())
    found = [made._exchange("zzzyx") for _ in range(2000)]
    assert {*found} == {"zzzyx", "play"}
    assert found.count("play") / 2000 == pytest.approx(FOREIGN / 2, abs=0.03)  # the other half draws itself
    assert made._exchange("?!") == "?!"


def test_a_word_of_several_pieces_loses_one_and_any_other_goes_with_its_punctuation(teacher: Teacher) -> None:
    made = variants(teacher, HeldOut())
    assert {made._shortened("(playing)!") for _ in range(50)} == {"(ing)!", "(play)!"}
    assert {made._shortened(word) for word in ("play", "play,", "?!")} == {""}


def test_a_word_loses_a_piece_in_its_share_of_variants(teacher: Teacher) -> None:
    made = Variants([], teacher, np.random.default_rng(3), HeldOut())  # without a corpus, no word is exchanged
    found = [made.of("playing") for _ in range(2000)]
    assert {*found} == {"playing", "play", "ing"}
    assert 1 - found.count("playing") / 2000 == pytest.approx(DROPPED, abs=0.015)


def test_a_pair_is_varied_on_one_side_or_its_second_text_made_of_the_first_or_replaced(teacher: Teacher) -> None:
    made = Variants([], teacher, np.random.default_rng(3), HeldOut())
    found = {made.of_pair("playing", "songs", ["stop"]) for _ in range(3000)}
    firsts = {("play", "songs"), ("ing", "songs")}
    seconds = {("playing", second) for second in ("song", "s", "songs", "playing", "play", "ing", "stop")}
    assert found == firsts | seconds


def test_every_row_has_its_turn_before_any_has_a_second() -> None:
    found = list(turns(7, 20, np.random.default_rng(0)))
    assert len(found) == 20
    assert sorted(found[:7]) == sorted(found[7:14]) == list(range(7))
    assert found[:7] != list(range(7))
    assert not list(turns(0, 3, np.random.default_rng(0)))


def test_variants_of_rows_sorted_by_class_are_of_every_class(teacher: Teacher) -> None:
    """With fewer variants than rows: of the first rows alone they would be of the first class alone."""
    firsts = ("play", "stop", "call", "turn")
    texts = [f"{first} {index}" for first in firsts for index in range(50)]
    spec = TaskSpec("toy", pair=False, labels=("call", "play", "stop", "turn"), metric="accuracy")
    train = Split(texts, None, np.repeat(np.arange(4), 50))
    generator = np.random.default_rng(0)
    made = Variants(texts, teacher, generator, HeldOut())
    found = gather(spec, train, [], made, variants=60, generator=generator)
    assert len(found.texts) == 260
    assert min(sum(text.startswith(first) for text in found.texts[200:]) for first in firsts) >= 5


def test_ideographs_are_words_of_their_own_and_stay_together(teacher: Teacher) -> None:
    text = "今天天气很好 play 它"
    made = Variants([text], teacher, np.random.default_rng(0), HeldOut())
    found = {made.of(text) for _ in range(100)}
    assert len(found) > 50
    pieces = {part for variant in found for part in variant.split()}
    assert any("天" in part and len(part) > 2 for part in pieces)  # no space within
    assert any("play" in part for part in pieces)


def test_lessons_drawn_keep_both_kinds_in_their_shares_and_their_order() -> None:
    texts = [f"t{index}" for index in range(100)]
    lessons = Lessons(texts, None, torch.tensor([*range(20), *[-1] * 80]), 20)
    found = lessons.drawn(50, np.random.default_rng(0))
    assert (len(found.texts), found.labelled) == (50, 10)
    assert found.targets[:10].tolist() == [int(text[1:]) for text in found.texts[:10]]
    assert (found.targets[10:] == -1).all()
    assert found.texts == sorted(found.texts, key=lambda text: int(text[1:]))
    assert lessons.drawn(100, np.random.default_rng(0)) is lessons
    assert lessons.drawn(1, np.random.default_rng(0)).labelled == 1

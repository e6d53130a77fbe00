"""Hard token pruning: hand-computed importance, no new [UNK], unchanged answers for kept entries."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eibert.batches import encode
from eibert.errors import ParamsError
from eibert.params.load import Params, load
from eibert.params.prune import Importance, PruneParams
from eibert.params.section import Pooling
from eibert.prune import (
    Importances,
    choose,
    coverage,
    coverage_curve,
    essential,
    needed,
    slice_student,
    token_importance,
)  # fmt: skip
from eibert.runtime.tokenizer import SPECIALS, UNKNOWN, wordpiece
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.teacher_files import load_base, locate

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("play", "stop", "the", "song", "light", "turn", "on", "off", "call", "mum", "now", "##ing", "please")
TOKENS = (*SPECIALS, "[unused0]", *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS)


def keeping(params: Params, keep: int, **changes: object) -> PruneParams:
    return params.prune.model_copy(update={"keep": keep} | changes)


@pytest.fixture
def attentive(teacher_folder, teacher: Teacher) -> Teacher:
    return load_base(teacher_folder, teacher.pooling, attentions=True)


def test_attention_received_matches_a_plain_loop(attentive: Teacher, params: Params) -> None:
    texts = ["play the song", "stop the light now", "call mum"]
    rows = encode(attentive.tokenizer, texts, None, max_tokens=32)
    found = token_importance(attentive, rows, params.prune)
    expected, counts = np.zeros(len(TOKENS)), np.zeros(len(TOKENS), int)
    specials = {TOKENS.index(token) for token in SPECIALS}
    for row in range(3):
        ids = rows.ids[row]
        with torch.no_grad():
            layers = attentive.encoder(input_ids=torch.tensor(ids[None].astype(int)), output_attentions=True).attentions
        asks = [i for i, token in enumerate(ids) if token not in specials]
        for j, token in enumerate(ids):
            counts[token] += token not in specials
            expected[token] += np.mean([[float(layer[0, h, i, j]) for i in asks for h in range(2)] for layer in layers])
    assert np.allclose(found.attention, expected / 3, atol=1e-5)
    assert np.array_equal(found.counts, counts)
    assert np.allclose(
        found.ranked_by(Importance.MEAN_ATTENTION)[counts > 0],
        (expected / 3)[counts > 0] / counts[counts > 0],
        atol=1e-5,
    )
    assert np.array_equal(found.ranked_by(Importance.FREQUENCY), counts)


def test_special_tokens_and_characters_always_stay(params: Params) -> None:
    kept = choose(TOKENS, np.zeros(len(TOKENS)), 8, keeping(params, 60))
    assert {TOKENS[index] for index in kept} >= {*SPECIALS, *"abcxyz", "##a", "##z"}


def test_unused_entries_are_never_chosen(params: Params) -> None:
    scores = np.zeros(len(TOKENS))
    scores[TOKENS.index("[unused0]")] = 100.0
    assert TOKENS.index("[unused0]") not in choose(TOKENS, scores, 8, keeping(params, len(TOKENS)))


def test_entries_that_the_tokenizer_always_splits_are_not_kept() -> None:
    tokens = [*SPECIALS, "a", "##a", "!", "##!", "美", "##美", "...", "é", "##é", "##ー"]
    kept = [token for token, stays in zip(tokens, needed(tokens), strict=True) if stays]
    assert kept == [*SPECIALS, "a", "##a", "!", "美", "é", "##é", "##ー"]


def test_no_text_has_an_entry_that_is_never_kept(params: Params) -> None:
    """Over the bundled teacher's vocabulary, by its own tokenizer: alone, inside a word and at its end."""
    teacher = load_base(locate(params.teacher, ROOT), Pooling.MEAN)
    tokens = teacher.tokens
    usable = set(choose(tokens, np.zeros(len(tokens)), 8, keeping(params, len(tokens))))
    never = [token for index, token in enumerate(tokens) if index not in usable and not token.startswith("[unused")]
    assert len(never) > 300
    for token in never:
        letters = token.removeprefix("##")
        for text in (letters, f"a{letters}", f"a{letters}b"):
            assert token not in teacher.tokenizer.encode(text).tokens, token


def test_an_entry_that_characters_cannot_spell_stays() -> None:
    tokens = [*SPECIALS, "a", "##a", "aé", "aa"]
    assert essential(tokens).tolist() == [True] * 5 + [True, True, True, False]


def test_the_best_scores_are_kept_and_equal_ones_go_by_id(params: Params) -> None:
    scores = np.zeros(len(TOKENS))
    scores[TOKENS.index("mum")] = 3.0
    musts = [index for index in np.flatnonzero(essential(TOKENS)) if TOKENS[index] != "[unused0]"]
    kept = choose(TOKENS, scores, 8, keeping(params, len(musts) + 2))
    assert [TOKENS[index] for index in kept if index not in musts] == ["play", "mum"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "prune.keep: 3 entries, expected at least 57 for the special tokens and characters alone; "
             "raise it, or set prune.keep_characters to false"),
        ({"vocabulary_bytes": 20, "keep_characters": False},
         "prune.vocabulary_bytes: 20 bytes, expected at least 71 for the special tokens alone; raise it"),
    ],
)  # fmt: skip
def test_a_size_below_what_must_stay_is_refused_with_a_way_out(
    changes: dict[str, object], message: str, params: Params
) -> None:
    with pytest.raises(ParamsError) as refused:
        choose(TOKENS, np.zeros(len(TOKENS)), 8, keeping(params, 3, **changes))
    assert str(refused.value) == message


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.integers(0, 2**16))
def test_pruning_never_adds_an_unknown(text: str, seed: int) -> None:
    scores = np.random.default_rng(seed).random(len(TOKENS))
    kept = choose(TOKENS, scores, 8, keeping(load(ROOT / "params.yaml"), 62))
    whole = wordpiece(TOKENS, lowercase=True, strip_accents=None, max_tokens=512)
    part = wordpiece([TOKENS[index] for index in kept], lowercase=True, strip_accents=None, max_tokens=512)
    assert part.encode(text).tokens.count(UNKNOWN) <= whole.encode(text).tokens.count(UNKNOWN)
    assert (
        part.decode(part.encode(text).ids) == whole.decode(whole.encode(text).ids)
        or UNKNOWN in whole.encode(text).tokens
    )


def test_a_text_of_kept_entries_is_answered_as_before(student: Student) -> None:
    kept = np.array([index for index, token in enumerate(TOKENS) if token not in ("mum", "[unused0]", "##ing")])
    pruned = slice_student(student, kept)
    texts = ["play the song", "turn off the light please"]
    before = student.logits(encode(student.tokenizer, texts, None, max_tokens=32).batch([0, 1]))
    after = pruned.logits(encode(pruned.tokenizer, texts, None, max_tokens=32).batch([0, 1]))
    assert torch.allclose(before, after, atol=1e-6)
    assert pruned.tokenizer.encode("mum").tokens == ["[CLS]", "m", "##u", "##m", "[SEP]"]


def test_coverage_counts_unknowns_and_tokens(student: Student) -> None:
    found = coverage(student.tokenizer, ["play the song", "日本 stop"])
    assert found.tokens_per_text == pytest.approx((5 + 5) / 2)
    assert found.unknown == pytest.approx(2 / 10)


def test_coverage_curve_ends_at_one_and_never_falls(student: Student) -> None:
    counts = np.random.default_rng(0).integers(0, 9, len(TOKENS))
    found = Importances(np.random.default_rng(1).random(len(TOKENS)), counts)
    sizes, texts, musts = (58, 60, 66, len(TOKENS)), ["play the song now", "stop"], needed(TOKENS)
    make = functools.partial(wordpiece, lowercase=True, strip_accents=None, max_tokens=32)
    curve = coverage_curve(TOKENS, found, make, texts, musts, np.ones(len(TOKENS)), sizes)
    assert [entry["importance"] for entry in curve[::4]] == ["attention", "mean_attention", "frequency"]
    for start in (0, 4, 8):
        covered = [entry["covered"] for entry in curve[start : start + 4]]
        tokens = [entry["tokens_per_text"] for entry in curve[start : start + 4]]
        assert covered == sorted(covered)
        assert covered[-1] == 1.0
        assert tokens == sorted(tokens, reverse=True)
        assert tokens[-1] == pytest.approx((6 + 3) / 2)
    order = np.lexsort((np.arange(len(TOKENS)), -counts, ~musts))
    assert curve[9]["covered"] == pytest.approx(counts[order[:60]].sum() / counts.sum())


def test_bytes_are_spent_on_the_best_score_a_byte(params: Params) -> None:
    musts = needed(TOKENS)
    scores = np.zeros(len(TOKENS))
    for token, score in (("the", 1.0), ("please", 1.2), ("mum", 0.9)):  # 4, 7 and 4 bytes including newlines
        scores[TOKENS.index(token)] = score
    spent = sum(2 + len(TOKENS[index]) + 1 for index in np.flatnonzero(musts))
    budget = keeping(params, 1, vocabulary_bytes=spent + 12)
    kept = choose(TOKENS, scores, 2, budget)
    assert [TOKENS[index] for index in kept if not musts[index]] == ["the", "mum"]
    assert sum(2 + len(TOKENS[index]) + 1 for index in kept) <= spent + 12
    with pytest.raises(ParamsError, match=rf"prune\.vocabulary_bytes: 99 bytes, expected at least {spent} for"):
        choose(TOKENS, scores, 2, keeping(params, 1, vocabulary_bytes=99))


def test_without_characters_a_dropped_word_is_unknown(params: Params, student: Student) -> None:
    scores = np.zeros(len(TOKENS))
    scores[TOKENS.index("play")] = 1.0
    kept = choose(TOKENS, scores, 8, keeping(params, 6, keep_characters=False))
    pruned = slice_student(student, kept)
    assert pruned.tokenizer.encode("play mum").tokens == ["[CLS]", "play", "[UNK]", "[SEP]"]


def test_a_student_whose_head_is_folded_is_sliced_too(student: Student) -> None:
    student.fold()
    pruned = slice_student(student, np.flatnonzero([token != "mum" for token in TOKENS]))
    text = encode(pruned.tokenizer, ["play"], None, max_tokens=32).batch([0])
    with torch.no_grad():
        whole = student.logits(encode(student.tokenizer, ["play"], None, max_tokens=32).batch([0]))
        assert torch.allclose(pruned.logits(text), whole, atol=1e-6)

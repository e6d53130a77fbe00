"""The static rival: what it stores, that it fits its budget, and what it cannot know."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from eibert.batches import encode
from eibert.corpus import Split, TaskSpec
from eibert.evaluate.static import StaticRival, fit_static
from eibert.scores import score
from eibert.teacher import Teacher

HEADER = 64


def fitted(spec: TaskSpec, teacher: Teacher, rows: Split, **changes: Any) -> StaticRival:
    values: dict[str, Any] = {"budget_bytes": 3000, "dimensions": (8, 16), "regularizations": (10.0, 100.0)} | changes
    return fit_static(spec, teacher, rows, rows, **values)


def test_words_are_learnt_without_attention(spec: TaskSpec, teacher: Teacher, rows: Split) -> None:
    rival = fitted(spec, teacher, rows)
    assert score(spec.metric, rival.logits(rows), rows.targets) > 0.9


def test_the_order_of_words_is_beyond_it(spec: TaskSpec, teacher: Teacher, rows: Split) -> None:
    rival = fitted(spec, teacher, rows)
    turned = dataclasses.replace(rows, texts=[" ".join(reversed(text.split())) for text in rows.texts])
    np.testing.assert_allclose(rival.logits(turned), rival.logits(rows), atol=1e-5)


@pytest.mark.parametrize("budget_bytes", [400, 700, 1500])
@pytest.mark.parametrize("pair", [False, True])
def test_it_fits_its_budget_and_every_stored_byte_counts(
    spec: TaskSpec, teacher: Teacher, rows: Split, budget_bytes: int, pair: bool
) -> None:
    spec = dataclasses.replace(spec, pair=pair)
    split = dataclasses.replace(rows, texts_b=rows.texts[::-1] if pair else None)
    rival = fitted(spec, teacher, split, budget_bytes=budget_bytes, dimensions=(8,))
    kept = np.flatnonzero(rival.rows >= 0)
    assert rival.letters == sum(len(teacher.tokens[token]) + 1 for token in kept)
    assert rival.codes.shape == (len(kept), 8)
    assert rival.codes.dtype == rival.head.dtype == np.int8
    width = 4 * 8 if pair else 8
    assert rival.size_bytes == HEADER + rival.letters + len(kept) * 8 + 4 * 8 + 3 * width + 8 * 3
    assert budget_bytes - 20 < rival.size_bytes <= budget_bytes or len(kept) == len(teacher.tokens) - 5
    assert rival.logits(split).shape == (len(rows), 3)


def test_the_commonest_tokens_come_first(spec: TaskSpec, teacher: Teacher, rows: Split) -> None:
    rival = fitted(spec, teacher, rows, budget_bytes=300, dimensions=(8,))
    ids = teacher.tokenizer.get_vocab()
    assert all(rival.rows[ids[word]] >= 0 for word in ("play", "stop", "call"))
    assert rival.rows[ids["[CLS]"]] == rival.rows[ids["[unused0]"]] == -1


def test_a_row_of_the_table_is_the_teachers_answer_to_the_token_alone(
    spec: TaskSpec, teacher: Teacher, rows: Split
) -> None:
    """With all components kept and frequency weighting undone, row distances equal those of the teacher's outputs."""
    rival = fitted(spec, teacher, rows, budget_bytes=10_000, dimensions=(16,))
    words = ("play", "stop", "mum")
    ids = np.array([teacher.tokenizer.get_vocab()[word] for word in words])
    ranks = 1 / np.arange(2, len(teacher.tokens) + 2)
    weights = 1e-4 / (1e-4 + ranks / ranks.sum())
    table = (rival.codes * rival.scales)[rival.rows[ids]] / weights[ids, None]
    batches = [encode(teacher.tokenizer, [word], None, max_tokens=8).batch([0]) for word in words]
    alone = np.concatenate([teacher(batch)[1].detach().numpy() for batch in batches])
    found, wanted = (np.linalg.norm(rows[:, None] - rows, axis=-1) for rows in (table, alone))
    np.testing.assert_allclose(found, wanted, rtol=0.03, atol=1e-6)


@pytest.mark.parametrize("tried", [(1e-6, 100.0), (100.0, 1e-6)])
def test_the_best_on_dev_is_chosen_wherever_it_is_tried(
    tried: tuple[float, float], spec: TaskSpec, teacher: Teacher, rows: Split
) -> None:
    poor, good = (fitted(spec, teacher, rows, regularizations=(value,), dimensions=(16,)) for value in (1e-6, 100.0))
    found = fitted(spec, teacher, rows, regularizations=tried, dimensions=(1, 16))
    expected = good.logits(rows)
    assert score(spec.metric, poor.logits(rows), rows.targets) < score(spec.metric, expected, rows.targets) - 0.1
    assert found.codes.shape[1] == 16
    np.testing.assert_allclose(found.logits(rows), expected, atol=0.02 * np.ptp(expected))


def test_numbers_are_learnt_too(teacher: Teacher, rows: Split) -> None:
    spec = TaskSpec("n", pair=False, labels=(), metric="spearman")
    numbers = Split(rows.texts, None, rows.targets.astype(np.float32))
    assert score("spearman", fitted(spec, teacher, numbers).logits(numbers), numbers.targets) > 0.7

"""Batches contain every row exactly once; predictions keep the order of the rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eibert.batches import by_length, encode, predict, shuffled
from eibert.corpus import Split
from eibert.errors import RunError
from eibert.optimize import COMPILED_STEPS, adamw, compile_student, rate_factor, step
from eibert.params.section import Compilation
from eibert.schedule import Schedule
from eibert.student import Student


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=400), st.integers(1, 33), st.integers(0, 99))
def test_every_row_stands_in_exactly_one_batch(lengths: list[int], size: int, seed: int) -> None:
    for batches in (shuffled(np.array(lengths), size, np.random.default_rng(seed)), by_length(np.array(lengths), size)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert max(len(batch) for batch in batches) <= size


def test_batches_hold_rows_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 64, 3200)
    spread = [np.ptp(lengths[batch]) for batch in shuffled(lengths, 32, np.random.default_rng(1))]
    assert np.median(spread) < 5


def test_predictions_stand_in_the_order_of_the_rows(student: Student, rows: Split) -> None:
    together = predict(student, rows, batch_size=16)
    alone = np.concatenate(
        [predict(student, Split([text], None, rows.targets[:1]), batch_size=1) for text in rows.texts]
    )
    assert np.allclose(together, alone, atol=1e-5)


def test_pairs_carry_their_segments(student: Student) -> None:
    batch = encode(student.tokenizer, ["stop"], ["call mum"], max_tokens=32).batch([0])
    assert student.tokenizer.decode(batch.ids[0].tolist()) == "[CLS] stop [SEP] call mum [SEP]"
    assert batch.segments.tolist() == [[0, 0, 0, 1, 1, 1]]


def test_schedule_ends_where_the_budget_of_rows_ends() -> None:
    plan = Schedule(np.full(100, 5), 10, epochs=5, rows_limit=250, seed=0)
    assert (plan.steps_per_epoch, plan.total, plan.intervals) == (10, 25, 3)
    assert [len(plan.interval(number)) for number in range(4)] == [10, 10, 5, 0]
    assert [plan.start(number) for number in range(5)] == [0, 10, 20, 25, 25]


@pytest.mark.parametrize(("limit", "starts"), [(10_001, [0, 1667, 3334]), (7_000, [0, 1667, 3334, 5001, 6668])])
def test_a_long_epoch_is_divided_into_equal_intervals(limit: int, starts: list[int]) -> None:
    plan = Schedule(np.full(5_001, 5), 1, epochs=2, rows_limit=limit, seed=0)
    assert plan.intervals == len(starts) + (3 if limit > 7_000 else 0)
    assert [plan.start(number) for number in range(len(starts))] == starts
    seen = [int(row) for batch in plan.batches() for row in batch]
    assert len(seen) == min(limit, 10_002)
    assert sorted(seen[:5_001]) == list(range(5_001))  # one epoch: every row once


def test_each_epoch_has_an_order_of_its_own_and_always_the_same() -> None:
    plan = Schedule(np.arange(100), 10, epochs=3, rows_limit=1000, seed=4)
    first, again, second = (np.concatenate(plan.interval(number)) for number in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_rate_rises_then_falls_to_zero() -> None:
    factors = [rate_factor(at, 100, 0.1) for at in range(101)]
    assert factors[0] == 0.1
    assert factors[9] == factors[10] == 1.0
    assert factors[55] == 0.5
    assert factors[100] == 0.0
    assert [rate_factor(at, 100, 0.1, decay=False) for at in (0, 9, 55, 99)] == [0.1, 1.0, 1.0, 1.0]


def test_a_step_is_torch_adamw_with_clipped_gradients() -> None:
    ours, theirs = (torch.nn.Linear(3, 2) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.full((4, 3), 50.0)
    optimizer = adamw([(ours.parameters(), 0.01)], weight_decay=0.1)
    ours(inputs).square().sum().backward()
    step(optimizer, 0.5, "distill")
    reference = torch.optim.AdamW(
        [{"params": [theirs.weight], "weight_decay": 0.1}, {"params": [theirs.bias], "weight_decay": 0.0}], lr=0.005
    )
    theirs(inputs).square().sum().backward()
    torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
    reference.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-6)
    assert ours.weight.grad is None


def test_a_gradient_that_is_not_finite_names_the_rate_to_lower() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = adamw([(model.parameters(), 0.01)], weight_decay=0.0)
    (model(torch.full((1, 2), float("inf"))) * 0.0).sum().backward()
    with pytest.raises(RunError, match=r"lower pretrain\.learning_rate"):
        step(optimizer, 1.0, "lower pretrain.learning_rate")


@pytest.mark.parametrize(
    ("compilation", "device", "steps", "compiled"),
    [
        (Compilation.AUTO, "cuda", COMPILED_STEPS, True),
        (Compilation.AUTO, "cuda", COMPILED_STEPS - 1, False),
        (Compilation.AUTO, "cpu", 10**6, False),
        (Compilation.ALWAYS, "cpu", 1, True),
        (Compilation.NEVER, "cuda", 10**6, False),
    ],
)
def test_passes_are_compiled_where_it_pays(
    compilation: Compilation, device: str, steps: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, asked = torch.nn.Linear(2, 2), []
    monkeypatch.setattr(student, "compile", lambda **options: asked.append(options))
    compile_student(student, compilation, torch.device(device), steps)
    assert asked == [{"dynamic": True}] * compiled

"""Losses against hand-computed values, and their invariants."""

import math

import numpy as np
import pytest
import torch

from eibert.errors import ShapeError
from eibert.losses import Spread, logits_divergence, pool, representation_distance, task_loss, variance, weighted
from eibert.params.section import Pooling


def test_terms_are_added_with_the_weights_of_their_names() -> None:
    terms = {"a": torch.tensor(2.0, requires_grad=True), "b": torch.tensor(3.0, requires_grad=True)}
    loss = weighted(terms, {"b": 10.0, "a": 0.5, "other": 7.0})
    loss.backward()
    assert float(loss.detach()) == 31.0
    assert {name: float(term.grad) for name, term in terms.items()} == {"a": 0.5, "b": 10.0}


def test_divergence_of_two_classes_matches_hand_arithmetic() -> None:
    learner, guide = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(9.0), math.log(1.0)]])
    expected = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert float(logits_divergence(learner, guide, temperature=1.0, regression=False)) == pytest.approx(expected)


def test_divergence_is_scaled_by_the_squared_temperature() -> None:
    learner, guide = torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * math.log(9.0), 0.0]])
    expected = 4.0 * (0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5))
    assert float(logits_divergence(learner, guide, temperature=2.0, regression=False)) == pytest.approx(expected)


def test_equal_models_diverge_nowhere_and_get_no_gradient() -> None:
    logits = torch.randn(5, 4, requires_grad=True)
    loss = logits_divergence(logits, logits.detach(), temperature=3.0, regression=False)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(logits.grad.abs().max()) < 1e-6


def test_divergence_of_numbers_is_their_squared_difference() -> None:
    loss = logits_divergence(
        torch.tensor([[1.0], [4.0]]), torch.tensor([[2.0], [2.0]]), temperature=7.0, regression=True
    )
    assert float(loss) == pytest.approx((1 + 4) / 2)


def test_rows_without_a_label_add_nothing_to_the_task_loss() -> None:
    logits = torch.tensor([[2.0, 0.0], [5.0, -5.0]])
    alone = task_loss(logits[:1], torch.tensor([1]), regression=False)
    mixed = task_loss(logits, torch.tensor([1, -1]), regression=False)
    assert float(alone) == pytest.approx(math.log(1 + math.exp(2.0)))
    assert 2 * float(mixed) == pytest.approx(float(alone))


@pytest.mark.parametrize("regression", [False, True])
def test_a_label_weighs_the_same_whichever_rows_share_its_batch(regression: bool) -> None:
    logits = torch.randn(4, 1 if regression else 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
    none = float("nan") if regression else -1
    targets = torch.tensor([1, 0, none, none])
    shares = []
    for order in ([0, 1, 2, 3], [0, 2, 1, 3]):  # labelled rows together, then one per half
        logits.grad = None
        for half in (order[:2], order[2:]):
            task_loss(logits[half], targets[half], regression=regression).backward()
        assert logits.grad is not None
        shares.append(logits.grad.clone())
    assert torch.allclose(shares[0], shares[1])
    assert float(shares[0][2:].abs().max()) == 0.0


def test_task_loss_without_any_label_is_zero_and_differentiable() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    loss = task_loss(logits, torch.tensor([-1, -1, -1]), regression=False)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert float(logits.grad.abs().max()) == 0.0


def test_numbers_without_a_target_add_nothing() -> None:
    loss = task_loss(torch.tensor([[1.0], [9.0]]), torch.tensor([3.0, float("nan")]), regression=True)
    assert float(loss) == pytest.approx(4.0 / 2)


def test_a_learner_that_knows_only_the_mean_is_at_distance_one() -> None:
    guide = torch.randn(400, 7) * 3.0 + 1.0
    mean = guide.mean(dim=0, keepdim=True).expand_as(guide)
    assert float(representation_distance(mean, guide, scale=variance(guide))) == pytest.approx(1.0, rel=1e-5)


def test_spread_of_batches_is_that_of_all_rows() -> None:
    rows, spread = torch.randn(1000, 7) * 3.0 + 100.0, Spread()
    for part in rows.split(64):
        spread.add(part)
    expected = float(np.var(rows.double().numpy(), axis=0).mean())
    assert spread.variance == pytest.approx(expected, rel=1e-9)
    assert variance(rows) == pytest.approx(expected, rel=1e-9)


def test_padding_does_not_change_distance_or_pool() -> None:
    hidden, guide = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    other = torch.where(mask.bool().unsqueeze(-1), hidden, torch.full_like(hidden, 99.0))
    distances = [representation_distance(x, guide, scale=1.0, keep=mask.bool()) for x in (hidden, other)]
    assert torch.equal(distances[0], distances[1])
    assert torch.equal(pool(hidden, mask, Pooling.MEAN), pool(other, mask, Pooling.MEAN))
    assert torch.allclose(pool(hidden, mask, Pooling.MEAN)[1], hidden[1, :2].mean(dim=0))
    assert torch.equal(pool(hidden, mask, Pooling.CLS), hidden[:, 0])


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="must agree"):
        logits_divergence(torch.zeros(2, 3), torch.zeros(2, 4), temperature=1.0, regression=False)
    with pytest.raises(ShapeError, match="must agree"):
        representation_distance(torch.zeros(2, 3), torch.zeros(2, 4), scale=1.0)

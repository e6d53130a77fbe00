"""The unit of regression targets, against hand-computed values; classes have none."""

import numpy as np
import pytest
import torch

from eibert.corpus import TaskSpec
from eibert.unit import NO_UNIT, Unit

NUMBER = TaskSpec("n", pair=False, labels=(), metric="spearman")
TARGETS = np.array([10, 10, 30, 30], np.float32)


def head(weight: float, bias: float) -> torch.nn.Linear:
    found = torch.nn.Linear(1, 1)
    found.weight.data.fill_(weight)
    found.bias.data.fill_(bias)
    return found


def test_targets_have_mean_zero_and_deviation_one() -> None:
    unit = Unit.of(NUMBER, TARGETS)
    assert (unit.mean, unit.deviation) == (20.0, 10.0)
    assert unit.standard(TARGETS).tolist() == [-1, -1, 1, 1]


def test_a_head_answers_in_either_unit() -> None:
    unit = Unit.of(NUMBER, TARGETS)
    restored = unit.restored(head(2.0, 0.5))
    assert (restored.weight.item(), restored.bias.item()) == (20.0, 25.0)
    back = unit.standardized(restored)
    assert (back.weight.item(), back.bias.item()) == (2.0, 0.5)


def test_equal_targets_are_answered_whatever_was_learnt() -> None:
    unit = Unit.of(NUMBER, np.full(7, 0.1, np.float32))
    assert unit.standard(np.full(7, 0.1, np.float32)).tolist() == pytest.approx([0.0] * 7, abs=1e-7)
    restored = unit.restored(head(3.0, 0.2))
    assert restored.weight.item() == 0.0
    assert restored.bias.item() == np.float32(0.1)


def test_classes_stay_as_they_are() -> None:
    classes = np.array([0, 1, 2])
    unit = Unit.of(TaskSpec("toy", pair=False, labels=("a", "b", "c"), metric="accuracy"), classes)
    assert unit == NO_UNIT
    assert unit.standard(classes) is classes
    before = torch.nn.Linear(4, 3)
    for after in (unit.standardized(before), unit.restored(before)):
        assert torch.equal(after.weight, before.weight)
        assert torch.equal(after.bias, before.bias)

"""Quantization-aware tuning: the quantized student learns to reproduce the float student's outputs.

Choice: quantization-aware training with the straight-through estimator, the scales fixed by post-training quantization
and the float student as the teacher (decision 0009).
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from eibert import optimize
from eibert.batches import encode
from eibert.corpus import Split, TaskSpec
from eibert.losses import logits_divergence, representation_distance, variance
from eibert.params.quantize import QuantizeParams
from eibert.progress import Report, silent
from eibert.quantize.tensor import Quantized, spread
from eibert.schedule import Schedule
from eibert.student import Student
from eibert.unit import Unit

_SCALE_ROWS = 512
"""Rows used to estimate the variance of the student's representations."""


class _Rounding(nn.Module):
    """Rounds a weight to a grid, with a straight-through gradient."""

    scale: Tensor

    def __init__(self, grid: Quantized, divisor: float) -> None:
        super().__init__()
        self.limit = 2 ** (grid.bits - 1) - 1
        self.register_buffer("scale", spread(grid.scale.float(), grid.values.shape[-1]) / divisor)

    def integers(self, weight: Tensor) -> Tensor:
        """Returns the nearest integers on the grid."""
        return (weight / self.scale).round().clamp(-self.limit, self.limit)

    def forward(self, weight: Tensor) -> Tensor:
        """Returns the rounded weight."""
        rounded: Tensor = weight + (self.integers(weight) * self.scale - weight).detach()
        return rounded


def tune(
    student: Student,
    weights: dict[str, Quantized],
    train: Split,
    params: QuantizeParams,
    *,
    spec: TaskSpec,
    seed: int,
    report: Report = silent,
) -> tuple[Student, dict[str, Quantized]]:
    """Returns the student tuned under quantization, and its integers on the same scales.

    Args:
        student: Distilled, its head folded; not changed.
        weights: Its quantized matrices by name.
        train: Training rows; of their labels only the unit is used, for regression.
        params: Section `quantize`; tuning sees `tune_rows` rows, in as many epochs as that takes.
        spec: The task.
        seed: Seed of the order.
        report: Called after each step.
    """
    unit = Unit.of(spec, train.targets)
    guide = copy.deepcopy(student)
    assert guide.head is not None
    guide.head = unit.standardized(guide.head)
    tuned = copy.deepcopy(guide).eval()  # no dropout: the guide is the student itself
    rounding = {name: _Rounding(grid, unit.divisor if name == "head" else 1.0) for name, grid in weights.items()}
    for name, rule in rounding.items():
        parametrize.register_parametrization(tuned.get_submodule(name), "weight", rule)
    rows = encode(student.tokenizer, train.texts, train.texts_b, max_tokens=student.max_tokens)
    plan = Schedule(rows.lengths, params.batch_size, max(1, params.tune_rows), params.tune_rows, seed)
    optimizer = optimize.adamw([(tuned.parameters(), params.tune_learning_rate)], weight_decay=0.0)
    with torch.no_grad():
        sample = np.random.default_rng(seed).permutation(len(rows))[:_SCALE_ROWS]
        scale = variance(guide(rows.batch(sample))[1])
    assert tuned.head is not None
    for step, batch_rows in enumerate(plan.batches()):
        batch = rows.batch(batch_rows)
        with torch.no_grad():
            guide_pooled = guide(batch)[1]
            guided = guide.head(guide_pooled)
        pooled = tuned(batch)[1]
        terms = {
            "logits": logits_divergence(tuned.head(pooled), guided, temperature=1.0, regression=spec.regression),
            "hidden": representation_distance(pooled, guide_pooled, scale=scale),
        }
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimize.step(optimizer, optimize.rate_factor(step, plan.total, 0.1), "lower quantize.tune_learning_rate")
        report(step + 1, plan.total, **{name: float(term.detach()) for name, term in terms.items()})
    for name in rounding:
        parametrize.remove_parametrizations(tuned.get_submodule(name), "weight", leave_parametrized=False)
    found: dict[str, Quantized] = {}
    for name, rule in rounding.items():
        weight: Tensor = tuned.get_parameter(f"{name}.weight").detach()
        grid = weights[name]
        found[name] = Quantized(rule.integers(weight).to(torch.int8), grid.scale, grid.bits)
    tuned.head = unit.restored(tuned.head)
    return tuned, found

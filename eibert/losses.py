"""Distillation losses: pure functions from tensors to unweighted scalars."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 — torch's own custom

from eibert.errors import ShapeError
from eibert.params.section import Pooling

_SPREAD_ROWS = 8192
"""Rows converted to double precision at a time."""


def task_loss(logits: Tensor, targets: Tensor, *, regression: bool) -> Tensor:
    """Returns the cross-entropy (squared error for regression) summed over labelled rows, divided by all rows.

    Choice: divided by all rows of the batch, as the other losses are, so that a label's weight does not depend on which
    rows share its batch (decision 0004).

    Args:
        logits: Float (B, C); C = 1 for regression.
        targets: Class indices int64 (B,), -1 if unlabelled; or numbers float (B,), NaN if unlabelled.
        regression: Whether targets are numbers.

    Returns:
        Scalar, nats per row (or squared units of the target); 0 if no row has a label.
    """
    labelled = ~targets.isnan() if regression else targets >= 0
    if not labelled.any():
        return logits.sum() * 0.0
    share = labelled.float().mean()
    if regression:
        return F.mse_loss(logits.squeeze(-1)[labelled], targets[labelled]) * share
    return F.cross_entropy(logits[labelled], targets[labelled]) * share


def weighted(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Returns the sum of the terms, each times the weight of its name."""
    return sum((weights[name] * term for name, term in terms.items()), start=torch.zeros(()))


def logits_divergence(learner: Tensor, guide: Tensor, *, temperature: float, regression: bool) -> Tensor:
    """Returns the distillation loss of the learner's logits against the guide's.

    Source: Hinton et al. 2015, section 2: τ² · mean over rows of KL(softmax(guide/τ) ‖ softmax(learner/τ)).
    Choice: for regression, which has no classes to soften, the mean squared error (decision 0004).

    Args:
        learner: Logits, float (B, C).
        guide: Logits, float (B, C); detach them to keep the guide fixed.
        temperature: τ > 0, dimensionless.
        regression: Whether the single logit is a number.

    Returns:
        Scalar, nats per row times τ².

    Raises:
        ShapeError: learner and guide differ in shape.
    """
    _same_shape(learner, guide)
    if regression:
        return F.mse_loss(learner, guide)
    log_learner = F.log_softmax(learner / temperature, dim=-1)
    log_guide = F.log_softmax(guide / temperature, dim=-1)
    return F.kl_div(log_learner, log_guide, reduction="batchmean", log_target=True) * temperature**2


def representation_distance(learner: Tensor, guide: Tensor, *, scale: float, keep: Tensor | None = None) -> Tensor:
    """Returns the mean squared error of representations in units of the guide's variance.

    Choice: the paper's MSE divided by a fixed scale, so that one weight suits every teacher (decision 0004).

    Args:
        learner: Float (..., H).
        guide: Float (..., H).
        scale: Variance of the guide's entries around their mean; a learner that always predicts the mean scores 1.
        keep: Positions that count, bool (...); None: all.

    Returns:
        Scalar, dimensionless; 0 if no position counts.

    Raises:
        ShapeError: learner and guide differ in shape.
    """
    _same_shape(learner, guide)
    squared = (learner.float() - guide.float()).square().mean(dim=-1)
    if keep is None:
        return squared.mean() / scale
    return (squared * keep).sum() / keep.sum().clamp(min=1) / scale


def pool(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Returns one representation per row, its token mean or first token: float (B, T, H), mask (B, T) → (B, H)."""
    if pooling is Pooling.CLS:
        return hidden[:, 0]
    weights = mask.to(hidden.dtype).unsqueeze(-1)  # (B, T) → (B, T, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def _same_shape(learner: Tensor, guide: Tensor) -> None:
    if learner.shape != guide.shape:
        raise ShapeError(f"learner has shape {tuple(learner.shape)}, guide {tuple(guide.shape)}; they must agree")


class Spread:
    """Streaming variance of rows that arrive in batches."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, torch.zeros(()).double(), torch.zeros(()).double()

    def add(self, rows: Tensor) -> None:
        """Adds rows, float (N, H)."""
        values = rows.detach().double()
        self._count += len(values)
        self._sum = self._sum + values.sum(dim=0)
        self._squares = self._squares + values.square().sum(dim=0)

    @property
    def variance(self) -> float:
        """Variance of entries around their column mean, at least 1e-6."""
        mean = self._sum / self._count
        return max(float((self._squares / self._count - mean.square()).mean()), 1e-6)


def variance(rows: Tensor) -> float:
    """Returns the variance of entries around their column mean: float (N, H) → number, at least 1e-6."""
    spread = Spread()
    for part in torch.split(rows, _SPREAD_ROWS):
        spread.add(part)
    return spread.variance

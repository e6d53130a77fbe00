"""Linear maps and layer norms fitted by least squares, in closed form."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 — torch's own custom

_RIDGE = 1e-3
"""Ridge penalty in units of the inputs' mean square."""


def fit_linear(linear: nn.Linear, inputs: Tensor, targets: Tensor) -> None:
    """Fits a linear map from inputs (M, I) to targets (M, O), in place."""
    known, wanted = inputs.double(), targets.double()
    known_mean, wanted_mean = known.mean(dim=0), wanted.mean(dim=0)
    known, wanted = known - known_mean, wanted - wanted_mean
    weight = solve(known, wanted)
    linear.weight.copy_(weight)
    linear.bias.copy_(wanted_mean - weight @ known_mean)


def solve(known: Tensor, wanted: Tensor) -> Tensor:
    """Returns the map (O, I) from known (M, I) to wanted (M, O), with a small ridge penalty.

    Uses the normal equations: the last bits of `torch.linalg.lstsq` vary from call to call.
    """
    second = second_moment(known)
    second += _RIDGE * second.diagonal().mean() * torch.eye(len(second), dtype=second.dtype)
    weight: Tensor = torch.linalg.solve(second, known.T @ wanted / len(known)).T
    return weight


def fit_norm(norm: nn.LayerNorm, inputs: Tensor, targets: Tensor) -> Tensor:
    """Fits gain and bias of each coordinate to targets (M, H), in place; returns the normalised inputs."""
    plain, wanted = F.layer_norm(inputs, norm.normalized_shape, eps=norm.eps).double(), targets.double()
    plain_mean, wanted_mean = plain.mean(dim=0), wanted.mean(dim=0)
    spread = (plain - plain_mean).square().mean(dim=0).clamp(min=1e-12)
    gain = ((plain - plain_mean) * (wanted - wanted_mean)).mean(dim=0) / spread
    norm.weight.copy_(gain)
    norm.bias.copy_(wanted_mean - gain * plain_mean)
    found: Tensor = norm(inputs)
    return found


def second_moment(values: Tensor) -> Tensor:
    """Returns the mean of v vᵀ over rows v, (M, H) → (H, H)."""
    moment: Tensor = values.T @ values / len(values)
    return moment

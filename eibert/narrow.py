"""A teacher's representations, linear maps and attention heads in fewer dimensions."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eibert.least_squares import second_moment


@dataclass(frozen=True)
class Basis:
    """A subspace of the teacher's representations: x ≈ x' @ directions.T + offset, with x' = x @ directions.

    Attributes:
        directions: Float (H_T, H). The coordinates of x' sum to zero, so the centring of a layer norm is a no-op.
        offset: The component of the mean outside the subspace, float (H_T,).
    """

    directions: Tensor
    offset: Tensor

    @classmethod
    def of(cls, states: list[Tensor], width: int, seed: int) -> "Basis":
        """Returns the subspace that keeps most variance of states, float (M, H_T) each, in `width` coordinates."""
        mean = torch.stack([state.double().mean(dim=0) for state in states]).mean(dim=0)
        second = torch.stack([second_moment(state.double() - mean) for state in states]).sum(dim=0)
        principal = torch.linalg.eigh(second).eigenvectors.flip(-1)[:, : width - 1]
        principal = principal * principal.gather(0, principal.abs().argmax(dim=0, keepdim=True)).sign()
        frame = torch.randn(width, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        frame[:, 0] = 1.0
        turned = torch.linalg.qr(frame).Q[:, 1 : 1 + principal.shape[1]]  # orthonormal columns, each sums to zero
        outside = mean - principal @ (principal.T @ mean)
        return cls((principal @ turned.T).float(), outside.float())

    def narrow(self, linear: nn.Linear) -> tuple[Tensor, Tensor]:
        """Returns weight (O, H) and bias (O,) of a teacher's linear map rewritten to take x' instead of x."""
        return linear.weight @ self.directions, linear.bias + linear.weight @ self.offset

    def augmented(self, linear: nn.Linear) -> Tensor:
        """Returns the same with the bias appended as the last column, (O, H + 1)."""
        weight, bias = self.narrow(linear)
        return torch.cat([weight, bias.unsqueeze(-1)], dim=1)


def narrowed_scores(query: Tensor, key: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Returns query and key, (d, H + 1) with d ≤ size, whose scores q·k / √size best approximate q·k / √d_T."""
    scale = (size / len(query)) ** 0.5
    if len(query) <= size:
        return query * scale, key
    left, values, right = torch.linalg.svd(query.double().T @ key.double(), full_matrices=False)
    root = (values[:size] * scale).sqrt().unsqueeze(-1)
    return (root * left.T[:size]).float(), (root * right[:size]).float()


def narrowed_value(value: Tensor, output: Tensor, size: int) -> Tensor:
    """Returns a value map, (d, H + 1) with d ≤ size, that keeps most of what reaches the output (H, d_T)."""
    if len(value) <= size:
        return value
    _, values, right = torch.linalg.svd(output.double() @ value.double(), full_matrices=False)
    narrowed: Tensor = values[:size].unsqueeze(-1) * right[:size]
    return narrowed.float()

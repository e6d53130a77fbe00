"""Symmetric integers for one matrix: choose scales → round → pack."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eibert.params.quantize import Granularity

PACKED_BITS = 4
"""Values of at most this many bits are stored two to a byte."""
_SHRINK = torch.linspace(0.5, 1.0, 21).tolist()
"""Shares of the largest weight tried as the end of a packed matrix's range."""
_SMALLEST = 2.0**-14
"""The least scale that half precision holds exactly enough."""


@dataclass(frozen=True)
class Quantized:
    """A quantized matrix.

    The weight is values · scale, the scale repeated over the columns of its group.

    Attributes:
        values: Integers, int8 (R, C).
        scale: Float32 () for all, or (R,) per row; float16 (R, G) for G groups of C/G columns each.
        bits: Bits of a value; at most 4 are stored two to a byte.
    """

    values: Tensor
    scale: Tensor
    bits: int

    @property
    def is_packed(self) -> bool:
        """Whether two values share a byte."""
        return self.bits <= PACKED_BITS and self.values.shape[-1] % 2 == 0

    @property
    def bytes(self) -> int:
        """Bytes of values and scales as stored."""
        values = self.values.numel() // 2 if self.is_packed else self.values.numel()
        return values + self.scale.numel() * self.scale.element_size()

    def dequantize(self) -> Tensor:
        """Returns the weight, float32 (R, C)."""
        return self.values.float() * spread(self.scale.float(), self.values.shape[-1])


def spread(scale: Tensor, columns: int) -> Tensor:
    """Returns scales that multiply a matrix of `columns` columns: () as it is, (R,) → (R, 1), (R, G) → (R, C)."""
    if scale.ndim == 0:
        return scale
    return scale.unsqueeze(-1) if scale.ndim == 1 else scale.repeat_interleave(columns // scale.shape[-1], dim=-1)


def quantize_tensor(weight: Tensor, bits: int, granularity: Granularity, group: int = 32) -> Quantized:
    """Returns the nearest symmetric integers under scales chosen for the weight.

    Choice: more than four bits cover the largest weight, so that the error is at most half a scale; with four or fewer
    the end of the range is the one of 21 shares of the largest weight with the least squared error (decision 0009).

    Args:
        weight: Float (R, C).
        bits: 2 to 8; values lie in ±(2^(bits-1) − 1).
        granularity: One scale per row (output channel), per group of columns, or one for all.
        group: Columns that share a scale; a matrix whose columns it does not divide has one scale per row.
    """
    rows = weight.detach().float()
    if granularity is Granularity.GROUP and (rows.shape[1] % group or rows.shape[1] == group):
        granularity = Granularity.CHANNEL
    parts = {
        Granularity.TENSOR: lambda: rows.reshape(1, -1),
        Granularity.CHANNEL: lambda: rows,
        Granularity.GROUP: lambda: rows.reshape(-1, group),
    }[granularity]()
    scale = _scales(parts, bits, half=granularity is Granularity.GROUP)
    values = _rounded(parts, scale, bits).reshape(rows.shape).to(torch.int8)
    match granularity:
        case Granularity.TENSOR:
            scale = scale.reshape(())
        case Granularity.GROUP:
            scale = scale.reshape(len(rows), -1).half()
    return Quantized(values, scale, bits)


def _scales(parts: Tensor, bits: int, *, half: bool) -> Tensor:
    """Returns a scale for each row of parts, (P,); exact in half precision where `half` asks for it."""
    limit = 2 ** (bits - 1) - 1
    largest = parts.abs().amax(dim=1)
    shares = _SHRINK if bits <= PACKED_BITS else [1.0]
    best, least = torch.ones_like(largest), torch.full_like(largest, torch.inf)
    for share in shares:
        scale = largest * share / limit
        if half:
            scale = scale.half().float().clamp(min=_SMALLEST)
        scale = torch.where(largest > 0, scale, torch.ones_like(scale))
        error = (parts - _rounded(parts, scale, bits) * scale.unsqueeze(-1)).square().sum(dim=1)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


def _rounded(parts: Tensor, scale: Tensor, bits: int) -> Tensor:
    limit = 2 ** (bits - 1) - 1
    return (parts / scale.unsqueeze(-1)).round().clamp(-limit, limit)


def pack(values: Tensor) -> Tensor:
    """Returns two values to a byte: int8 (R, C) in ±7 → uint8 (R, C/2), the first half of the columns above.

    Byte = 16 · (first + 8) + (second + 8), so that a graph unpacks with a floor, a product and one concatenation.
    """
    first, second = (values.to(torch.int16) + 8).chunk(2, dim=-1)
    return (16 * first + second).to(torch.uint8)


def unpack(packed: Tensor) -> Tensor:
    """Returns what `pack` packed: uint8 (R, C/2) → int8 (R, C)."""
    both = packed.to(torch.int16)
    return (torch.cat([both // 16, both % 16], dim=-1) - 8).to(torch.int8)

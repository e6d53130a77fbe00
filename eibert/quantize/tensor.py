"""Symmetric quantization of one matrix: choose scales → round → pack."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eibert.params.quantize import Granularity

PACKED_BITS = 4
"""Values of at most this many bits are packed two to a byte."""
_SHRINK = torch.linspace(0.5, 1.0, 21).tolist()
"""Clipping ranges tried for packed matrices, as shares of the largest weight."""
_TINIEST, _SMALLEST, _LARGEST = 2.0**-24, 2.0**-14, 65504.0
"""Smallest number of float16, smallest normal one and largest one."""


@dataclass(frozen=True)
class Quantized:
    """A quantized matrix: weight = values · scale, each scale repeated over the columns of its group.

    Attributes:
        values: Integers, int8 (R, C).
        scale: Float32 () per tensor, or (R,) per row; (R, G) for G groups of C/G columns each, float16 if
            that can hold them (not the head of a regression whose targets are tiny or huge).
        bits: Bits per value; values of at most 4 bits are packed two to a byte.
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
        """Returns the dequantized weight, float32 (R, C)."""
        return self.values.float() * spread(self.scale.float(), self.values.shape[-1])


def spread(scale: Tensor, columns: int) -> Tensor:
    """Returns scales broadcastable to a matrix of `columns` columns: () as is, (R,) → (R, 1), (R, G) → (R, C)."""
    if scale.ndim == 0:
        return scale
    return scale.unsqueeze(-1) if scale.ndim == 1 else scale.repeat_interleave(columns // scale.shape[-1], dim=-1)


def quantize_tensor(weight: Tensor, bits: int, granularity: Granularity, group: int = 32) -> Quantized:
    """Quantizes a weight symmetrically, rounding to nearest under scales chosen for it.

    Choice: above four bits the range covers the largest weight, so that the error is at most half a scale; at four or
    fewer the range is clipped to whichever of 21 shares of the largest weight has the least squared error
    (decision 0009).

    Args:
        weight: Float (R, C).
        bits: 2 to 8; values lie in ±(2^(bits-1) − 1).
        granularity: One scale per row (output channel), per group of columns, or per tensor.
        group: Columns that share a scale; if it does not divide C or equals C, there is one scale per row.
    """
    rows = weight.detach().float()
    if granularity is Granularity.GROUP and (rows.shape[1] % group or rows.shape[1] == group):
        granularity = Granularity.CHANNEL
    parts = {
        Granularity.TENSOR: lambda: rows.reshape(1, -1),
        Granularity.CHANNEL: lambda: rows,
        Granularity.GROUP: lambda: rows.reshape(-1, group),
    }[granularity]()
    # Groups far smaller than the largest get an imprecise scale, which costs little: values are rounded to that scale.
    half = granularity is Granularity.GROUP and _SMALLEST <= float(parts.abs().max()) / _limit(bits) <= _LARGEST
    scale = _scales(parts, bits, half=half)
    values = _rounded(parts, scale, bits).reshape(rows.shape).to(torch.int8)
    match granularity:
        case Granularity.TENSOR:
            scale = scale.reshape(())
        case Granularity.GROUP:
            scale = scale.reshape(len(rows), -1)
            scale = scale.half() if half else scale
    return Quantized(values, scale, bits)


def _scales(parts: Tensor, bits: int, *, half: bool) -> Tensor:
    """Returns a scale for each row of parts, (P,); with `half`, exactly representable in float16."""
    limit = _limit(bits)
    largest = parts.abs().amax(dim=1)
    shares = _SHRINK if bits <= PACKED_BITS else [1.0]
    best, least = torch.ones_like(largest), torch.full_like(largest, torch.inf)
    for share in shares:
        scale = largest * share / limit
        if half:
            scale = scale.half().float().clamp(min=_TINIEST)
        scale = torch.where(largest > 0, scale, torch.ones_like(scale))
        error = (parts - _rounded(parts, scale, bits) * scale.unsqueeze(-1)).square().sum(dim=1)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


def _rounded(parts: Tensor, scale: Tensor, bits: int) -> Tensor:
    limit = _limit(bits)
    return (parts / scale.unsqueeze(-1)).round().clamp(-limit, limit)


def _limit(bits: int) -> int:
    return int(2 ** (bits - 1) - 1)


def pack(values: Tensor) -> Tensor:
    """Packs two values to a byte: int8 (R, C) in ±7 → uint8 (R, C/2), the first half of the columns in the high bits.

    Byte = 16 · (first + 8) + (second + 8), so that a graph unpacks with a floor, products and one concatenation.
    """
    first, second = (values.to(torch.int16) + 8).chunk(2, dim=-1)
    return (16 * first + second).to(torch.uint8)


def unpack(packed: Tensor) -> Tensor:
    """Inverts `pack`: uint8 (R, C/2) → int8 (R, C)."""
    both = packed.to(torch.int16)
    return (torch.cat([both // 16, both % 16], dim=-1) - 8).to(torch.int8)

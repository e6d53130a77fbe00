"""Activation scales, calibrated on the input ranges of a student's matrix products."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from eibert.batches import encode
from eibert.corpus import Split
from eibert.params.quantize import Calibration, QuantizeParams
from eibert.student import Student

_SAMPLED = 100_000
"""Maximum activations per product and row used to estimate a percentile."""


@torch.no_grad()
def calibrate(student: Student, rows: Split, names: list[str], params: QuantizeParams) -> dict[str, float]:
    """Returns a symmetric INT8 scale for the input of each named product, from the ranges observed on rows.

    Choice: the largest absolute input, or the mean over rows of its percentile (decision 0007).
    """
    if not names:
        return {}
    watched, seen = copy.deepcopy(student), {name: [0.0] for name in names}
    for name in names:
        watched.get_submodule(name).register_forward_pre_hook(_watching(seen[name], params))
    encoded = encode(watched.tokenizer, rows.texts, rows.texts_b, max_tokens=watched.max_tokens)
    few = min(params.calibration_rows, len(rows))
    for row in np.linspace(0, len(rows) - 1, few).astype(int):  # spread over train, in case it is sorted by class
        watched.logits(encoded.batch([row]))  # one by one, to exclude padding
    join = max if params.calibration is Calibration.MAX else np.mean
    return {name: max(float(join(ranges[1:])), 1e-6) / 127.0 for name, ranges in seen.items()}


def _watching(seen: list[float], params: QuantizeParams) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].abs().flatten()
        if params.calibration is Calibration.MAX:
            seen.append(float(values.max()))
        else:
            stride = -(-len(values) // _SAMPLED)
            seen.append(float(np.percentile(values[::stride].numpy(), params.percentile)))

    return hook

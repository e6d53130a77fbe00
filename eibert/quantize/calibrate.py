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


@torch.no_grad()
def calibrate(student: Student, rows: Split, names: list[str], params: QuantizeParams) -> dict[str, float]:
    """Returns a symmetric INT8 scale for the input of each named product, from the ranges observed on rows.

    Choice: the largest absolute input, or the mean over rows of its percentile (decision 0007).
    """
    if not names:
        return {}
    watched = copy.deepcopy(student)
    seen: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        watched.get_submodule(name).register_forward_pre_hook(_watching(seen[name], params))
    few = rows.spread(params.calibration_rows)
    encoded = encode(watched.tokenizer, few.texts, few.texts_b, max_tokens=watched.max_tokens)
    for row in range(len(few)):
        watched.logits(encoded.batch([row]))  # one by one, to exclude padding
    join = max if params.calibration is Calibration.MAX else np.mean
    return {name: max(float(join(ranges)), 1e-6) / 127.0 for name, ranges in seen.items()}


def _watching(seen: list[float], params: QuantizeParams) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].abs().flatten()
        if params.calibration is Calibration.MAX:
            seen.append(float(values.max()))
        else:
            seen.append(float(np.percentile(values.numpy(), params.percentile)))

    return hook

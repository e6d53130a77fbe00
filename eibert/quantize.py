"""Module-wise post-training quantization: choose scale → quantize → dequantize → measure.

Source: EI-BERT as reported: INT8, module by module, after distillation. Choice: symmetric, per output channel and per
row of a table; activations stay float unless a module asks for a calibrated scale (decision 0007).
"""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from eibert import optimize
from eibert.batches import encode, predict
from eibert.corpus import Split, TaskSpec
from eibert.params.quantize import Activations, Calibration, Granularity, ModuleParams, QuantizeParams
from eibert.progress import Report, silent
from eibert.scores import agreement
from eibert.student import Student, read_shape, read_tokens

WEIGHTS = "weights.safetensors"
_SCALE, _ACTIVATION = ".scale", "activation."
_SAMPLED = 100_000
"""Activations of one product taken from one row when a percentile is sought."""


@dataclass(frozen=True)
class Quantized:
    """A quantized tensor: values int8 (R, …), and a scale float32 (R,) per row or () for all.

    The weight is value · scale.
    """

    values: Tensor
    scale: Tensor

    def dequantize(self) -> Tensor:
        """Returns the weight, float32 (R, …)."""
        scale = self.scale if self.scale.ndim == 0 else self.scale.view(-1, *[1] * (self.values.ndim - 1))
        return self.values.float() * scale


def quantize_tensor(weight: Tensor, bits: int, granularity: Granularity) -> Quantized:
    """Returns the nearest symmetric integers; the error is at most half a scale, and a row of zeros stays zero.

    Args:
        weight: Float (R, …).
        bits: 2 to 8; values lie in ±(2^(bits-1) − 1).
        granularity: One scale per row (output channel), or one for all.
    """
    limit = 2 ** (bits - 1) - 1
    rows = weight.detach().float()
    largest = rows.abs().flatten(1).amax(dim=1) if granularity is Granularity.CHANNEL else rows.abs().max()
    scale = torch.where(largest > 0, largest / limit, torch.ones_like(largest))
    shaped = scale if scale.ndim == 0 else scale.view(-1, *[1] * (rows.ndim - 1))
    values = (rows / shaped).round().clamp(-limit, limit).to(torch.int8)
    return Quantized(values, scale)


@dataclass(frozen=True)
class Module:
    """A part of the student that is quantized as one: its name, its kind, and the names of its matrices."""

    name: str
    kind: str
    matrices: tuple[str, ...]


def modules_of(student: Student) -> list[Module]:
    """Returns the student's modules from the input to the output."""
    found = [Module("embedding", "embedding", ("table", "embedding_projection", "positions", "segments"))]
    for index in range(len(student.layers)):
        at = f"layers.{index}"
        found.append(Module(f"{at}.attention", "attention", (f"{at}.qkv", f"{at}.attention_output")))
        inner = (f"{at}.feed_forward_input", f"{at}.feed_forward_output")
        found.append(Module(f"{at}.feed_forward", "feed_forward", inner))
    return [*found, Module("head", "head", ("head",))]


@dataclass(frozen=True)
class QuantizedStudent:
    """What `export` needs: integers with scales, the tensors left float, and calibrated activation scales.

    Attributes:
        weights: By matrix name, without `.weight`.
        floats: By tensor name: biases and norms.
        activations: Scale of the input of a matrix product, by matrix name; absent: float input.
    """

    weights: dict[str, Quantized]
    floats: dict[str, Tensor]
    activations: dict[str, float]


def section(params: QuantizeParams, kind: str) -> ModuleParams:
    """Returns the parameters of one kind of module."""
    found: ModuleParams = getattr(params, kind)
    return found


def quantize(
    student: Student, spec: TaskSpec, calibration: Split, dev: Split, params: QuantizeParams, report: Report = silent
) -> tuple[QuantizedStudent, list[dict[str, Any]]]:
    """Returns the quantized student and one record of errors per module.

    A record holds `module kind bits parameters bytes sqnr_db max_error` of the weights, and what happens when this
    module alone is quantized: `agreement` of dev answers with the float student and `logits_error`, the largest
    difference of a logit.

    Args:
        student: Distilled, its head folded; not changed.
        spec: The task.
        calibration: Training rows, of which `calibration_rows` are used.
        dev: Rows on which agreement is measured.
        params: Section `quantize`.
        report: Told after each module.
    """
    optimize.prepare(params.threads)
    parts = modules_of(student)
    weights = {
        name: quantize_tensor(student.get_submodule(name).weight, *_grain(section(params, part.kind)))  # type: ignore[arg-type]
        for part in parts
        for name in part.matrices
    }
    chosen = [
        name
        for part in parts
        if section(params, part.kind).activations is Activations.INT8
        for name in part.matrices
        if isinstance(student.get_submodule(name), nn.Linear)
    ]
    activations = calibrate(student, calibration, chosen, params)
    floats = {
        name: value for name, value in student.state_dict().items() if name.removesuffix(".weight") not in weights
    }
    quantized = QuantizedStudent(weights, floats, activations)
    reference = predict(student, dev, batch_size=params.batch_size)
    errors = []
    for position, part in enumerate(parts):
        only = simulate(student, quantized, set(part.matrices))
        errors.append(_errors(student, quantized, part, section(params, part.kind).bits))
        logits = predict(only, dev, batch_size=params.batch_size)
        errors[-1]["agreement"] = agreement(reference, logits, regression=spec.regression)
        errors[-1]["logits_error"] = float(np.abs(reference - logits).max())
        report(position + 1, len(parts), agreement=errors[-1]["agreement"])
    return quantized, errors


def simulate(student: Student, quantized: QuantizedStudent, only: set[str] | None = None) -> Student:
    """Returns a copy of the student that computes with the quantized values; `only`: of these matrices alone."""
    copied = copy.deepcopy(student)
    for name, tensor in quantized.weights.items():
        if only is None or name in only:
            copied.get_submodule(name).weight.data = tensor.dequantize()
    for name, scale in quantized.activations.items():
        if only is None or name in only:
            copied.get_submodule(name).register_forward_pre_hook(_rounding(scale))
    return copied.eval()


def _rounding(scale: float) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return ((inputs[0] / scale).round().clamp(-128, 127) * scale, *inputs[1:])

    return hook


@torch.no_grad()
def calibrate(student: Student, rows: Split, names: list[str], params: QuantizeParams) -> dict[str, float]:
    """Returns a symmetric INT8 scale for the input of each named product, from the ranges seen on rows.

    Choice: the largest absolute input, or the mean over rows of its percentile (decision 0007).
    """
    if not names:
        return {}
    watched, seen = copy.deepcopy(student), {name: [0.0] for name in names}
    for name in names:
        watched.get_submodule(name).register_forward_pre_hook(_watching(seen[name], params))
    encoded = encode(watched.tokenizer, rows.texts, rows.texts_b, max_tokens=watched.max_tokens)
    few = min(params.calibration_rows, len(rows))
    for row in np.linspace(0, len(rows) - 1, few).astype(int):  # spread over train, which may be sorted by class
        watched.logits(encoded.batch([row]))  # one by one: padding is no input
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


def _grain(params: ModuleParams) -> tuple[int, Granularity]:
    return params.bits, params.granularity


def _errors(student: Student, quantized: QuantizedStudent, part: Module, bits: int) -> dict[str, Any]:
    pairs = [(student.state_dict()[f"{name}.weight"], quantized.weights[name]) for name in part.matrices]
    noise = sum(float((weight - tensor.dequantize()).square().sum()) for weight, tensor in pairs)
    signal = sum(float(weight.square().sum()) for weight, _ in pairs)
    largest = max(float((weight - tensor.dequantize()).abs().max()) for weight, tensor in pairs)
    return {
        "module": part.name,
        "kind": part.kind,
        "bits": bits,
        "parameters": sum(tensor.values.numel() for _, tensor in pairs),
        "bytes": sum(tensor.values.numel() + 4 * tensor.scale.numel() for _, tensor in pairs),
        "sqnr_db": float(10 * np.log10(signal / noise)) if noise > 0 else 200.0,
        "max_error": largest,
    }


def save_quantized(quantized: QuantizedStudent, folder: Path) -> None:
    """Writes integers, scales and float tensors; shape and vocabulary belong beside them."""
    tensors = {name: value.contiguous() for name, value in quantized.floats.items()}
    for name, tensor in quantized.weights.items():
        tensors |= {f"{name}.weight": tensor.values.contiguous(), f"{name}{_SCALE}": tensor.scale.contiguous()}
    tensors |= {f"{_ACTIVATION}{name}": torch.tensor(scale) for name, scale in quantized.activations.items()}
    save_file(tensors, folder / WEIGHTS)


def load_quantized(folder: Path) -> tuple[Student, QuantizedStudent]:
    """Returns the simulating student and its integers, as `save_quantized` and the student's files hold them."""
    tensors = load_file(folder / WEIGHTS)
    names = [key.removesuffix(_SCALE) for key in tensors if key.endswith(_SCALE)]
    weights = {name: Quantized(tensors[f"{name}.weight"], tensors[f"{name}{_SCALE}"]) for name in names}
    activations = {
        key.removeprefix(_ACTIVATION): float(value) for key, value in tensors.items() if key.startswith(_ACTIVATION)
    }
    special = re.compile(rf"({re.escape(_SCALE)}$|^{re.escape(_ACTIVATION)})")
    floats = {
        key: value
        for key, value in tensors.items()
        if not special.search(key) and key.removesuffix(".weight") not in weights
    }
    quantized = QuantizedStudent(weights, floats, activations)
    student = Student(read_shape(folder), read_tokens(folder))
    student.projection, student.head = None, nn.Linear(student.shape.hidden, student.shape.outputs)
    student.load_state_dict(floats | {f"{name}.weight": tensor.dequantize() for name, tensor in weights.items()})
    return simulate(student, quantized), quantized

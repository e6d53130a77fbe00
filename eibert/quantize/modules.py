"""The student's quantization units, its integer weights, and simulated quantized inference."""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from eibert.params.quantize import Granularity, ModuleParams, QuantizeParams
from eibert.quantize.tensor import PACKED_BITS, Quantized, pack, quantize_tensor, unpack
from eibert.student import Student, read_shape, read_tokens, student_of

WEIGHTS = "weights.safetensors"
_SCALE, _ACTIVATION, _BITS = ".scale", "activation.", ".bits"


@dataclass(frozen=True)
class Module:
    """A part of the student that is quantized as a unit: its name, its kind, and the names of its matrices."""

    name: str
    kind: str
    matrices: tuple[str, ...]


def modules_of(student: Student) -> list[Module]:
    """Returns the student's modules from input to output."""
    found = [Module("embedding", "embedding", ("table", "embedding_projection", "positions", "segments"))]
    for index in range(len(student.layers)):
        at = f"layers.{index}"
        found.append(Module(f"{at}.attention", "attention", (f"{at}.qkv", f"{at}.attention_output")))
        inner = (f"{at}.feed_forward_input", f"{at}.feed_forward_output")
        found.append(Module(f"{at}.feed_forward", "feed_forward", inner))
    return [*found, Module("head", "head", ("head",))]


@dataclass(frozen=True)
class QuantizedStudent:
    """What `export` needs: integers with scales, the tensors kept in float, and calibrated activation scales.

    Attributes:
        weights: Quantized matrices by name, without `.weight`.
        floats: Biases and norms by tensor name.
        activations: Scale of the input of a matrix product, by matrix name; absent: float input.
    """

    weights: dict[str, Quantized]
    floats: dict[str, Tensor]
    activations: dict[str, float]


def section(params: QuantizeParams, kind: str) -> ModuleParams:
    """Returns the parameters of one kind of module."""
    found: ModuleParams = getattr(params, kind)
    return found


def integers_of(student: Student, part: Module, params: QuantizeParams, bits: int) -> dict[str, Quantized]:
    """Returns a module's matrices quantized to some bits, by matrix name.

    Choice: a module packed to save bytes gets one scale per group of columns, whatever its granularity, because at four
    bits one scale per row costs much accuracy (decision 0009).
    """
    given = section(params, part.kind)
    granularity = Granularity.GROUP if bits <= PACKED_BITS < given.bits else given.granularity
    return {
        name: quantize_tensor(student.get_submodule(name).weight, bits, granularity, params.group)  # type: ignore[arg-type]
        for name in part.matrices
    }


def floats_of(student: Student, weights: dict[str, Quantized]) -> dict[str, Tensor]:
    """Returns the tensors of a student that are not quantized."""
    return {name: value for name, value in student.state_dict().items() if name.removesuffix(".weight") not in weights}


def simulate(student: Student, quantized: QuantizedStudent, only: set[str] | None = None) -> Student:
    """Returns a copy of the student that computes with the quantized values, of all matrices or `only` these."""
    copied = copy.deepcopy(student)
    for name, tensor in quantized.weights.items():
        if only is None or name in only:
            copied.get_submodule(name).weight.data = tensor.dequantize()
    for name, scale in quantized.activations.items():
        if only is None or name in only:
            copied.get_submodule(name).register_forward_pre_hook(_rounding(scale))
    if only is None:
        copied.load_state_dict(quantized.floats, strict=False)
    return copied.eval()


def _rounding(scale: float) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return ((inputs[0] / scale).round().clamp(-128, 127) * scale, *inputs[1:])

    return hook


def save_quantized(quantized: QuantizedStudent, folder: Path) -> None:
    """Writes integers, scales and float tensors; shape and vocabulary are saved separately beside them."""
    tensors = {name: value.contiguous() for name, value in quantized.floats.items()}
    for name, tensor in quantized.weights.items():
        values = pack(tensor.values) if tensor.is_packed else tensor.values
        tensors |= {f"{name}.weight": values.contiguous(), f"{name}{_SCALE}": tensor.scale.contiguous()}
        tensors |= {f"{name}{_BITS}": torch.tensor(tensor.bits, dtype=torch.int8)}
    tensors |= {f"{_ACTIVATION}{name}": torch.tensor(scale) for name, scale in quantized.activations.items()}
    save_file(tensors, folder / WEIGHTS)


def load_quantized(folder: Path) -> tuple[Student, QuantizedStudent]:
    """Loads the simulated quantized student and its integers from the files of `save_quantized` and the student."""
    tensors = load_file(folder / WEIGHTS)
    weights: dict[str, Quantized] = {}
    for name in [key.removesuffix(_SCALE) for key in tensors if key.endswith(_SCALE)]:
        values = tensors[f"{name}.weight"]
        plain = unpack(values) if values.dtype == torch.uint8 else values
        weights[name] = Quantized(plain, tensors[f"{name}{_SCALE}"], int(tensors[f"{name}{_BITS}"]))
    activations = {
        key.removeprefix(_ACTIVATION): float(value) for key, value in tensors.items() if key.startswith(_ACTIVATION)
    }
    special = re.compile(rf"({re.escape(_SCALE)}|{re.escape(_BITS)})$|^{re.escape(_ACTIVATION)}")
    floats = {
        key: value
        for key, value in tensors.items()
        if not special.search(key) and key.removesuffix(".weight") not in weights
    }
    quantized = QuantizedStudent(weights, floats, activations)
    dequantized = {f"{name}.weight": tensor.dequantize() for name, tensor in weights.items()}
    student = student_of(read_shape(folder), read_tokens(folder), floats | dequantized)
    return simulate(student, quantized), quantized

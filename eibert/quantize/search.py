"""Bit search under a byte budget: measure each module's sensitivity alone → pack the least harmful per byte saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eibert.batches import predict
from eibert.corpus import Split
from eibert.errors import ParamsError
from eibert.params.quantize import QuantizeParams
from eibert.progress import Report, silent
from eibert.quantize.modules import Module, QuantizedStudent, integers_of, modules_of, section, simulate
from eibert.quantize.tensor import PACKED_BITS
from eibert.student import Student


@dataclass(frozen=True)
class Option:
    """Packing one module alone: bytes saved, and mean squared change of the logits."""

    saved: int
    harm: float


def spend(
    student: Student, rows: Split, params: QuantizeParams, report: Report = silent
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Returns bits by module that fit `weight_bytes`, and the measurements of each module.

    Choice: harm is assumed additive; modules are packed in order of harm per byte saved, then, while the budget allows,
    unpacked again, the most harmful first (decision 0009). Without a budget the bits are those of the parameters.

    Args:
        student: Distilled, its head folded.
        rows: Rows on which logits are compared; at most `calibration_rows` are used.
        params: Section `quantize`.
        report: Called after each module.

    Raises:
        ParamsError: the budget cannot be met; the message names the smallest size possible.
    """
    parts = modules_of(student)
    given = {part.name: section(params, part.kind).bits for part in parts}
    if params.weight_bytes is None:
        return given, []
    full = {part.name: _bytes(student, part, params, given[part.name]) for part in parts}
    options: dict[str, Option] = {}
    few = rows.spread(params.calibration_rows)
    reference = predict(student, few, batch_size=params.batch_size)
    for position, part in enumerate(parts):
        if given[part.name] > PACKED_BITS:
            weights = integers_of(student, part, params, PACKED_BITS)
            packed = simulate(student, QuantizedStudent(weights, {}, {}))
            change = predict(packed, few, batch_size=params.batch_size) - reference
            saved = full[part.name] - sum(tensor.bytes for tensor in weights.values())
            options[part.name] = Option(saved, float(np.square(change).mean()))
        report(position + 1, len(parts))
    chosen = fitting(options, sum(full.values()), params.weight_bytes)
    measured = [{"module": name, "saved": option.saved, "harm": option.harm} for name, option in options.items()]
    return given | dict.fromkeys(chosen, PACKED_BITS), measured


def fitting(options: Mapping[str, Option], total: int, budget: int) -> set[str]:
    """Returns the modules to pack so that `total` bytes shrink to at most `budget`.

    Raises:
        ParamsError: packing all modules is not enough.
    """
    chosen: set[str] = set()
    for name in sorted(options, key=lambda name: options[name].harm / max(1, options[name].saved)):
        if total <= budget:
            break
        if options[name].saved > 0:
            chosen.add(name)
            total -= options[name].saved
    if total > budget:
        raise ParamsError(
            f"quantize.weight_bytes: {budget:,} is too small; with every module at {PACKED_BITS} bits the weights take "
            f"{total:,} bytes. Raise it, keep fewer tokens (section prune), or lower pretrain.student.*"
        )
    for name in sorted(chosen, key=lambda name: -options[name].harm):
        if total + options[name].saved <= budget:
            chosen.remove(name)
            total += options[name].saved
    return chosen


def _bytes(student: Student, part: Module, params: QuantizeParams, bits: int) -> int:
    return sum(tensor.bytes for tensor in integers_of(student, part, params, bits).values())

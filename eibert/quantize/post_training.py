"""Post-training quantization of a student: round each module, optionally tune, and measure each module's error."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from eibert import optimize
from eibert.batches import predict
from eibert.corpus import Split, TaskSpec
from eibert.params.quantize import Activations, QuantizeParams
from eibert.progress import Report, silent
from eibert.quantize.calibrate import calibrate
from eibert.quantize.modules import (
    Module,
    QuantizedStudent,
    floats_of,
    integers_of,
    modules_of,
    section,
    simulate,
)
from eibert.quantize.tensor import Quantized
from eibert.quantize.tune import tune
from eibert.scores import agreement
from eibert.student import Student


def quantize(
    student: Student,
    spec: TaskSpec,
    rows: Split,
    params: QuantizeParams,
    *,
    bits: Mapping[str, int] | None = None,
    seed: int = 0,
    report: Report = silent,
) -> tuple[Student, QuantizedStudent]:
    """Returns the float student behind the integers, which tuning changes, and the integers.

    Args:
        student: Distilled, its head folded; not changed.
        spec: The task.
        rows: Training rows: `calibration_rows` of them calibrate the activations, `tune_rows` are used for tuning.
        params: Section `quantize`.
        bits: Bits by module, as returned by `spend`; None: those of the parameters.
        seed: Seed of the row order in tuning.
        report: Called after each tuning step.
    """
    optimize.prepare(params.threads)
    weights: dict[str, Quantized] = {}
    for part in modules_of(student):
        weights |= integers_of(student, part, params, bits[part.name] if bits else section(params, part.kind).bits)
    if params.tune_rows:
        student, weights = tune(student, weights, rows, params, spec=spec, seed=seed, report=report)
    rounded = [
        name
        for part in modules_of(student)
        if section(params, part.kind).activations is Activations.INT8
        for name in part.matrices
        if isinstance(student.get_submodule(name), nn.Linear)
    ]
    activations = calibrate(student, rows, rounded, params)
    return student, QuantizedStudent(weights, floats_of(student, weights), activations)


def measure(
    student: Student,
    quantized: QuantizedStudent,
    spec: TaskSpec,
    dev: Split,
    *,
    batch_size: int,
    report: Report = silent,
) -> list[dict[str, Any]]:
    """Returns one record of quantization errors per module.

    A record has `module kind bits parameters bytes sqnr_db max_error` of the weights, and the effect of quantizing this
    module alone: `agreement` of dev answers with the float student and `logits_error`, the largest difference of a
    logit. After tuning, the float student is the tuned one behind the rounding, not the distilled one.
    """
    reference = predict(student, dev, batch_size=batch_size)
    parts, errors = modules_of(student), []
    for position, part in enumerate(parts):
        only = simulate(student, quantized, set(part.matrices))
        logits = predict(only, dev, batch_size=batch_size)
        alone = {
            "agreement": agreement(reference, logits, regression=spec.regression),
            "logits_error": float(np.abs(reference - logits).max()),
        }
        errors.append(_errors(student, quantized, part) | alone)
        report(position + 1, len(parts), agreement=alone["agreement"])
    return errors


def _errors(student: Student, quantized: QuantizedStudent, part: Module) -> dict[str, Any]:
    pairs = [(student.state_dict()[f"{name}.weight"], quantized.weights[name]) for name in part.matrices]
    noise = sum(float((weight - tensor.dequantize()).square().sum()) for weight, tensor in pairs)
    signal = sum(float(weight.square().sum()) for weight, _ in pairs)
    return {
        "module": part.name,
        "kind": part.kind,
        "bits": pairs[0][1].bits,
        "parameters": sum(tensor.values.numel() for _, tensor in pairs),
        "bytes": sum(tensor.bytes for _, tensor in pairs),
        "sqnr_db": float(10 * np.log10(signal / noise)) if noise > 0 else 200.0,
        "max_error": max(float((weight - tensor.dequantize()).abs().max()) for weight, tensor in pairs),
    }

"""Quantization: bounds of the error, by hand and as properties; simulation and files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eibert.batches import encode, predict
from eibert.corpus import Split, TaskSpec
from eibert.params.load import Params
from eibert.params.quantize import Activations, Calibration, Granularity
from eibert.quantize import (
    calibrate,
    load_quantized,
    modules_of,
    quantize,
    quantize_tensor,
    save_quantized,
    simulate,
)  # fmt: skip
from eibert.student import Student, save_student


def test_values_and_scales_match_hand_arithmetic() -> None:
    found = quantize_tensor(torch.tensor([[1.27, -0.64, 0.004], [0.0, 0.0, 0.0]]), 8, Granularity.CHANNEL)
    assert found.values.tolist() == [[127, -64, 0], [0, 0, 0]]
    assert found.scale.tolist() == pytest.approx([0.01, 1.0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 8), st.sampled_from(Granularity), st.floats(1e-4, 1e4))
def test_error_is_at_most_half_a_scale(seed: int, bits: int, granularity: Granularity, size: float) -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(seed)) * size
    found = quantize_tensor(weight, bits, granularity)
    scale = found.scale if found.scale.ndim == 0 else found.scale.unsqueeze(-1)
    assert bool(((weight - found.dequantize()).abs() <= scale * 0.5 * (1 + 1e-4)).all())
    assert int(found.values.abs().max()) <= 2 ** (bits - 1) - 1


def test_one_scale_for_all_is_a_scalar() -> None:
    assert quantize_tensor(torch.randn(3, 4), 8, Granularity.TENSOR).scale.ndim == 0


def test_every_matrix_belongs_to_exactly_one_module(student: Student) -> None:
    student.fold()
    named = [f"{name}.weight" for part in modules_of(student) for name in part.matrices]
    matrices = [name for name, value in student.state_dict().items() if value.ndim > 1]
    assert sorted(named) == sorted(matrices)


def test_records_name_the_errors_of_each_module(student: Student, spec: TaskSpec, rows: Split, params: Params) -> None:
    student.fold()
    quantized, errors = quantize(student, spec, rows, rows, params.quantize)
    assert [entry["module"] for entry in errors] == [part.name for part in modules_of(student)]
    head = errors[-1]
    weight = student.head.weight.detach()
    difference = (weight - quantized.weights["head"].dequantize()).abs()
    assert head["max_error"] == pytest.approx(float(difference.max()))
    signal, noise = weight.square().sum(), difference.square().sum()
    assert head["sqnr_db"] == pytest.approx(float(10 * torch.log10(signal / noise)), rel=1e-4)
    assert head["parameters"] == 36


def test_fewer_bits_make_larger_errors(student: Student, spec: TaskSpec, rows: Split, params: Params) -> None:
    student.fold()
    noisy = params.quantize.model_copy(update={"attention": params.quantize.attention.model_copy(update={"bits": 3})})
    fine, coarse = (quantize(student, spec, rows, rows, each)[1][1]["sqnr_db"] for each in (params.quantize, noisy))
    assert coarse < fine - 20  # five bits fewer are about 30 dB


def test_saved_integers_compute_what_was_simulated(
    student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    student.fold()
    eight = params.quantize.feed_forward.model_copy(update={"activations": Activations.INT8})
    quantized, _ = quantize(student, spec, rows, rows, params.quantize.model_copy(update={"feed_forward": eight}))
    save_student(student, tmp_path)
    save_quantized(quantized, tmp_path)
    loaded, again = load_quantized(tmp_path)
    assert again.activations == pytest.approx(quantized.activations)
    assert set(again.activations) == {f"layers.{i}.feed_forward_{end}" for i in (0, 1) for end in ("input", "output")}
    expected = predict(simulate(student, quantized), rows, batch_size=16)
    assert np.allclose(predict(loaded, rows, batch_size=16), expected, atol=1e-6)


def test_calibrated_scale_covers_the_largest_input(student: Student, rows: Split, params: Params) -> None:
    student.fold()
    largest = params.quantize.model_copy(update={"calibration": Calibration.MAX})
    found = calibrate(student, rows, ["head"], largest)
    batch = encode(student.tokenizer, rows.texts, None, max_tokens=32).batch(range(len(rows)))
    with torch.no_grad():
        assert found["head"] == pytest.approx(float(student(batch)[1].abs().max()) / 127, rel=1e-5)

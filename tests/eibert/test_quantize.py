"""Quantization: error bounds, by hand and as properties; simulation and files."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy

from eibert.batches import encode, predict
from eibert.corpus import Split, TaskSpec
from eibert.errors import ParamsError
from eibert.params.load import Params
from eibert.params.quantize import Activations, Calibration, Granularity, QuantizeParams
from eibert.quantize.calibrate import calibrate
from eibert.quantize.modules import QuantizedStudent, load_quantized, modules_of, save_quantized, simulate
from eibert.quantize.post_training import measure, quantize
from eibert.quantize.search import Option, fitting, spend
from eibert.quantize.tensor import pack, quantize_tensor, spread, unpack
from eibert.quantize.tune import tune
from eibert.student import Student, save_student
from eibert.unit import Unit


def test_values_and_scales_match_hand_arithmetic() -> None:
    found = quantize_tensor(torch.tensor([[1.27, -0.64, 0.004], [0.0, 0.0, 0.0]]), 8, Granularity.CHANNEL)
    assert found.values.tolist() == [[127, -64, 0], [0, 0, 0]]
    assert found.scale.tolist() == pytest.approx([0.01, 1.0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.integers(5, 8), st.sampled_from(Granularity), st.floats(1e-4, 1e4))
def test_error_is_at_most_half_a_scale(seed: int, bits: int, granularity: Granularity, size: float) -> None:
    weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed)) * size
    found = quantize_tensor(weight, bits, granularity, 4)
    scale = spread(found.scale.float(), 8)
    assert bool(((weight - found.dequantize()).abs() <= scale * 0.5 * (1 + 1e-4) + 127 * scale * 2**-11).all())
    assert int(found.values.abs().max()) <= 2 ** (bits - 1) - 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 4), st.sampled_from(Granularity))
def test_few_bits_lose_no_more_than_the_whole_range_would(seed: int, bits: int, granularity: Granularity) -> None:
    weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed))
    limit = 2 ** (bits - 1) - 1
    found = quantize_tensor(weight, bits, granularity, 4)
    parts = {Granularity.TENSOR: (1, 40), Granularity.CHANNEL: (5, 8), Granularity.GROUP: (10, 4)}[granularity]
    whole = weight.reshape(parts)
    scale = whole.abs().amax(dim=1, keepdim=True) / limit
    plain = ((whole / scale).round() * scale).reshape(weight.shape)
    lost = (weight - found.dequantize()).square().sum()
    assert float(lost) <= float((weight - plain).square().sum()) * (1 + 2e-3)
    assert int(found.values.abs().max()) <= limit


def test_a_group_has_its_own_scale() -> None:
    found = quantize_tensor(torch.tensor([[127.0, 1.0, 0.25, 0.125]]), 8, Granularity.GROUP, 2)
    assert found.scale.flatten().tolist() == pytest.approx([1.0, 0.25 / 127], rel=1e-3)
    assert found.scale.shape == (1, 2)
    assert found.values.tolist() == [[127, 1, 127, 64]]
    assert found.bytes == 4 + 2 * 2


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("size", [1e-9, 1e-5, 1.1e-4, 2e-3, 1.0, 1e6, 1e12])
def test_groups_of_weights_of_any_size_lose_the_same_share(size: float, bits: int) -> None:
    weight = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    lost = [
        float((quantize_tensor(w, bits, Granularity.GROUP, 32).dequantize() / w.abs().max() - w / w.abs().max()).norm())
        for w in (weight, weight * size)
    ]
    assert lost[1] == pytest.approx(lost[0], rel=0.02)


@pytest.mark.parametrize("bits", [4, 8])
def test_small_rows_beside_large_ones_lose_no_more_with_a_scale_per_group(bits: int) -> None:
    sizes = torch.logspace(-4, -0.5, 64)[:, None]
    weight = torch.randn(64, 384, generator=torch.Generator().manual_seed(1)) * sizes

    def lost(granularity: Granularity) -> torch.Tensor:
        return (quantize_tensor(weight, bits, granularity, 32).dequantize() - weight).norm(dim=1)

    assert bool((lost(Granularity.GROUP) < lost(Granularity.CHANNEL)).all())


def test_scales_of_groups_are_in_half_precision_where_that_holds_them() -> None:
    weight = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    halves = [quantize_tensor(weight * size, 8, Granularity.GROUP, 32).scale.dtype for size in (1e-5, 0.1, 1e4, 1e9)]
    assert halves == [torch.float32, torch.float16, torch.float16, torch.float32]


def test_two_values_share_a_byte() -> None:
    values = torch.tensor([[-7, 7, 0, 1]], dtype=torch.int8)
    assert pack(values).tolist() == [[16 * 1 + 8, 16 * 15 + 9]]
    assert unpack(pack(values)).tolist() == values.tolist()


@pytest.mark.parametrize(("bits", "columns", "expected"), [(8, 6, 20), (4, 6, 14), (2, 6, 14), (4, 5, 18)])
def test_bytes_are_those_of_the_file(bits: int, columns: int, expected: int) -> None:
    """Two rows, their two float32 scales; odd columns are not packed."""
    assert quantize_tensor(torch.randn(2, columns), bits, Granularity.CHANNEL).bytes == expected


def test_one_scale_for_all_is_a_scalar() -> None:
    assert quantize_tensor(torch.randn(3, 4), 8, Granularity.TENSOR).scale.ndim == 0


def test_every_matrix_belongs_to_exactly_one_module(student: Student) -> None:
    student.fold()
    named = [f"{name}.weight" for part in modules_of(student) for name in part.matrices]
    matrices = [name for name, value in student.state_dict().items() if value.ndim > 1]
    assert sorted(named) == sorted(matrices)


def test_records_name_the_errors_of_each_module(student: Student, spec: TaskSpec, rows: Split, params: Params) -> None:
    student.fold()
    quantized = quantize(student, spec, rows, params.quantize)[1]
    errors = measure(student, quantized, spec, rows, batch_size=16)
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
    found = [quantize(student, spec, rows, each)[1] for each in (params.quantize, noisy)]
    fine, coarse = (measure(student, each, spec, rows, batch_size=16)[1]["sqnr_db"] for each in found)
    assert coarse < fine - 20  # five bits fewer are about 30 dB


def _nibbles(student: Student) -> QuantizedStudent:
    names = [name for part in modules_of(student) for name in part.matrices]
    grids = {name: quantize_tensor(student.get_parameter(f"{name}.weight"), 4, Granularity.GROUP, 4) for name in names}
    return QuantizedStudent(grids, {}, {})


def _changes(student: Student, rows: Split) -> dict[str, np.ndarray[Any, Any]]:
    """How the logits change where only the matrices of one module are at four bits, by module."""
    batch, grids = encode(student.tokenizer, rows.texts, None, max_tokens=32).batch(range(len(rows))), _nibbles(student)
    found = {}
    with torch.no_grad():
        for part in modules_of(student):
            other = copy.deepcopy(student)
            for name in part.matrices:
                other.get_parameter(f"{name}.weight").copy_(grids.weights[name].dequantize())
            found[part.name] = (other.logits(batch) - student.logits(batch)).numpy()
    return found


def test_error_of_a_module_is_that_of_a_student_with_only_its_matrices_replaced(
    student: Student, spec: TaskSpec, rows: Split
) -> None:
    student.fold()
    few = rows.take(range(16))
    expected = {name: float(np.abs(change).max()) for name, change in _changes(student, few).items()}
    errors = measure(student, _nibbles(student), spec, few, batch_size=16)
    assert {entry["module"]: entry["logits_error"] for entry in errors} == pytest.approx(expected, rel=1e-4)


def test_saved_integers_compute_what_was_simulated(
    student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    student.fold()
    eight = params.quantize.feed_forward.model_copy(update={"activations": Activations.INT8})
    _, quantized = quantize(student, spec, rows, params.quantize.model_copy(update={"feed_forward": eight}))
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


def test_calibrated_scale_is_the_mean_percentile_of_evenly_spread_rows(
    student: Student, rows: Split, params: Params
) -> None:
    student.fold()
    asked = {"calibration": Calibration.PERCENTILE, "percentile": 90.0, "calibration_rows": 3}
    found = calibrate(student, rows, ["head"], params.quantize.model_copy(update=asked))
    batch = encode(student.tokenizer, rows.texts, None, max_tokens=32).batch([0, (len(rows) - 1) // 2, len(rows) - 1])
    with torch.no_grad():
        expected = [np.percentile(row.numpy(), 90.0) for row in student(batch)[1].abs()]
    assert found["head"] == pytest.approx(np.mean(expected) / 127, rel=1e-5)


def _four(params: QuantizeParams) -> QuantizeParams:
    four = {"bits": 4, "granularity": Granularity.GROUP}
    kinds = ("embedding", "attention", "feed_forward", "head")
    return params.model_copy(update={"group": 2} | {k: getattr(params, k).model_copy(update=four) for k in kinds})


def test_saved_nibbles_compute_what_was_simulated(
    student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    student.fold()
    _, quantized = quantize(student, spec, rows, _four(params.quantize))
    save_student(student, tmp_path)
    save_quantized(quantized, tmp_path)
    loaded, again = load_quantized(tmp_path)
    assert {name: tensor.bits for name, tensor in again.weights.items()} == dict.fromkeys(quantized.weights, 4)
    assert again.weights["table"].scale.shape == (len(student.tokens), 3)
    expected = predict(simulate(student, quantized), rows, batch_size=16)
    assert np.allclose(predict(loaded, rows, batch_size=16), expected, atol=1e-6)


OPTIONS = {"a": Option(100, 1.0), "b": Option(50, 0.1), "c": Option(10, 5.0), "d": Option(40, 0.2)}


@pytest.mark.parametrize(
    ("budget", "chosen"),
    [(1000, set()), (960, {"b"}), (940, {"b", "d"}), (900, {"a"}), (861, {"a", "b"}), (800, set("abcd"))],
)
def test_the_budget_is_spent_where_it_harms_least(budget: int, chosen: set[str]) -> None:
    """900: b and d save 90, too little; with a they save 190; then d and b are undone, because a alone saves 100."""
    assert fitting(OPTIONS, 1000, budget) == chosen


def test_a_budget_out_of_reach_names_the_least() -> None:
    with pytest.raises(ParamsError, match=r"quantize.weight_bytes: 799 .* 800 bytes"):
        fitting(OPTIONS, 1000, 799)


def test_the_search_fits_the_budget_it_is_given(student: Student, spec: TaskSpec, rows: Split, params: Params) -> None:
    student.fold()
    eight = sum(tensor.bytes for tensor in quantize(student, spec, rows, params.quantize)[1].weights.values())
    budget = params.quantize.model_copy(update={"weight_bytes": eight * 3 // 4})
    bits, harms = spend(student, rows, budget)
    found = quantize(student, spec, rows, budget, bits=bits)[1]
    assert set(bits.values()) == {4, 8}
    assert sum(tensor.bytes for tensor in found.weights.values()) <= eight * 3 // 4
    assert all(entry["harm"] > 0 for entry in harms)
    assert spend(student, rows, params.quantize) == (dict.fromkeys(bits, 8), [])


def test_harm_is_the_mean_squared_change_of_the_logits(student: Student, rows: Split, params: Params) -> None:
    student.fold()
    few = rows.take(range(16))
    expected = {name: float(np.square(change).mean()) for name, change in _changes(student, few).items()}
    ample = params.quantize.model_copy(update={"weight_bytes": 10**6, "group": 4})
    harms = {entry["module"]: entry["harm"] for entry in spend(student, few, ample)[1]}
    assert harms == pytest.approx(expected, rel=1e-4)


def test_tuning_knows_no_unit(student: Student, rows: Split, params: Params) -> None:
    number = TaskSpec("n", pair=False, labels=(), metric="spearman")
    coarse = _four(params.quantize).model_copy(update={"tune_rows": 640, "tune_learning_rate": 1e-3})
    coarse = coarse.model_copy(update={"head": params.quantize.head})  # half precision cannot represent every unit
    standard = np.resize([-1.0, 1.0], len(rows))
    student.fold()
    head = torch.nn.Linear(12, 1)
    found = []
    for unit in (Unit(1.0, 0.5), Unit(100.0, 50.0)):
        student.head = unit.restored(head)
        numbers = Split(rows.texts, None, (standard * unit.deviation + unit.mean).astype(np.float32))
        tuned, quantized = quantize(student, number, numbers, coarse)
        answers = predict(simulate(tuned, quantized), rows, batch_size=16)
        found.append((answers - unit.mean) / unit.deviation)
    assert np.allclose(found[0], found[1], atol=0.01 * float(np.ptp(found[0])))


def test_tuning_brings_the_rounded_answers_nearer(
    student: Student, spec: TaskSpec, rows: Split, params: Params
) -> None:
    student.fold()
    before = predict(student, rows, batch_size=16)
    far = []
    for tune_rows in (0, 3000):
        coarse = _four(params.quantize).model_copy(update={"tune_rows": tune_rows, "tune_learning_rate": 1e-3})
        tuned, quantized = quantize(student, spec, rows, coarse)
        far.append(float(np.square(predict(simulate(tuned, quantized), rows, batch_size=16) - before).mean()))
        assert int(quantized.weights["table"].values.abs().max()) <= 7
    assert far[1] < 0.5 * far[0]
    assert np.array_equal(predict(student, rows, batch_size=16), before)  # the float student is not modified


def test_tuning_moves_the_head_by_the_divergence_of_the_logits(
    student: Student, spec: TaskSpec, rows: Split, params: Params
) -> None:
    """One step on all rows: the gradient of KL(float ‖ rounded) by the bias is the mean difference of probabilities."""
    student.fold()
    coarse, rate = _nibbles(student), 1e-3
    one = params.quantize.model_copy(update={"tune_rows": 90, "batch_size": 90, "tune_learning_rate": rate})
    plain, rounded = (
        softmax(predict(model, rows, batch_size=90).astype(np.float64), axis=1)
        for model in (student, simulate(student, coarse))
    )
    said: list[dict[str, float]] = []

    def listen(step: int, total: int, **values: float) -> None:
        said.append(values)

    tuned = tune(student, coarse.weights, rows, one, spec=spec, seed=0, report=listen)[0]
    assert len(said) == 1
    assert said[0]["logits"] == pytest.approx(entropy(plain, rounded, axis=1).mean(), rel=1e-4)
    moved = (tuned.get_parameter("head.bias") - student.get_parameter("head.bias")).detach().numpy()
    assert moved == pytest.approx(-rate * np.sign((rounded - plain).mean(axis=0)), rel=1e-2)  # AdamW's first step


def test_a_module_packed_for_want_of_bytes_has_a_scale_for_each_group(
    student: Student, spec: TaskSpec, rows: Split, params: Params
) -> None:
    student.fold()
    few = params.quantize.model_copy(update={"group": 4})
    bits = {part.name: 4 if part.kind == "attention" else 8 for part in modules_of(student)}
    found = quantize(student, spec, rows, few, bits=bits)[1].weights
    attention = student.get_submodule("layers.0.qkv").weight
    assert found["layers.0.qkv"].scale.shape == (attention.shape[0], attention.shape[1] // 4)  # type: ignore[index]
    assert found["layers.0.feed_forward_input"].scale.ndim == 1  # as given: one per channel
    asked = few.model_copy(update={"attention": few.attention.model_copy(update={"bits": 4})})
    assert quantize(student, spec, rows, asked)[1].weights["layers.0.qkv"].scale.ndim == 1

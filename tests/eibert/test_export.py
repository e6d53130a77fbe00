"""The bundle: integers stay integers, answers match torch, the budget holds."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from eibert.artifact import sha256
from eibert.batches import predict
from eibert.corpus import Split, TaskSpec
from eibert.errors import BudgetError
from eibert.export import bundle_logits, write_bundle
from eibert.params.load import Params
from eibert.params.quantize import Activations, Granularity
from eibert.params.section import Pooling
from eibert.quantize.modules import QuantizedStudent, simulate
from eibert.quantize.post_training import quantize
from eibert.quantize.search import spend
from eibert.student import Student, StudentShape
from tests.conftest import TOKENS


@pytest.fixture
def quantized(student: Student, spec: TaskSpec, rows: Split, params: Params) -> QuantizedStudent:
    student.fold()
    return quantize(student, spec, rows, params.quantize)[1]


def test_bundle_answers_as_torch_does(
    student: Student, quantized: QuantizedStudent, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    write_bundle(student, quantized, spec, params.export, tmp_path)
    expected = predict(simulate(student, quantized), rows, batch_size=16)
    assert np.allclose(bundle_logits(tmp_path, rows), expected, atol=2e-5)


def test_bundle_of_pairs_answers_as_torch_does(
    student: Student, quantized: QuantizedStudent, rows: Split, params: Params, tmp_path: Path
) -> None:
    pairs = Split(rows.texts, rows.texts[::-1], rows.targets)
    spec = TaskSpec("pairs", pair=True, labels=("a", "b", "c"), metric="accuracy")
    write_bundle(student, quantized, spec, params.export, tmp_path)
    expected = predict(simulate(student, quantized), pairs, batch_size=16)
    assert np.allclose(bundle_logits(tmp_path, pairs), expected, atol=2e-5)


def test_bundle_of_the_first_token_answers_as_torch_does(
    student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    other = Student(replace(student.shape, pooling=Pooling.CLS), student.tokens)
    other.load_state_dict(student.state_dict())
    other.eval().fold()
    quantized = quantize(other, spec, rows, params.quantize)[1]
    write_bundle(other, quantized, spec, params.export, tmp_path)
    expected = predict(simulate(other, quantized), rows, batch_size=16)
    assert np.allclose(bundle_logits(tmp_path, rows), expected, atol=2e-5)
    student.fold()
    assert not np.allclose(expected, predict(student, rows, batch_size=16), atol=0.1)


def test_graph_names_what_it_was_made_of(
    student: Student, quantized: QuantizedStudent, spec: TaskSpec, params: Params, tmp_path: Path
) -> None:
    write_bundle(student, quantized, spec, params.export, tmp_path, lineage="ab" * 32)
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"eibert.lineage": "ab" * 32}


@pytest.mark.parametrize("granularity", Granularity)
def test_nibbles_answer_as_simulated_and_fill_half_the_bytes(
    granularity: Granularity, student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    student.fold()
    four = {"bits": 4, "granularity": granularity}
    kinds = ("embedding", "attention", "feed_forward", "head")
    packed = {kind: getattr(params.quantize, kind).model_copy(update=four) for kind in kinds}
    _, quantized = quantize(student, spec, rows, params.quantize.model_copy(update={"group": 2} | packed))
    write_bundle(student, quantized, spec, params.export, tmp_path)
    expected = predict(simulate(student, quantized), rows, batch_size=16)
    assert np.allclose(bundle_logits(tmp_path, rows), expected, atol=2e-5)
    table = next(each for each in onnx.load(tmp_path / "model.onnx").graph.initializer if each.name == "table")
    assert table.data_type == onnx.TensorProto.UINT8
    assert len(table.raw_data) == student.table.weight.numel() // 2


def test_integer_activations_answer_as_simulated(
    student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    student.fold()
    eight = {
        kind: getattr(params.quantize, kind).model_copy(update={"activations": Activations.INT8})
        for kind in ("attention", "feed_forward", "head")
    }
    _, quantized = quantize(student, spec, rows, params.quantize.model_copy(update=eight))
    write_bundle(student, quantized, spec, params.export, tmp_path)
    expected = predict(simulate(student, quantized), rows, batch_size=16)
    found = bundle_logits(tmp_path, rows)
    # A different order of summation occasionally rounds an activation to the neighbouring integer.
    assert np.median(np.abs(found - expected)) < 0.01 * np.abs(expected).max()
    assert np.mean(found.argmax(1) == expected.argmax(1)) >= 0.95


def test_weights_are_integers_in_the_file_and_stand_there_once(
    student: Student, quantized: QuantizedStudent, spec: TaskSpec, params: Params, tmp_path: Path
) -> None:
    write_bundle(student, quantized, spec, params.export, tmp_path)
    initializers = {x.name: numpy_helper.to_array(x) for x in onnx.load(tmp_path / "model.onnx").graph.initializer}
    for name, tensor in quantized.weights.items():
        assert initializers[name].dtype == np.int8
        assert np.array_equal(initializers[name], tensor.values.numpy())
    floats = sum(x.size for x in initializers.values() if x.dtype == np.float32)
    assert (
        floats
        < sum(x.numel() for x in quantized.floats.values())
        + sum(x.scale.numel() for x in quantized.weights.values())
        + 10
    )


def test_loaded_graph_is_one_attention_a_layer_and_computes_no_weight_again(
    student: Student, quantized: QuantizedStudent, spec: TaskSpec, params: Params, tmp_path: Path
) -> None:
    write_bundle(student, quantized, spec, params.export, tmp_path)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"])
    loaded = onnx.load(tmp_path / "loaded.onnx").graph
    computed = {output for node in loaded.node for output in node.output}
    kinds = [node.op_type for node in loaded.node]
    assert kinds.count("Attention") == kinds.count("BiasGelu") == student.shape.layers
    assert not {node.input[1] for node in loaded.node if node.op_type in {"MatMul", "Attention"}} & computed


def test_description_holds_the_digests_of_the_other_files(
    student: Student, quantized: QuantizedStudent, spec: TaskSpec, params: Params, tmp_path: Path
) -> None:
    size = write_bundle(student, quantized, spec, params.export, tmp_path)
    description = json.loads((tmp_path / "eibert.json").read_text())
    assert {name: entry["sha256"] for name, entry in description["files"].items()} == {
        name: sha256(tmp_path / name) for name in ("model.onnx", "vocab.txt")
    }
    assert size == sum(path.stat().st_size for path in tmp_path.iterdir())
    model = onnx.load(tmp_path / "model.onnx")
    assert (model.ir_version, model.opset_import[0].version) == (params.export.ir_version, params.export.opset)


def test_equal_students_give_equal_bytes(
    student: Student, quantized: QuantizedStudent, spec: TaskSpec, params: Params, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_bundle(student, quantized, spec, params.export, tmp_path / name)
    for name in ("model.onnx", "vocab.txt", "eibert.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_bundle_over_budget_names_its_largest_parts(
    student: Student, quantized: QuantizedStudent, spec: TaskSpec, params: Params, tmp_path: Path
) -> None:
    with pytest.raises(BudgetError, match=r"over the budget of 5,000; largest: .*layers\.0"):
        write_bundle(student, quantized, spec, params.export.model_copy(update={"budget_bytes": 5000}), tmp_path)


def test_a_bundle_over_budget_fits_once_packed_as_the_message_says(
    spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    student = Student(StudentShape(2, 64, 4, 256, 32, 32, 0.0, 16, 3, lowercase=True, strip_accents=None), TOKENS)
    student.eval().fold()
    eight = quantize(student, spec, rows, params.quantize)[1]
    size = write_bundle(student, eight, spec, params.export, tmp_path)
    tight = params.export.model_copy(update={"budget_bytes": size - 20_000})
    with pytest.raises(BudgetError, match=r"set quantize.weight_bytes to (\d+) to pack") as refused:
        write_bundle(student, eight, spec, tight, tmp_path)
    named = re.search(r"weight_bytes to (\d+)", str(refused.value))
    assert named is not None
    asked = params.quantize.model_copy(update={"weight_bytes": int(named[1])})
    packed = quantize(student, spec, rows, asked, bits=spend(student, rows, asked)[0])[1]
    assert write_bundle(student, packed, spec, tight, tmp_path) <= size - 20_000

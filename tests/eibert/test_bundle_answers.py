"""A real graph gives the same answers in any batch, in any thread and on any CPU."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from eibert.corpus import Split, TaskSpec
from eibert.export import write_bundle
from eibert.graph import Graph
from eibert.params.load import Params
from eibert.params.quantize import Activations, Granularity
from eibert.quantize.post_training import quantize
from eibert.quantize.tensor import Quantized
from eibert.runtime.model import Model
from eibert.student import Student

KINDS = ("attention", "feed_forward", "head")
TEXTS = ["play " * (n % 17) + "stop the song now please"[: n % 25] for n in range(130)]


@pytest.fixture(params=["eight bits", "four bits", "rounded inputs"])
def folder(
    request: pytest.FixtureRequest, student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> Path:
    """A bundle of a tiny student for each weight format."""
    section = params.quantize
    match request.param:
        case "four bits":
            changed: dict[str, object] = {"bits": 4, "granularity": Granularity.GROUP}
            section = section.model_copy(update={"group": 2})
        case "rounded inputs":
            changed = {"activations": Activations.INT8}
        case _:
            changed = {}
    section = section.model_copy(update={kind: getattr(section, kind).model_copy(update=changed) for kind in KINDS})
    model = deepcopy(student)
    model.fold()
    write_bundle(model, quantize(model, spec, rows, section)[1], spec, params.export, tmp_path)
    return tmp_path


def test_batches_of_one_and_of_64_give_equal_labels_and_scores(folder: Path) -> None:
    model = Model.load(folder)
    alone = [model.predict([text], top_k=3)[0] for text in TEXTS]
    for size in (64, len(TEXTS)):
        starts = range(0, len(TEXTS), size)
        together = [found for start in starts for found in model.predict(TEXTS[start : start + size], top_k=3)]
        assert [found.label for found in together] == [found.label for found in alone]
        for found, expected in zip(together, alone, strict=True):
            scores = dict(found.scores)
            assert all(scores[label] == pytest.approx(score, abs=1e-5) for label, score in expected.scores)


def test_padding_within_a_batch_changes_nothing(folder: Path) -> None:
    model = Model.load(folder)
    short, long = "stop", "play the song now please " * 3
    padded = model._forward(model.encode([short, long]))[0]
    np.testing.assert_allclose(padded, model.logits([short])[0], atol=1e-5)


def test_eight_threads_share_a_model(folder: Path) -> None:
    model = Model.load(folder)
    expected = model.predict(TEXTS, top_k=3)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: model.predict(TEXTS, top_k=3), range(8)):
            assert found == expected


def test_nothing_that_runs_multiplies_integers(folder: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    found = {node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node}
    assert {"MatMul", "FusedMatMul", "Gemm"} & found
    assert not {name for name in found if "Integer" in name or name.startswith(("QLinear", "QGemm", "QAttention"))}
    assert "MatMulNBits" not in found


def test_largest_products_do_not_saturate() -> None:
    width = 1024  # Σ 127 · 127 over it overflows 16 bits, in which CPUs without VNNI accumulate INT8 products
    graph = Graph({"w": 1 / 127})
    weight = Quantized(torch.full((8, width), 127, dtype=torch.int8), torch.full((8,), 2.0**-7), 8)
    product = graph.linear("w", weight, None, "x")
    graph.nodes.append(helper.make_node("Identity", [product], ["y"]))
    values = {"x": [1, width], "y": [1, 8]}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items())
    model = helper.make_model(
        helper.make_graph(graph.nodes, "toy", [x], [y], list(graph.constants.values())),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for sign in (1, -1):
        (found,) = session.run(["y"], {"x": np.full((1, width), sign, np.float32)})  # ±127 of the grid
        np.testing.assert_allclose(found, sign * width * 127 * 2.0**-7, rtol=1e-5)

"""The shipped bundle: an ONNX file with integer weights, a vocabulary and a description, within a byte budget."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.checker import check_model

from eibert import __version__
from eibert.artifact import sha256, write_json
from eibert.corpus import Split, TaskSpec
from eibert.errors import BudgetError
from eibert.graph import ONNXRUNTIME, Graph
from eibert.params.export import ExportParams
from eibert.params.section import Pooling
from eibert.quantize.modules import QuantizedStudent
from eibert.runtime.bundle import LINEAGE
from eibert.runtime.model import Model
from eibert.student import MASKED, VOCABULARY, Student

MODEL, DESCRIPTION = "model.onnx", "eibert.json"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_UNPACKING_BYTES = 1000
"""Upper bound on the graph's growth per matrix that it has to unpack."""


def write_bundle(
    student: Student,
    quantized: QuantizedStudent,
    spec: TaskSpec,
    params: ExportParams,
    folder: Path,
    lineage: str | None = None,
) -> int:
    """Writes the bundle into an existing folder; returns the bytes of all its files.

    Args:
        student: Provides shape and vocabulary.
        quantized: Provides the weights.
        spec: The task.
        params: Section `export`.
        folder: Where the three files go.
        lineage: Digest of a manifest, stored in the graph's metadata; None: omitted.

    Raises:
        BudgetError: the files exceed the budget; the message names the largest parts.
    """
    model = build(student, quantized, params)
    if lineage is not None:
        helper.set_model_props(model, {LINEAGE: lineage})
    check_model(model, full_check=True)
    onnx.save(model, folder / MODEL)
    (folder / VOCABULARY).write_text("".join(f"{token}\n" for token in student.tokens), encoding="utf-8")
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in (MODEL, VOCABULARY)
    }
    description = {
        "format": 1, "name": spec.name, "pair": spec.pair, "labels": list(spec.labels), "metric": spec.metric,
        "max_tokens": student.max_tokens, "lowercase": student.shape.lowercase,
        "strip_accents": student.shape.strip_accents, "files": files,
    }  # fmt: skip
    write_json(folder / DESCRIPTION, description)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > params.budget_bytes:
        raise BudgetError(_over_budget(size, params.budget_bytes, quantized, model, folder))
    return size


def build(student: Student, quantized: QuantizedStudent, params: ExportParams) -> onnx.ModelProto:
    """Returns the ONNX model: int64 inputs (B, T), float logits (B, C)."""
    shape, graph = student.shape, Graph(quantized.activations)
    weights, floats = quantized.weights, {name: value.numpy() for name, value in quantized.floats.items()}
    ids, mask, segments = INPUTS
    width = graph.add("Gather", graph.add("Shape", ids), graph.constant("one", np.int64(1).reshape(())), axis=0)
    span = graph.add("Range", graph.constant("nought", np.int64(0).reshape(())), width, "one")
    hidden = graph.rows("table", weights["table"], ids)
    hidden = graph.linear("embedding_projection", weights["embedding_projection"], None, hidden)
    hidden = graph.add("Add", hidden, graph.rows("positions", weights["positions"], span, axes=1))
    hidden = graph.add("Add", hidden, graph.rows("segments", weights["segments"], segments))
    hidden = _norm(graph, floats, "embedding_norm", hidden)
    real = graph.add("Cast", mask, to=TensorProto.INT32)
    for index in range(shape.layers):
        hidden = _layer(graph, quantized, floats, f"layers.{index}", shape.heads, hidden, real)
    pooled = _pooled(graph, hidden, mask, shape.pooling)
    logits = graph.linear("head", weights["head"], floats["head.bias"], pooled)
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    return _model(graph, shape.outputs, params)


def _pooled(graph: Graph, hidden: str, mask: str, pooling: Pooling) -> str:
    if pooling is Pooling.CLS:
        return graph.add("Gather", hidden, "nought", axis=1)
    mask = graph.add("Cast", mask, to=TensorProto.FLOAT)
    kept = graph.add("Unsqueeze", mask, graph.integers(2))  # (B, T) → (B, T, 1)
    summed = graph.add("ReduceSum", graph.add("Mul", hidden, kept), graph.integers(1), keepdims=0)
    return graph.add("Div", summed, graph.add("ReduceSum", kept, graph.integers(1), keepdims=0))


def _layer(
    graph: Graph, quantized: QuantizedStudent, floats: dict[str, Any], at: str, heads: int, hidden: str, real: str
) -> str:
    def linear(name: str, inputs: str) -> str:
        return graph.linear(f"{at}.{name}", quantized.weights[f"{at}.{name}"], floats[f"{at}.{name}.bias"], inputs)

    qkv, bias = quantized.weights[f"{at}.qkv"], floats[f"{at}.qkv.bias"]
    mixed = graph.attention(f"{at}.qkv", qkv, bias, hidden, real, heads=heads, masked=MASKED)
    hidden = graph.add("Add", hidden, linear("attention_output", mixed))
    hidden = _norm(graph, floats, f"{at}.attention_norm", hidden)
    inner = linear("feed_forward_output", graph.gelu(linear("feed_forward_input", hidden)))
    return _norm(graph, floats, f"{at}.feed_forward_norm", graph.add("Add", hidden, inner))


def _norm(graph: Graph, floats: dict[str, Any], name: str, hidden: str) -> str:
    return graph.norm(name, floats[f"{name}.weight"], floats[f"{name}.bias"], hidden, 1e-12)


def _model(graph: Graph, outputs: int, params: ExportParams) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in INPUTS]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])
    built = helper.make_graph(graph.nodes, "eibert", inputs, [output], list(graph.constants.values()))
    opset = [helper.make_opsetid("", params.opset), helper.make_opsetid(ONNXRUNTIME, 1)]
    return helper.make_model(
        built, opset_imports=opset, ir_version=params.ir_version, producer_name="eibert", producer_version=__version__
    )


def _over_budget(size: int, budget: int, quantized: QuantizedStudent, model: onnx.ModelProto, folder: Path) -> str:
    parts = {VOCABULARY: (folder / VOCABULARY).stat().st_size, DESCRIPTION: (folder / DESCRIPTION).stat().st_size}
    parts |= {tensor.name: len(tensor.SerializeToString()) for tensor in model.graph.initializer}
    largest = sorted(parts.items(), key=lambda item: -item[1])[:5]
    names = ", ".join(f"{name} {count:,}" for name, count in largest)
    weights, matrices = sum(tensor.bytes for tensor in quantized.weights.values()), len(quantized.weights)
    room = weights - (size - budget) - _UNPACKING_BYTES * matrices
    packing = f"set quantize.weight_bytes to {room} to pack some weights" if room > weights // 2 else ""
    return (
        f"export.budget_bytes: the bundle has {size:,} bytes, {size - budget:,} over the budget of {budget:,}; "
        f"largest: {names}. "
        + "; or ".join(filter(None, [packing, "keep fewer tokens (section prune)", "lower pretrain.student.*"]))
        + "; or raise the budget"
    )


def bundle_logits(folder: Path, split: Split) -> np.ndarray[Any, Any]:
    """Returns the bundle's logits for every row of a split, computed by onnxruntime, float32 (N, C)."""
    return Model.load(folder).logits(split.inputs)

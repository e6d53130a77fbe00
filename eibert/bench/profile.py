"""Where the time of a bundle's forward pass goes, by operator, and a lower bound from its arithmetic."""

import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from eibert.latency import medians_ms
from eibert.runtime.bundle import read_bundle

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_TABLES, _HEAD = {"table", "positions", "segments"}, "head"
_SIDE = 384  # of a square matrix product that fits in the L2 cache yet is large enough for full speed


@dataclass(frozen=True)
class Operator:
    """One operator type in the graph as optimised by onnxruntime.

    Attributes:
        name: Operator type.
        calls: Nodes of that type.
        microseconds: Total over these nodes in one pass; profiling adds about two per node.
    """

    name: str
    calls: int
    microseconds: float


@dataclass(frozen=True)
class Profile:
    """One forward pass of one text on one thread.

    Attributes:
        tokens: Length of the text.
        operators: Operator types, slowest first.
        forward_ms: Median of a pass without profiling.
        floor_ms: Time of its multiply-adds at the speed of one large matrix product, timed interleaved with it.
    """

    tokens: int
    operators: list[Operator]
    forward_ms: float
    floor_ms: float


def profile(folder: Path, *, tokens: int, rounds: int) -> Profile:
    """Returns the profile of a bundle.

    Args:
        folder: The bundle.
        tokens: Length of the text.
        rounds: Number of passes.
    """
    bundle, graph = read_bundle(folder)
    ids = np.random.default_rng(0).integers(len(bundle.tokens), size=(1, tokens))
    feed = dict(zip(_INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids)), strict=True))
    with tempfile.TemporaryDirectory() as place:
        options = _options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(place) / "profile")
        session = _session(graph, options)
        for _ in range(rounds):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    plain, product = _session(graph, _options()), _session(_product(), _options())
    square = np.ones((_SIDE, _SIDE), np.float32)
    products = multiply_adds(graph, tokens)
    times = medians_ms(
        {"forward": lambda _: plain.run(None, feed), "product": lambda _: product.run(None, {"x": square})},
        [None], rounds=rounds,
    )  # fmt: skip
    return Profile(tokens, _operators(events), times["forward"], times["product"] * products / _SIDE**3)


def multiply_adds(graph: bytes, tokens: int) -> int:
    """Returns the multiply-adds of a bundle's graph for one text, counted as in `eibert.evaluate.cost`.

    A matrix is a constant that has scales and is not a table; all but the head apply to every token.
    """
    found = onnx.load_from_string(graph).graph
    constants = {constant.name: constant for constant in found.initializer}
    products = 0
    for name, matrix in constants.items():
        if f"{name}.scale" in constants and name not in _TABLES:
            packed = 2 if matrix.data_type == TensorProto.UINT8 else 1
            products += int(np.prod(matrix.dims)) * packed * (1 if name == _HEAD else tokens)
    widths = [constants[node.input[2]].dims[0] // 3 for node in found.node if node.op_type == "Attention"]
    return products + 2 * tokens**2 * int(sum(widths))


def _operators(events: list[dict[str, Any]]) -> list[Operator]:
    nodes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["args"]["op_name"], event["name"]].append(event["dur"])
    found: dict[str, list[float]] = defaultdict(list)
    for (operator, _), durations in nodes.items():
        found[operator].append(float(np.median(durations)))
    listed = [Operator(name, len(medians), sum(medians)) for name, medians in found.items()]
    return sorted(listed, key=lambda operator: -operator.microseconds)


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _session(graph: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _product() -> bytes:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [_SIDE, _SIDE]) for name in ("x", "y")]
    weight = numpy_helper.from_array(np.ones((_SIDE, _SIDE), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "product", [values[0]], [values[1]], [weight])
    opset = [helper.make_opsetid("", 17)]
    found: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return found

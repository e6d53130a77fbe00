"""A thin builder of ONNX graphs: named integer weights that stay integers in the file."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eibert.quantize import Quantized

Array = np.ndarray[Any, Any] | np.generic


class Graph:
    """Collects nodes and constants; every method adds nodes and returns the name of its output.

    Args:
        activations: Scale of the input of a matrix product, by matrix name; absent: float arithmetic.
    """

    def __init__(self, activations: dict[str, float]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._activations = activations
        self._count = 0

    def constant(self, name: str, value: Array) -> str:
        """Adds a constant once."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def number(self, value: float) -> str:
        """Adds a float constant."""
        return self.constant(f"f{value:.9g}", np.float32(value).reshape(()))

    def integers(self, *values: int) -> str:
        """Adds a vector of integers, for shapes and axes."""
        return self.constant("i" + "_".join(map(str, values)), np.array(values, np.int64))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output."""
        self._count += 1
        output = f"n{self._count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def rows(self, name: str, table: Quantized, ids: str) -> str:
        """Adds a look-up: only the rows asked for are turned into floats."""
        values = self.add("Gather", self.constant(name, table.values.numpy()), ids)
        values = self.add("Cast", values, to=TensorProto.FLOAT)
        scale = self.constant(
            f"{name}.scale", table.scale.numpy().reshape(-1, 1) if table.scale.ndim else table.scale.numpy()
        )
        return self.add("Mul", values, self.add("Gather", scale, ids) if table.scale.ndim else scale)

    def linear(self, name: str, weight: Quantized, bias: Array | None, hidden: str) -> str:
        """Adds hidden @ weight.T + bias, the input rounded to INT8 where the matrix has an activation scale."""
        values = self.constant(name, weight.values.numpy().T)  # (out, in) → (in, out)
        scale = self.constant(f"{name}.scale", weight.scale.numpy())
        if name in self._activations:
            # The integers are multiplied as floats: on processors without VNNI onnxruntime's INT8 product saturates.
            at = self.constant(f"{name}.activation", np.float32(self._activations[name]).reshape(()))
            zero = self.constant("zero", np.int8(0).reshape(()))
            hidden = self.add("DequantizeLinear", self.add("QuantizeLinear", hidden, at, zero), at, zero)
        # A cast and a product of constants are folded once when the model is loaded; DequantizeLinear is not.
        floats = self.add("Mul", self.add("Cast", values, to=TensorProto.FLOAT), scale)
        product = self.add("MatMul", hidden, floats)
        return product if bias is None else self.add("Add", product, self.constant(f"{name}.bias", bias))

    def norm(self, name: str, weight: Array, bias: Array, hidden: str, epsilon: float) -> str:
        """Adds a layer normalisation over the last axis."""
        parts = self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        return self.add("LayerNormalization", hidden, *parts, axis=-1, epsilon=epsilon)

    def gelu(self, hidden: str) -> str:
        """Adds x · (1 + erf(x/√2)) / 2 in the form that onnxruntime fuses."""
        inner = self.add("Erf", self.add("Div", hidden, self.number(float(np.sqrt(2.0)))))
        return self.add("Mul", self.add("Mul", hidden, self.add("Add", inner, self.number(1.0))), self.number(0.5))

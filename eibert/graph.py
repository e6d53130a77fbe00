"""A thin ONNX graph builder that stores named weights as integers."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from eibert.quantize.tensor import Quantized, pack

Array = np.ndarray[Any, Any] | np.generic
ONNXRUNTIME = "com.microsoft"
"""Domain of onnxruntime's contrib operators."""


class Graph:
    """Collects nodes and constants; every method adds some and returns the name of its output.

    Args:
        activations: Scale of the input of a matrix product, by matrix name; absent: float input.
    """

    def __init__(self, activations: dict[str, float]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._activations = activations
        self._count = 0

    def constant(self, name: str, value: Array) -> str:
        """Adds a constant unless present."""
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

    def rows(self, name: str, table: Quantized, ids: str, *, axes: int = 2) -> str:
        """Adds an embedding look-up by ids with `axes` axes; only the rows looked up are dequantized."""
        values = self._floats(self.add("Gather", self.constant(name, stored(table)), ids), table)
        scale = self.constant(f"{name}.scale", _columns(table.scale))
        return self._scaled(values, self.add("Gather", scale, ids) if table.scale.ndim else scale, table, (0,) * axes)

    def linear(self, name: str, weight: Quantized, bias: Array | None, hidden: str) -> str:
        """Adds hidden @ weight.T + bias, the input rounded to INT8 if the matrix has an activation scale."""
        product = self.add("MatMul", self._rounded(name, hidden), self._matrix(name, weight))
        return product if bias is None else self.add("Add", product, self.constant(f"{name}.bias", bias))

    def attention(
        self, name: str, weight: Quantized, bias: Array, hidden: str, real: str, *, heads: int, masked: float
    ) -> str:
        """Adds multi-head attention up to, but without, the output projection, as one operator.

        onnxruntime's own fusion does not recognise attention behind integer weights and dynamic sequence lengths.

        Args:
            name: Name of the fused query-key-value matrix.
            weight: That matrix, (3H, H).
            bias: Float (3H,).
            hidden: Its input, (B, T, H).
            real: Name of the attention mask, int32 (B, T): 1 for real tokens, 0 for padding.
            heads: Attention heads.
            masked: Added to the scores of padding.
        """
        inputs = self._rounded(name, hidden), self._matrix(name, weight), self.constant(f"{name}.bias", bias), real
        return self.add("Attention", *inputs, domain=ONNXRUNTIME, num_heads=heads, mask_filter_value=masked)

    def _rounded(self, name: str, hidden: str) -> str:
        """Adds the rounding of a matrix's input to INT8 if the matrix has an activation scale."""
        if name not in self._activations:
            return hidden
        # The integers are multiplied as floats: on CPUs without VNNI, onnxruntime's INT8 matmul saturates.
        at = self.constant(f"{name}.activation", np.float32(self._activations[name]).reshape(()))
        zero = self.constant("zero", np.int8(0).reshape(()))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", hidden, at, zero), at, zero)

    def _matrix(self, name: str, weight: Quantized) -> str:
        """Adds a dequantized matrix, (out, in) → (in, out).

        Uses plain operators, which are constant-folded once at load time; DequantizeLinear is not.
        """
        values = self._floats(self.constant(name, stored(weight)), weight)
        scale = self.constant(f"{name}.scale", _columns(weight.scale))
        return self.add("Transpose", self._scaled(values, scale, weight, (0,)), perm=[1, 0])

    def _floats(self, values: str, weight: Quantized) -> str:
        """Adds the conversion of stored integers (…, C), or packed ones (…, C/2), to floats (…, C)."""
        values = self.add("Cast", values, to=TensorProto.FLOAT)
        if not weight.is_packed:
            return values
        first = self.add("Floor", self.add("Mul", values, self.number(1 / 16)))
        second = self.add("Sub", values, self.add("Mul", first, self.number(16.0)))
        return self.add("Sub", self.add("Concat", first, second, axis=-1), self.number(8.0))

    def _scaled(self, values: str, scale: str, weight: Quantized, outer: tuple[int, ...]) -> str:
        """Adds the product with a scale per tensor, row or group; `outer` holds a 0 (copied) per leading axis."""
        if weight.scale.ndim < 2:
            return self.add("Mul", values, scale)
        groups, columns = weight.scale.shape[1], weight.values.shape[1]
        split = self.add("Reshape", values, self.integers(*outer, groups, columns // groups))
        scale = self.add("Unsqueeze", self.add("Cast", scale, to=TensorProto.FLOAT), self.integers(-1))
        return self.add("Reshape", self.add("Mul", split, scale), self.integers(*outer, columns))

    def norm(self, name: str, weight: Array, bias: Array, hidden: str, epsilon: float) -> str:
        """Adds layer normalisation over the last axis."""
        parts = self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        return self.add("LayerNormalization", hidden, *parts, axis=-1, epsilon=epsilon)

    def gelu(self, hidden: str) -> str:
        """Adds x · (1 + erf(x/√2)) / 2 in the form that onnxruntime fuses."""
        inner = self.add("Erf", self.add("Div", hidden, self.number(float(np.sqrt(2.0)))))
        return self.add("Mul", self.add("Mul", hidden, self.add("Add", inner, self.number(1.0))), self.number(0.5))


def stored(weight: Quantized) -> Array:
    """Returns the integers as stored: packed uint8 (R, C/2), or int8 (R, C)."""
    found: Array = (pack(weight.values) if weight.is_packed else weight.values).numpy()
    return found


def _columns(scale: Tensor) -> Array:
    found: Array = (scale.unsqueeze(-1) if scale.ndim == 1 else scale).numpy()
    return found

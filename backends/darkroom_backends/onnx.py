"""Graphs of networks as ONNX models, which ONNX Runtime computes without torch.

A model is written straight from the weights each time it is needed, in a few milliseconds, so that
there is no second file to keep in step with them. The format is that of the protocol buffers in
ONNX's `onnx.proto` (IR version 8); what is written here are the few messages a graph needs, for
which the `onnx` package would be one more dependency.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Float

IR_VERSION, OPSET = 8, 17
FLOAT, INT64 = 1, 7  # TensorProto.DataType
INT, STRING, INTS = 2, 3, 7  # AttributeProto.AttributeType

Side: TypeAlias = int | str  # of a shape: a number, or the name of one that is free
Attribute: TypeAlias = int | str | Sequence[int]


class Graph:
    """A graph under construction; values go by name, and each method returns that of its result."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._inputs: list[bytes] = []
        self._count = 0

    def input(self, name: str, shape: Sequence[Side]) -> str:
        """A float32 tensor that is given."""
        self._inputs.append(_value(name, shape))
        return name

    def constant(self, array: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """A tensor of the model's own."""
        name = self._name("constant")
        kind = FLOAT if array.dtype == np.float32 else INT64
        dims = b"".join(_number(1, side) for side in array.shape)
        raw = np.ascontiguousarray(array).tobytes()
        self._constants.append(dims + _number(2, kind) + _text(8, name) + _bytes(9, raw))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """The result of an operator; an input of "" is left out."""
        return self._node(operator, inputs, (self._name(operator),), attributes)[0]

    def split(self, x: str, sizes: Sequence[int], axis: int) -> tuple[str, ...]:
        """Parts of a tensor, of the given sizes along an axis."""
        inputs = x, self.constant(np.array(sizes, np.int64))
        return self._node("Split", inputs, [self._name("part") for _ in sizes], {"axis": axis})

    def conv(
        self, x: str, weight: Float, bias: Float, stride: int = 1, pad: int = 0, dilation: int = 1
    ) -> str:
        """A convolution, padded with zeros on all sides."""
        return self.add(
            "Conv", x, self.constant(weight), self.constant(bias),
            kernel_shape=weight.shape[2:], strides=(stride,) * 2,
            dilations=(dilation,) * 2, pads=(pad,) * 4,
        )  # fmt: skip

    def model(self, name: str, **outputs: str) -> bytes:
        """The model file.

        Args:
            name: of the graph.
            outputs: name -> value.
        """
        for output, value in outputs.items():
            self._node("Identity", (value,), (output,), {})
        parts = [_bytes(1, node) for node in self._nodes]
        parts.append(_text(2, name))
        parts += [_bytes(5, constant) for constant in self._constants]
        parts += [_bytes(11, value) for value in self._inputs]
        parts += [_bytes(12, _value(output, ())) for output in outputs]
        graph = _bytes(7, b"".join(parts))
        return _number(1, IR_VERSION) + graph + _bytes(8, _number(2, OPSET))

    def _node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Attribute],
    ) -> tuple[str, ...]:
        parts = [_text(1, value) for value in inputs]
        parts += [_text(2, name) for name in outputs]
        parts.append(_text(4, operator))
        parts += [_bytes(5, _attribute(key, value)) for key, value in attributes.items()]
        self._nodes.append(b"".join(parts))
        return tuple(outputs)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, STRING)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, INT)
    numbers = b"".join(_number(8, item) for item in value)
    return _text(1, name) + numbers + _number(20, INTS)


def _value(name: str, shape: Sequence[Side]) -> bytes:
    """ValueInfoProto of a float32 tensor; without a shape, of any."""
    sides = (_text(2, side) if isinstance(side, str) else _number(1, side) for side in shape)
    dims = b"".join(_bytes(1, side) for side in sides)
    tensor = _number(1, FLOAT) + (_bytes(2, dims) if shape else b"")
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""The gated U-Net behind its fixed front end as an ONNX model, made from its weights.

It is `model.GatedUNet.look` without torch: a test compares both, and weights of any shape that
`darkroom train` can make are served.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Float
from darkroom_backends.onnx import Graph
from darkroom_backends.unet.shape import UNetConfig


def unet_graph(config: UNetConfig, tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The model: "front" (1, features, H, W), sides multiples of the stride, to

    "damaged" (1, 4, H / 2, W / 2), the probabilities of each pixel of 2 x 2, and "repair"
    (1, 8, H / 2, W / 2), the details and then the gates of each.

    Args:
        config: the network's shape.
        tensors: its weights by the names they have in a weights file.

    Raises:
        KeyError: one is missing.
        ValueError: one has another shape.
    """
    net = _Network(config, tensors)
    model = net.build()
    if unknown := {name for name in tensors if not name.startswith("judge.")} - net.used:
        raise ValueError(f"the network has no {min(unknown)}")
    return model


class _Network:
    def __init__(self, config: UNetConfig, tensors: Mapping[str, NDArray[Any]]) -> None:
        self._config, self._tensors = config, tensors
        self._graph, self.used = Graph(), set[str]()

    def build(self) -> bytes:
        c, graph = self._config, self._graph
        w1, w2, w3 = c.widths
        front = graph.input("front", (1, c.features, "height", "width"))
        e1 = self._blocks("encode1", self._relu(self._stem(front)), w1, (1,) * c.encoder[0])
        e2 = self._blocks("encode2", self._down("down2", e1, w2, w1), w2, (1,) * c.encoder[1])
        e3 = self._blocks("encode3", self._down("down3", e2, w3, w2), w3, c.dilations)
        d2 = self._blocks("decode2", self._up("up2", e3, e2, w2, w3), w2, (1,) * c.decoder[0])
        d1 = self._blocks("decode1", self._up("up1", d2, e1, w1, w2), w1, (1,) * c.decoder[1])
        where, detail = self._weights("where", 4, w1), self._weights("detail", 8, w1)
        # One convolution for both heads: kernels of processors compute 8 or 16 channels at once.
        weight, bias = (np.concatenate(pair) for pair in zip(where, detail, strict=True))
        both = graph.conv(d1, weight, bias, pad=1)
        logit, repair = graph.split(both, (4, 8), axis=1)
        return graph.model("unet", damaged=graph.add("Sigmoid", logit), repair=repair)

    def _stem(self, x: str) -> str:
        """The first layer looks at 2 x 2 pixels side by side: as 6 x 6 pixels, every second."""
        inputs = self._config.features
        weight, bias = self._weights("stem", self._config.widths[0], 4 * inputs)
        weight = weight.reshape(-1, inputs, 2, 2, 3, 3).transpose(0, 1, 4, 2, 5, 3)
        return self._graph.conv(x, weight.reshape(-1, inputs, 6, 6), bias, stride=2, pad=2)

    def _down(self, name: str, x: str, outputs: int, inputs: int) -> str:
        return self._relu(self._conv(name, x, outputs, inputs, stride=2))

    def _up(self, name: str, x: str, beside: str, outputs: int, inputs: int) -> str:
        """Twice the size, by repeating pixels, added to what comes from beside."""
        graph = self._graph
        small = graph.conv(x, *self._weights(name, outputs, inputs, 1))
        scales = graph.constant(np.array((1, 1, 2, 2), np.float32))
        large = graph.add(
            "Resize", small, "", scales, mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )  # fmt: skip
        return self._relu(graph.add("Add", beside, large))

    def _blocks(self, name: str, x: str, width: int, dilations: tuple[int, ...]) -> str:
        """Residual blocks: two convolutions and a way past them."""
        for number, dilation in enumerate(dilations):
            block = f"{name}.{number}"
            inner = self._relu(self._conv(f"{block}.first", x, width, width, dilation=dilation))
            inner = self._conv(f"{block}.second", inner, width, width, dilation=dilation)
            x = self._relu(self._graph.add("Add", x, inner))
        return x

    def _conv(
        self, name: str, x: str, outputs: int, inputs: int, *, stride: int = 1, dilation: int = 1
    ) -> str:
        weights = self._weights(name, outputs, inputs)
        return self._graph.conv(x, *weights, stride=stride, pad=dilation, dilation=dilation)

    def _relu(self, x: str) -> str:
        return self._graph.add("Relu", x)

    def _weights(self, name: str, outputs: int, inputs: int, side: int = 3) -> tuple[Float, Float]:
        """Weight and bias of a layer."""
        found = []
        for part, shape in (("weight", (outputs, inputs, side, side)), ("bias", (outputs,))):
            array = self._tensors[f"{name}.{part}"]
            if array.shape != shape:
                raise ValueError(f"{name}.{part} has shape {array.shape}, not {shape}")
            self.used.add(f"{name}.{part}")
            found.append(np.asarray(array, np.float32))
        return found[0], found[1]

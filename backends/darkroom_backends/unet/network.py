"""The network on a processor: ONNX Runtime computes it, and torch is not imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock, local
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from darkroom.machine import processors
from darkroom.scan import Float
from darkroom_backends.unet.front import front_end
from darkroom_backends.unet.graph import unet_graph
from darkroom_backends.unet.shape import UNetConfig


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network says of a picture.

    Attributes:
        damaged: float32 (H, W), probability of each pixel.
        repair: float32 (8, H / 2, W / 2), details and gates of 2 x 2 pixels in the channels.
    """

    damaged: Float
    repair: Float

    def detail_and_gate(self, down: slice, right: slice) -> tuple[Float, Float]:
        """Of rows and columns that begin and end at even ones: float32 (H, W) each."""
        part = self.repair[:, down.start // 2 : down.stop // 2, right.start // 2 : right.stop // 2]
        return shuffled(part[:4]), shuffled(part[4:])


class Network(Protocol):
    """Computes the U-Net."""

    def look(self, planes: Float) -> Seen:
        """What it says of float32 (1 or 3, H, W) in [0, 1], sides multiples of the stride."""


class OnnxNetwork:
    """See `Network`; may be shared between threads.

    Args:
        config: the network's shape.
        tensors: its weights.
        threads: to compute with; 0 for one on each processor.

    Raises:
        KeyError: a weight is missing.
        ValueError: a weight is of another shape, or of none.
    """

    def __init__(
        self, config: UNetConfig, tensors: Mapping[str, NDArray[Any]], threads: int = 0
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or processors()
        # A thread that waits leaves its processor to those that cut out and judge.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Patterns give each shape of tile memory of its own: half as much again, for no gain.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        model = unet_graph(config, tensors)
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._features = config.features
        self._memory = local()
        self._turn = Lock()  # it computes on all threads; the front end of the next goes beside it

    def look(self, planes: Float) -> Seen:
        """See `Network.look`."""
        front = front_end(planes, self._buffer(planes.shape[1:]))
        with self._turn:
            damaged, repair = self._session.run(("damaged", "repair"), {"front": front[None]})
        return Seen(shuffled(damaged[0]), repair[0])

    def _buffer(self, size: tuple[int, ...]) -> Float:
        """Memory for features that this thread has had before: new pages cost a tenth of it all."""
        count = self._features * size[0] * size[1]
        held: Float | None = getattr(self._memory, "held", None)
        if held is None or held.size < count:
            self._memory.held = None  # the old before the new
            held = self._memory.held = np.empty(count, np.float32)
        return held[:count].reshape(self._features, *size)


def shuffled(planes: Float) -> Float:
    """float32 (4, H, W), 2 x 2 pixels in the channels, as (2 H, 2 W)."""
    _, height, width = planes.shape
    out = np.empty((height, 2, width, 2), np.float32)
    for number, plane in enumerate(planes):
        out[:, number // 2, :, number % 2] = plane
    return out.reshape(2 * height, 2 * width)

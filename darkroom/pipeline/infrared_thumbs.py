"""A frame and its infrared at a size that can be looked at as a whole."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom import infrared as model
from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.scan import Float, Pixels, Scan

PIXELS = 500_000  # of a thumbnail, or so
ROWS = 256  # of the scan, read at a time
WIDEST_BAND = 4_000_000  # pixels of the scan, read at a time


@dataclass(frozen=True, slots=True)
class Thumbs:
    """Means over squares of `step` pixels of the frame.

    Attributes:
        light: float32 (h, w, C), log light.
        heat: float32 (h, w), infrared in [0, 1].
        origin: (x, y) of the first square in the scan.
        step: pixels of the scan along a pixel of the thumbnail.
    """

    light: Float
    heat: Float
    origin: tuple[int, int]
    step: int

    def with_heat(self, heat: Float) -> "Thumbs":
        """The same picture with other infrared."""
        return replace(self, heat=heat)

    @property
    def log_heat(self) -> Float:
        """Log infrared, float32 (h, w)."""
        return model.log_infrared(self.heat)

    def within(self, window: Window) -> NDArray[np.bool_]:
        """The pixels that lie within a window of the scan as a whole: bool (h, w)."""
        height, width = self.heat.shape
        x, y = (
            start + self.step * np.arange(n)
            for start, n in zip(self.origin, (width, height), strict=True)
        )
        rows = (y >= window.y) & (y + self.step <= window.bottom)
        columns = (x >= window.x) & (x + self.step <= window.right)
        return np.asarray(rows[:, None] & columns[None])

    def window(self) -> Window:
        """The pixels of the scan that the thumbnail shows."""
        height, width = self.heat.shape
        return Window(*self.origin, width * self.step, height * self.step)


def take_thumbs(
    scan: Scan,
    codec: Codec,
    plane: InfraredPlane,
    frame: Window,
    pool: Executor | None = None,
) -> Thumbs:
    """Look at the whole frame once.

    Args:
        scan: the picture.
        codec: its encoding.
        plane: its infrared.
        frame: the picture without its border.
        pool: threads to read with.
    """
    step = max(1, round((frame.area / PIXELS) ** 0.5))
    width, height = max(1, frame.width // step), max(1, frame.height // step)
    rows = max(1, min(ROWS, WIDEST_BAND // max(1, frame.width)) // step)

    def look(top: int) -> tuple[Float, Float]:
        count = min(rows, height - top)
        window = Window(frame.x, frame.y + top * step, width * step, count * step)
        samples = scan.read(window)[..., : scan.info.channels]
        small = _means(np.ascontiguousarray(samples), step)
        return model.log_light(codec.encode(small)), _means(plane.padded(window), step)

    ordered: Callable[..., object] = pool.map if pool else map
    parts: list[tuple[Float, Float]] = list(ordered(look, range(0, height, rows)))  # type: ignore[call-overload]
    light, heat = (np.concatenate([part[i] for part in parts]) for i in range(2))
    return Thumbs(light, heat, (frame.x, frame.y), step)


def _means(samples: Pixels, step: int) -> Pixels:
    """Means over squares, in the samples' own type."""
    if step == 1:
        return samples
    size = (samples.shape[1] // step, samples.shape[0] // step)
    small = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small).reshape(size[1], size[0], *samples.shape[2:])

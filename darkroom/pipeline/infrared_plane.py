"""The infrared plane of a scan, laid over its picture.

Scanners store it as another sample, page or file, sometimes smaller, and it lands a little beside
the picture, since infrared is focused differently or scanned in a pass of its own.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.scan import Float, Pixels, Scan, read_padded

Whole: TypeAlias = NDArray[np.intp]
STILL = 0.05  # pixels; moving by less would only blur
TAPS = 4  # of the Catmull-Rom kernel


class InfraredPlane:
    """An infrared plane read at the picture's size and place.

    Of another size, it is resampled with the minimum: averages would lose hairs thinner than a
    pixel. Moving it by a fraction of a pixel is cubic interpolation (Catmull and Rom, "A class of
    local interpolating splines", 1974).

    Args:
        plane: the plane as it is stored, a grey scan of any size.
        width: columns of the picture.
        height: rows of the picture.
        shift: (dx, dy): what the picture has at x, y, the plane has at x + dx, y + dy.
    """

    def __init__(
        self, plane: Scan, width: int, height: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        self._plane = plane
        self.width, self.height = width, height
        self.shift = shift
        info = plane.info
        self._scale = 1.0 if info.dtype.kind == "f" else 1.0 / float(np.iinfo(info.dtype).max)
        self._same_size = (info.width, info.height) == (width, height)

    def moved(self, shift: tuple[float, float]) -> "InfraredPlane":
        """The same plane with another shift."""
        return InfraredPlane(self._plane, self.width, self.height, shift)

    def padded(self, window: Window) -> Float:
        """float32 (H, W), about [0, 1], over a window that may stick out of the picture.

        What lies outside the plane is mirrored at its edge.
        """
        columns = _moved(window.x, window.width, self.shift[0])
        rows = _moved(window.y, window.height, self.shift[1])
        source = Window(columns[0], rows[0], columns[1], rows[1])
        values = read_padded(self._unmoved, self.width, self.height, source)[..., 0]
        values = _interpolate(values, rows[2], window.height)
        return np.ascontiguousarray(_interpolate(values.T, columns[2], window.width).T)

    def _unmoved(self, window: Window) -> Float:
        """(H, W, 1) over a window inside the picture, without the shift."""
        info = self._plane.info
        if self._same_size:
            samples = self._plane.read(window)[..., :1]
        else:
            left, right = _covering(window.x, window.right, info.width / self.width, info.width)
            top, low = _covering(window.y, window.bottom, info.height / self.height, info.height)
            x, y = int(left[0]), int(top[0])
            source = Window(x, y, int(right[-1]) + 1 - x, int(low[-1]) + 1 - y)
            samples = self._plane.read(source)[..., :1]
            samples = _minimum(samples, top - y, low - y, 0)
            samples = _minimum(samples, left - x, right - x, 1)
        values = samples.astype(np.float32)
        values *= np.float32(self._scale)
        if info.photometric == "miniswhite":
            np.subtract(1.0, values, out=values)
        return values


def _moved(start: int, length: int, shift: float) -> tuple[int, int, float]:
    """(first sample, number of samples, fraction) that interpolating at start + shift needs."""
    whole = int(np.floor(shift))
    fraction = shift - whole
    if fraction > 1 - STILL:
        whole, fraction = whole + 1, 0.0
    if fraction < STILL:
        return start + whole, length, 0.0
    return start + whole - 1, length + TAPS - 1, fraction


def _interpolate(values: Float, fraction: float, length: int) -> Float:
    """Rows at `fraction` of the way between the second and the third of each four."""
    if fraction == 0.0:
        return values
    t = fraction
    weights = (
        *((-t + 2 * t * t - t**3) / 2, (2 - 5 * t * t + 3 * t**3) / 2),
        *((t + 4 * t * t - 3 * t**3) / 2, (t**3 - t * t) / 2),
    )
    out = values[:length] * np.float32(weights[0])
    for tap in range(1, TAPS):
        out += values[tap : tap + length] * np.float32(weights[tap])
    return np.asarray(np.maximum(out, 0), np.float32)


def _covering(start: int, stop: int, ratio: float, size: int) -> tuple[Whole, Whole]:
    """First and last sample of the plane that each of the picture's samples touches."""
    index = np.arange(start, stop)
    first = np.floor(index * ratio + 1e-6).astype(np.intp)
    last = np.ceil((index + 1) * ratio - 1e-6).astype(np.intp) - 1
    first = np.clip(first, 0, size - 1)
    return first, np.clip(last, first, size - 1)


def _minimum(samples: Pixels, first: Whole, last: Whole, axis: int) -> Pixels:
    """The least of samples first..last, for each pair, along an axis."""
    out: NDArray[Any] = np.take(samples, first, axis=axis)
    for step in range(1, int((last - first).max()) + 1):
        np.minimum(out, np.take(samples, np.minimum(first + step, last), axis=axis), out=out)
    return out

"""The infrared plane of a scan, laid over its picture.

Scanners store it as another sample, page or file, sometimes smaller, and it lands a little beside
the picture, since infrared is focused differently or scanned in a pass of its own.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.scan import Float, Pixels, Scan, read_padded, reflect

Whole: TypeAlias = NDArray[np.intp]
STILL = 0.05  # pixels; moving by less would only blur
TAPS = 4  # of the Catmull-Rom kernel
VARIES = 0.1  # pixels from the middle to a corner, by which a shift may vary and be one
STEPS = 32  # to a pixel, that OpenCV's remap interpolates at


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """How far the plane lies beside the picture, slowly varying over the frame.

    Attributes:
        size: (width, height) of the picture.
        terms: float64 (2, 6), of dx and dy: factors of 1, u, v, u², uv and v², where u and v run
            from -1 to 1 over the picture.
    """

    size: tuple[int, int]
    terms: NDArray[np.float64]

    def at(self, x: Any, y: Any) -> tuple[Any, Any]:
        """(dx, dy) at pixels, arrays of one shape or that fit together."""
        u = (2 * x + 1) / self.size[0] - 1
        v = (2 * y + 1) / self.size[1] - 1
        dx, dy = (
            (((t[3] * u + t[1]) * u + t[0]) + (t[4] * u + t[2]) * v) + t[5] * v * v
            for t in self.terms
        )
        return dx, dy

    @property
    def shift(self) -> tuple[float, float]:
        """(dx, dy) in the middle."""
        return round(float(self.terms[0, 0]), 3) + 0.0, round(float(self.terms[1, 0]), 3) + 0.0

    @property
    def still(self) -> bool:
        """Whether the shift is the same everywhere, for all that matters."""
        return float(np.abs(self.terms[:, 1:]).sum(axis=1).max()) < VARIES

    @property
    def angle(self) -> float:
        """Rotation in degrees, counted as image coordinates are: from x to y."""
        across = self.terms[1, 1] * 2 / self.size[0], self.terms[0, 2] * 2 / self.size[1]
        return float(np.rad2deg((across[0] - across[1]) / 2))

    @property
    def scale(self) -> float:
        """How much larger the plane shows the picture, as a factor."""
        along = self.terms[0, 1] * 2 / self.size[0], self.terms[1, 2] * 2 / self.size[1]
        return float(1 + (along[0] + along[1]) / 2)


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
        warp: the same where it varies; takes the place of `shift`.
        inverted: whether the plane is a negative, dark where film is clear.
    """

    def __init__(
        self,
        plane: Scan,
        width: int,
        height: int,
        shift: tuple[float, float] = (0.0, 0.0),
        warp: Warp | None = None,
        *,
        inverted: bool = False,
    ) -> None:
        self._plane = plane
        self.width, self.height = width, height
        self.warp = None if warp is None or warp.still else warp
        self.shift = shift if warp is None else warp.shift
        self.inverted = inverted
        info = plane.info
        self._scale = 1.0 if info.dtype.kind == "f" else 1.0 / float(np.iinfo(info.dtype).max)
        self._same_size = (info.width, info.height) == (width, height)

    def moved(self, warp: Warp) -> "InfraredPlane":
        """The same plane laid otherwise."""
        size = self.width, self.height
        return InfraredPlane(self._plane, *size, warp=warp, inverted=self.inverted)

    def turned(self) -> "InfraredPlane":
        """The same plane, its dark and bright exchanged."""
        size = self.width, self.height
        warp = self.warp or Warp(size, still(self.shift))
        return InfraredPlane(self._plane, *size, warp=warp, inverted=not self.inverted)

    @property
    def covered(self) -> Window:
        """The part of the picture that the plane shows as a whole."""
        size = self.width, self.height
        warp = self.warp or Warp(size, still(self.shift))
        x, y = np.linspace(0, self.width - 1, 9), np.linspace(0, self.height - 1, 9)
        left, right = (warp.at(edge, y)[0] for edge in (0.0, self.width - 1.0))
        top, low = (warp.at(x, edge)[1] for edge in (0.0, self.height - 1.0))
        x0, y0 = (max(0, int(np.ceil(-part.min()))) for part in (left, top))
        x1 = self.width - max(0, int(np.ceil(right.max())))
        y1 = self.height - max(0, int(np.ceil(low.max())))
        return Window(x0, y0, max(1, x1 - x0), max(1, y1 - y0))

    def padded(self, window: Window) -> Float:
        """float32 (H, W), about [0, 1], over a window that may stick out of the picture.

        What lies outside the plane is mirrored at its edge.
        """
        if self.warp is not None:
            return self._warped(window, self.warp)
        columns = _moved(window.x, window.width, self.shift[0])
        rows = _moved(window.y, window.height, self.shift[1])
        source = Window(columns[0], rows[0], columns[1], rows[1])
        values = read_padded(self._unmoved, self.width, self.height, source)[..., 0]
        values = _interpolate(values, rows[2], window.height)
        return np.ascontiguousarray(_interpolate(values.T, columns[2], window.width).T)

    def _warped(self, window: Window, warp: Warp) -> Float:
        """float32 (H, W) over a window, by bicubic interpolation (OpenCV's remap)."""
        x = np.arange(window.x, window.right, dtype=np.float64)[None]
        y = np.arange(window.y, window.bottom, dtype=np.float64)[:, None]
        # A window may stick out; what lies there is the picture's mirror image.
        x, y = (reflect_places(part, size) for part, size in ((x, self.width), (y, self.height)))
        dx, dy = warp.at(x, y)
        # In steps that remap counts in, so that no window can round otherwise than another.
        places = [np.rint((part + move) * STEPS) / STEPS for part, move in ((x, dx), (y, dy))]
        low = [int(np.floor(part.min())) - 2 for part in places]
        high = [int(np.ceil(part.max())) + 3 for part in places]
        source = Window(low[0], low[1], high[0] - low[0], high[1] - low[1])
        values = read_padded(self._unmoved, self.width, self.height, source)[..., 0]
        across, down = (
            (part - start).astype(np.float32) for part, start in zip(places, low, strict=True)
        )
        import cv2

        found = cv2.remap(np.ascontiguousarray(values), across, down, cv2.INTER_CUBIC)
        return np.asarray(np.maximum(found, 0), np.float32)

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
        if (info.photometric == "miniswhite") != self.inverted:
            np.subtract(1.0, values, out=values)
        return values


def still(shift: tuple[float, float]) -> NDArray[np.float64]:
    """The terms of a warp that is one shift everywhere."""
    terms = np.zeros((2, 6))
    terms[:, 0] = shift
    return terms


def reflect_places(places: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Whole places folded into 0..size-1 by mirroring at the edge samples."""
    first = int(places.flat[0])
    return reflect(first, first + places.size, size).reshape(places.shape).astype(np.float64)


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

"""Thin dirt taken off a frame: the light that it left is divided by the share of it.

Whether it is there, and how strong, is measured on the frame itself: the same pattern is looked
for beside the place as well, and what is found there by chance says what the finding is worth.
After Zhou and Lin (CVPR 2007), with the strength fitted in each frame.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.roll.fixed import FixedPlace
from darkroom.roll.plane import DARKEST
from darkroom.scan import Bytes, Float, luminance

SHOWS = (np.log(0.5), np.log(1.7))  # logarithms of gain within which signal is left
CLIPPED = (0.008, 0.992)  # of black or white: nothing is left of the picture
MOST_CLIPPED = 0.05  # share of a place
LEAST, MOST = 0.4, 1.3  # of the strength that the roll has taught
CERTAIN = 3.0  # times what is found beside it
MARGIN = 6  # pixels about a place that belong to the pattern
FEWEST = 4  # places beside it that must lie in the frame
Reader = Callable[[Window], Float]


@dataclass(frozen=True, slots=True)
class Shadow:
    """A thin place, as strong as it is in one frame.

    Attributes:
        window: bounding box.
        gain: float32 over it, logarithm of the light that is left; 0 outside the place.
    """

    window: Window
    gain: Float

    def windows(self) -> Iterator[Window]:
        """The one window that holds all of it."""
        yield self.window

    def mask(self, window: Window) -> Bytes:
        """uint8 (H, W) over a window: 255 in the place."""
        out = np.zeros((window.height, window.width), np.uint8)
        common = self.window.intersect(window)
        part = self.gain[common.relative_to(self.window).slices]
        out[common.relative_to(window).slices][part != 0] = 255
        return out

    def take_off(self, image: Float, window: Window) -> Float:
        """The picture (H, W, C) over a window, without it."""
        common = self.window.intersect(window)
        out = image.copy()
        part = self.gain[common.relative_to(self.window).slices]
        view = out[common.relative_to(window).slices]
        view *= np.exp(-part)[..., None]
        return np.clip(out, 0, 1)


def shadows(read: Reader, frame: Window, places: Sequence[FixedPlace]) -> Iterator[Shadow]:
    """The thin places that a frame shows for certain.

    Args:
        read: gives (H, W, C) float32 in [0, 1], gamma-encoded, for a window inside the scan.
        frame: the picture without its border.
        places: of the roll.
    """
    for place in places:
        gain = place.gain
        own = gain[place.mask]
        if own.min() < SHOWS[0] or own.max() > SHOWS[1] or not frame.contains(place.window):
            continue
        strength = _strength(read, frame, place, gain)
        if strength is not None:
            yield Shadow(place.window, np.where(place.mask, strength * gain, 0).astype(np.float32))


def _strength(read: Reader, frame: Window, place: FixedPlace, gain: Float) -> float | None:
    """How strong a place is in a frame; None where that cannot be told or it is not there."""
    near = place.window.grow(MARGIN)
    wide = Window(
        near.x - 3 * near.width, near.y - 3 * near.height, 7 * near.width, 7 * near.height
    ).intersect(frame)
    if not wide.contains(near):  # at the edge: what there is of its surroundings
        near = near.intersect(frame)
    image = read(wide)
    inside = image[place.window.relative_to(wide).slices]
    clipped = ((inside <= CLIPPED[0]) | (inside >= CLIPPED[1])).any(axis=2)
    if np.asarray(clipped)[place.mask].mean() > MOST_CLIPPED:
        return None
    level = np.log(np.maximum(luminance(image), np.float32(DARKEST)))
    pattern = np.zeros((near.height, near.width))
    pattern[place.window.relative_to(near).slices] = gain
    pattern = _without_slope(pattern)
    size = float((pattern**2).sum())
    if size <= 0:
        return None

    def found(dx: int, dy: int) -> float | None:
        moved = near.shift(dx * near.width, dy * near.height)
        if not wide.contains(moved):
            return None
        return float((pattern * level[moved.relative_to(wide).slices]).sum()) / size

    steps = [(x, y) for x in range(-2, 3) for y in range(-2, 3) if (x, y) != (0, 0)]
    steps += [(-3, 0), (3, 0), (0, -3), (0, 3)]
    beside = [value for value in (found(*step) for step in steps) if value is not None]
    here = found(0, 0)
    if here is None or len(beside) < FEWEST:
        return None
    chance = max(_usual(np.array(beside)), 0.02)
    if here < max(LEAST, CERTAIN * chance):
        return None
    return min(here, MOST)


def _usual(values: NDArray[np.float64]) -> float:
    """The usual size of values about zero: root mean square, a quarter of the largest left out."""
    sizes = np.sort(np.abs(values))
    return float(np.sqrt(np.mean(sizes[: max(1, (3 * len(sizes) + 3) // 4)] ** 2))) * 1.5


def _without_slope(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """An array less the plane through it, by least squares."""
    height, width = values.shape
    y = np.arange(height) - (height - 1) / 2
    x = np.arange(width) - (width - 1) / 2
    out = values - values.mean()
    if height > 1:
        out = out - np.outer(y, np.full(width, (out.mean(axis=1) @ y) / (y @ y)))
    if width > 1:
        out = out - np.outer(np.ones(height), x * ((out.mean(axis=0) @ x) / (x @ x)))
    return np.asarray(out, np.float64)


@dataclass(frozen=True, slots=True)
class ShadowRepair:
    """What the repairing pass asks about thin dirt."""

    shadows: tuple[Shadow, ...] = ()

    def repair(
        self, image: Float, window: Window, marked: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], Float]:
        """(which pixels under the mask are of thin dirt, the image without them).

        Args:
            image: float32 (H, W, C) over the window.
            window: in image coordinates; may stick out.
            marked: bool (H, W), the mask.
        """
        taken = np.zeros(marked.shape, np.bool_)
        for shadow in self.shadows:
            own = (shadow.mask(window) > 0) & marked
            if own.any():
                image = np.where(own[..., None], shadow.take_off(image, window), image)
                taken |= own
        return taken, np.asarray(image, np.float32)

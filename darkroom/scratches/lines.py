"""Scratches that were found: which pixels they take, and what the film is without them.

A scratch that lets the film show through is taken off again: its cross-section, as strong as it is
at that place, is subtracted, and what covers the film by a share is divided out. The film's own
grain and all that crosses the line stay. Where nothing shows through, the picture is carried
across from one side to the other, in the direction in which both sides agree best.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.scan import Bytes, Float, Tile
from darkroom.scratches.bridge import bridge
from darkroom.scratches.evidence import GROUP
from darkroom.scratches.strips import course

RIM = 1  # pixels beyond the cross-section that are taken as well
CLIPPED = 0.004  # of black or white: nothing is left of the film
Where = NDArray[np.bool_]
MARGIN = 48  # pixels about a place that its repair depends on


@dataclass(frozen=True, slots=True)
class LineScratch:
    """A scratch along the frame.

    Attributes:
        upright: from top to bottom, else from left to right.
        frame: what places are counted from.
        middle: float (blocks,), the place across at the middle of each block.
        there: bool (groups,), where it is not broken off.
        left, right: pixels from its middle to its ends across, left negative.
        profile: float32 (right - left + 1,), the cross-section, about 1 inside.
        colour: float32 (C,), how the channels share in it; sums of squares to 1.
        sign: 1 brighter, -1 darker than the picture.
        strength: float32 (groups,), how much light it adds, or takes, in the direction of `colour`.
        covers: share of the film that it hides.
        shows: whether the film shows through well enough to be brought back.
        confidence: that it is a scratch, 0 to 1.
    """

    upright: bool
    frame: Window
    middle: NDArray[np.float64]
    there: NDArray[np.bool_]
    left: int
    right: int
    profile: Float
    colour: Float
    sign: int
    strength: Float
    covers: float
    shows: bool
    confidence: float

    @property
    def energy(self) -> float:
        """How much it changes of the picture."""
        return float((self.strength[self.there] ** 2).sum() * (self.profile**2).sum())

    def windows(self, step: int = 64) -> Iterator[Window]:
        """Windows of at most `step` pixels along that hold all of it, in image coordinates."""
        long = self.frame.height if self.upright else self.frame.width
        for start in range(0, long, step):
            stop = min(start + step, long)
            places = self.places(np.arange(start, stop))
            first = int(np.floor(places.min())) + self.left - RIM
            last = int(np.ceil(places.max())) + self.right + RIM
            window = Window(first, start, last - first + 1, stop - start)
            if not self.upright:
                window = Window(start, first, stop - start, last - first + 1)
            window = window.shift(self.frame.x, self.frame.y)
            inside = window.intersect(self.frame)
            if inside.area and self.mask(inside).any():
                yield inside

    def places(self, along: NDArray[np.intp]) -> NDArray[np.float64]:
        """The middle across at each place along, from the frame's corner."""
        return course(self.middle, along)

    def _laid(self, window: Window) -> tuple[NDArray[np.intp], NDArray[np.float64], Where]:
        """(group, step from the middle, whether the line is there) of each pixel, line upright."""
        along0, across0 = window.y - self.frame.y, window.x - self.frame.x
        n, m = window.height, window.width
        if not self.upright:
            along0, across0, n, m = across0, along0, m, n
        along = np.arange(along0, along0 + n)
        step = np.arange(across0, across0 + m) - self.places(along)[:, None]
        group = np.clip(along // GROUP, 0, len(self.there) - 1)
        long = self.frame.height if self.upright else self.frame.width
        there = self.there[group] & (along >= 0) & (along < long)
        return group, step, there

    def _inside(self, step: NDArray[np.float64], there: Where) -> Where:
        """Whether each pixel belongs to the scratch."""
        edge = RIM + 0.5
        inside: Where = there[:, None] & (step > self.left - edge) & (step < self.right + edge)
        return inside

    def mask(self, window: Window) -> Bytes:
        """uint8 (H, W) over a window: 255 where the scratch is."""
        _, step, there = self._laid(window)
        marked = self._inside(step, there).astype(np.uint8) * np.uint8(255)
        return marked if self.upright else np.ascontiguousarray(marked.T)

    def take_off(self, image: Float, window: Window) -> tuple[Float, NDArray[np.bool_]]:
        """The picture without the scratch, and where that could be had.

        Args:
            image: float32 (H, W, C) over the window.
            window: in image coordinates.

        Returns:
            float32 (H, W, C), and bool (H, W), where the film shows through.
        """
        group, step, there = self._laid(window)
        view = image if self.upright else image.transpose(1, 0, 2)
        known = np.arange(self.left - 1, self.right + 2)
        shape = np.interp(step, known, np.pad(self.profile, 1)).astype(np.float32)
        added = (self.sign * self.strength[group])[:, None] * shape
        covers = np.float32(self.covers) * self.colour / self.colour.max()
        kept = 1 - np.clip(shape, 0, 1)[..., None] * covers
        film = (view - added[..., None] * self.colour) / kept
        clipped = ((view <= CLIPPED) | (view >= 1 - CLIPPED)).any(axis=2)
        good = self._inside(step, there) & ~clipped & self.shows
        if self.upright:
            return np.clip(film, 0, 1), good
        return np.ascontiguousarray(np.clip(film, 0, 1).transpose(1, 0, 2)), good.T


@dataclass(frozen=True, slots=True)
class LineRepair:
    """What the repairing pass asks about the scratches of a frame.

    Attributes:
        lines: in the order in which they are taken off.
        margin: pixels about a place that its repair depends on.
    """

    lines: tuple[LineScratch, ...]
    margin: int = MARGIN

    def touches(self, window: Window) -> bool:
        """Whether any of them has a pixel in a window."""
        return any(bool(line.mask(window).any()) for line in self.lines)

    def repair(self, tile: Tile) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Float]:
        """The picture without its scratches.

        Args:
            tile: image and mask over its read window; the mask says what else is damaged.

        Returns:
            bool (H, W), pixels of scratches under the mask; bool (H, W), those of them that show
            the film itself and need no grain; float32 (H, W, C), the image with all of the first
            replaced.
        """
        assert tile.mask is not None
        image, marked = tile.image, tile.mask > 0
        taken = np.zeros(marked.shape, np.bool_)
        bridged = np.zeros(marked.shape, np.bool_)
        for line in self.lines:
            own = (line.mask(tile.read) > 0) & marked
            if not own.any():
                continue
            film, good = line.take_off(image, tile.read)
            image = np.where((own & good)[..., None], film, image)
            taken |= own
            bridged |= own & ~good
            rest = own & ~good
            if rest.any():
                image = bridge(image, rest, marked, upright=line.upright)
        return taken, taken & ~bridged, np.asarray(image, np.float32)


def united(lines: Sequence[LineScratch], window: Window) -> Bytes:
    """uint8 (H, W): 255 where any of the scratches is."""
    out = np.zeros((window.height, window.width), np.uint8)
    for line in lines:
        np.maximum(out, line.mask(window), out=out)
    return out

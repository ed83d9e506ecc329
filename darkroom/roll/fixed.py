"""The map of a roll: where dirt stays, and how much light it leaves. It is a picture, too.

As a picture it is 16-bit grey, the size of the frames: 32768 where nothing is, and in places the
share of light that is left there times 32768, so that dirt is as dark or as bright as it makes the
frames. Any program shows it, and what is painted over in middle grey is no longer in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.mask import components, pick
from darkroom.roll.places import Place
from darkroom.scan import Bytes, Float

NOTHING = 32768
CELL = 256  # pixels of the grid by which places are looked up
Picture = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class FixedPlace:
    """A place where dirt stays.

    Attributes:
        window: bounding box in the frame.
        coded: uint16 over it, as in the picture; `NOTHING` outside the place.
    """

    window: Window
    coded: Picture

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool over the window."""
        return np.asarray(self.coded != NOTHING)

    @property
    def gain(self) -> Float:
        """float32 over the window: the logarithm of the light that is left, 0 outside."""
        return np.log(np.maximum(self.coded, 1) * np.float32(1 / NOTHING), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class RollMap:
    """Where dirt stays on the frames of a roll.

    Attributes:
        width, height: of the frames.
        places: from top to bottom.
        pictures: different pictures that it was made from, or None where it was given.
        frames: frames that were looked at, or None.
    """

    width: int
    height: int
    places: tuple[FixedPlace, ...]
    pictures: int | None = None
    frames: int | None = None

    def fits(self, width: int, height: int) -> bool:
        """Whether it is of frames of this size."""
        return (width, height) == (self.width, self.height)

    def rows(self, window: Window) -> Picture:
        """The picture over a window: uint16 (H, W)."""
        out = np.full((window.height, window.width), NOTHING, np.uint16)
        for place, common in self._within(window):
            part = place.coded[common.relative_to(place.window).slices]
            view = out[common.relative_to(window).slices]
            view[part != NOTHING] = part[part != NOTHING]
        return out

    def _within(self, window: Window) -> Iterator[tuple[FixedPlace, Window]]:
        for place in self.places:
            common = place.window.intersect(window)
            if common.area:
                yield place, common

    @property
    def digest(self) -> str:
        """SHA-256 of its places."""
        made = sha256(f"{self.width} {self.height}".encode())
        for place in self.places:
            made.update(repr(place.window).encode() + np.ascontiguousarray(place.coded).tobytes())
        return made.hexdigest()

    @classmethod
    def enlarged(
        cls, found: Sequence[Place], scale: int, width: int, height: int, **made: int
    ) -> "RollMap":
        """The map of frames from the places of a plane that is `scale` times smaller."""
        places = [_enlarged(place, scale) for place in found]
        return cls(width, height, tuple(places), **made)

    @classmethod
    def from_picture(
        cls, bands: Iterable[tuple[int, Picture]], width: int, height: int
    ) -> "RollMap":
        """The map that a picture shows.

        Args:
            bands: (first row, uint16 (rows, width)) from top to bottom.
            width, height: of the picture.
        """
        picture = np.concatenate([rows for _, rows in bands])
        mask = (picture != NOTHING).astype(np.uint8)
        found = sorted(components([(0, mask)], width), key=lambda part: part.anchor[::-1])
        places = []
        for part in found:
            chosen = pick(mask[part.window.slices], 1, part.start)
            coded = np.where(chosen, picture[part.window.slices], NOTHING).astype(np.uint16)
            places.append(FixedPlace(part.window, coded))
        return cls(width, height, tuple(places))


class Places:
    """Answers quickly whether dirt stays anywhere in a window.

    Args:
        roll: the map.
    """

    def __init__(self, roll: RollMap) -> None:
        self._cells: dict[tuple[int, int], list[FixedPlace]] = {}
        for place in roll.places:
            for cell in _cells(place.window):
                self._cells.setdefault(cell, []).append(place)

    def mask(self, window: Window) -> Bytes:
        """uint8 (H, W) over a window that may stick out: 255 where dirt stays."""
        out = np.zeros((window.height, window.width), np.uint8)
        near = {id(p): p for cell in _cells(window) for p in self._cells.get(cell, ())}
        for place in near.values():
            common = place.window.intersect(window)
            if common.area:
                part = place.coded[common.relative_to(place.window).slices] != NOTHING
                out[common.relative_to(window).slices][part] = 255
        return out


def _cells(window: Window) -> Iterator[tuple[int, int]]:
    """The cells of a grid that a window touches."""
    for y in range(window.y // CELL, (window.bottom - 1) // CELL + 1):
        for x in range(window.x // CELL, (window.right - 1) // CELL + 1):
            yield y, x


def _enlarged(place: Place, scale: int) -> FixedPlace:
    import cv2

    box = place.window
    window = Window(*(scale * v for v in (box.x, box.y, box.width, box.height)))
    size = (window.width, window.height)
    gain = cv2.resize(place.gain, size, interpolation=cv2.INTER_LINEAR)
    mask = np.kron(place.mask, np.ones((scale, scale), np.bool_))
    coded = np.clip(np.rint(NOTHING * np.exp(gain.astype(np.float64))), 1, 65535)
    # What belongs to a place never looks as if nothing was there.
    coded = np.where(coded == NOTHING, NOTHING + np.where(gain < 0, -1, 1), coded)
    return FixedPlace(window, np.where(mask, coded, NOTHING).astype(np.uint16))

"""Artefacts as layers that can be laid over a picture: lifted from others, or drawn by the model.

A residue is what an artefact added to its picture. It is either added to its new place, or turned
into an opacity that covers what is there.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import CLEAN, DAMAGED, EIGHT, LEVELS, UNDECIDED
from darkroom.damage.model import DamageModel
from darkroom.damage.render import extent, shape
from darkroom.geometry import Window
from darkroom.scan import Bytes, Float, luminance

VISIBLE = 10.0  # levels; a layer that nowhere changes as much is not laid
HIT, RIM = 4.0, 1.5  # levels; a pixel changed more is damaged, or undecided
LEAST_ROOM = 20.0  # levels to white or black that an opacity is told from
PLAIN = 60.0  # levels; a residue stronger than this is drawn no more often
LARGE = 400  # pixels; nor one larger


@dataclass(frozen=True, slots=True)
class Residue:
    """An artefact lifted from its picture.

    Attributes:
        change: float32 (h, w, C) levels it added, 0 outside it.
        under: float32 (h, w, C) what lay beneath, in levels.
        inside: bool (h, w), its pixels without the rim.
    """

    change: Float
    under: Float
    inside: NDArray[np.bool_]

    @property
    def peak(self) -> float:
        """Largest change in levels."""
        return float(np.abs(self.change).max())

    @property
    def pick(self) -> float:
        """Its share in the choice: plain and large ones come more often."""
        return min(self.peak, PLAIN) * math.sqrt(min(int(self.inside.sum()), LARGE))

    def turned(self, turn: int) -> "Residue":
        """In one of the eight turns and mirrorings."""
        return Residue(*(dihedral(a, turn) for a in (self.change, self.under, self.inside)))

    def in_channels(self, channels: int) -> "Residue":
        """With so many channels: luminance of colour, or grey in each."""
        if self.change.shape[2] == channels:
            return self
        planes = (luminance(a)[..., None] for a in (self.change, self.under))
        change, under = (np.repeat(plane, channels, axis=2) for plane in planes)
        return Residue(change, under, self.inside)

    def layer(self, rng: np.random.Generator) -> "Layer":
        """Added with another strength, or as dust that covers with white or black."""
        brighter = self.change.sum() > 0
        if brighter and rng.random() < 0.5:
            room = np.maximum(LEVELS - self.under, LEAST_ROOM)
            return Layer(np.clip(self.change / room, 0, 1), np.float32(LEVELS))
        if not brighter and rng.random() < 0.3:
            room = np.maximum(self.under, LEAST_ROOM)
            return Layer(np.clip(-self.change / room, 0, 1), np.float32(0))
        return Layer(self.change * np.float32(rng.uniform(0.5, 1.4)), None)


@dataclass(frozen=True, slots=True)
class Layer:
    """Something to lay over a picture.

    Attributes:
        plane: float32 (h, w, C or 1): levels to add, or an opacity in [0, 1].
        towards: the level, or levels (C,), that the opacity covers with; None to add.
        place: where it belongs, as (y, x) of its corner; None for anywhere.
    """

    plane: Float
    towards: Float | np.float32 | None
    place: tuple[int, int] | None = None

    def over(self, before: Float) -> Float:
        """What it makes of a place, (h, w, C) in levels."""
        if self.towards is None:
            after = before + self.plane
        else:
            after = before + self.plane * (self.towards - before)
        return np.asarray(np.clip(after, 0, LEVELS), np.float32)

    def lay(self, scan: Float, state: Bytes, rng: np.random.Generator) -> bool:
        """Lay it over a picture, in place, where nothing is damaged yet.

        Args:
            scan: float32 (H, W, C) in levels.
            state: uint8 (H, W), see `darkroom.damage.difference`.
            rng: draws the place.

        Returns:
            Whether it was; not where it is too large, would hardly be seen or hides damage.
        """
        height, width = self.plane.shape[:2]
        y, x = self.place or (0, 0)
        if self.place is None:
            if height >= scan.shape[0] or width >= scan.shape[1]:
                return False
            y, x = rng.integers(scan.shape[0] - height), rng.integers(scan.shape[1] - width)
        at = np.s_[y : y + height, x : x + width]
        after = self.over(scan[at])
        moved = np.abs(after - scan[at]).max(axis=2)
        if moved.max(initial=0) < VISIBLE or (state[at][moved > RIM] == DAMAGED).any():
            return False
        scan[at] = after
        hit = moved > HIT
        rim = (moved > RIM) | ndi.binary_dilation(hit, EIGHT)
        state[at][rim & (state[at] == CLEAN)] = UNDECIDED
        state[at][hit] = DAMAGED
        return True


def draw(
    model: DamageModel, dpi: float, sides: tuple[int, int], channels: int, rng: np.random.Generator
) -> Layer:
    """An artefact of the model somewhere on a picture, which may cut it.

    Args:
        model: what it is drawn from.
        dpi: resolution that its size goes by.
        sides: height and width of the picture.
        channels: of the picture.
        rng: draws all about it.
    """
    height, width = sides
    x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
    artefact = replace(model.artefact(dpi, rng), x=x, y=y)
    box = extent(artefact).intersect(Window(0, 0, width, height))
    colour = np.asarray(artefact.colour, np.float32) * np.float32(LEVELS)
    towards = colour if channels == 3 else colour.mean(keepdims=True)
    return Layer(shape(artefact, box)[..., None], towards, (box.y, box.x))


def lift(
    scan: Float,
    truth: Float,
    marked: NDArray[np.bool_],
    *,
    margin: int = 2,
    largest: float = math.inf,
) -> Iterator[Residue]:
    """The artefacts of a pair, each with a rim of one pixel.

    Args:
        scan: float32 (H, W) or (H, W, C) in levels.
        truth: likewise, without damage and of the same tone.
        marked: bool (H, W), what is damaged.
        margin: those nearer to an edge than this are cut by it, and left out.
        largest: so are those longer than this.
    """
    scan, truth = np.atleast_3d(scan), np.atleast_3d(truth)
    labels, _ = ndi.label(marked, EIGHT)
    height, width = labels.shape
    for number, (rows, columns) in enumerate(ndi.find_objects(labels), 1):
        near = min(rows.start, columns.start, height - rows.stop, width - columns.stop)
        if near < margin or max(rows.stop - rows.start, columns.stop - columns.start) > largest:
            continue
        wide = np.s_[
            max(0, rows.start - 1) : rows.stop + 1, max(0, columns.start - 1) : columns.stop + 1
        ]
        own = labels[wide] == number
        rim = ndi.binary_dilation(own, EIGHT)[..., None]
        change = np.where(rim, scan[wide] - truth[wide], np.float32(0))
        yield Residue(change.astype(np.float32), truth[wide].astype(np.float32), own)


def dihedral(plane: NDArray[Any], turn: int) -> NDArray[Any]:
    """One of the eight turns and mirrorings of an array (h, w, ...)."""
    return np.ascontiguousarray(np.rot90(plane[::-1] if turn > 3 else plane, turn % 4))

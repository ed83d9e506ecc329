"""Frames put together, one after the other: what stands out at the same place in many of them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darkroom.roll.plane import (
    LEVELS,
    Plane,
    Spread,
    alike,
    cells,
    deviations,
    level_shape,
    signature,
    smooth,
)
from darkroom.scan import Float

SAME = 0.5  # correlation above which two frames show one picture
LIMIT = 4.0  # usual deviations that one frame can count for
BLANK_LIMIT = 16.0  # of frames that show nothing but dirt
MOST = 48  # frames; more say no more


@dataclass(slots=True)
class Level:
    """What one level of all frames adds up to.

    Frames in which the surroundings of a place are even say most of it, so that each counts by
    the inverse of its variance there.

    Attributes:
        weighted: float32 (H, W), sum of residues, limited, each over its variance.
        weight: float32 (H, W), sum of the inverse variances.
    """

    weighted: Float
    weight: Float

    @classmethod
    def empty(cls, rows: int, columns: int) -> "Level":
        """Nothing yet."""
        return cls(np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32))

    @property
    def clearness(self) -> Float:
        """float32 (H, W): by how many standard errors a place is bright (positive) or dark."""
        errors = np.sqrt(np.maximum(self.weight, np.float32(1e-12)))
        return np.asarray(self.weighted / errors, np.float32)


@dataclass(slots=True)
class Gathered:
    """The frames of a roll, put together.

    Attributes:
        height, width: of the reduced plane.
        blank: the frames show nothing, so that one and the same may count again.
        levels: from fine to coarse.
        gains: float32 (H, W), like `weighted` of the finest level, but without a limit.
        colour: float32 (H, W), sum of what is redder than its surroundings.
        seen: frames that were looked at.
        even: whether all of them are alike all over but for small places, as blank frames are.
        pictures: those that counted: a picture counts once, however often it was taken.
        cell_levels: for each that counted, its `cells`.
    """

    height: int
    width: int
    blank: bool = False
    levels: list[Level] = field(default_factory=list)
    gains: Float = field(default_factory=lambda: np.empty(0, np.float32))
    colour: Float = field(default_factory=lambda: np.empty(0, np.float32))
    seen: int = 0
    even: bool = True
    cell_levels: list[Float] = field(default_factory=list)
    _signatures: list[NDArray[np.float64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = (self.height, self.width)
        self.levels = [Level.empty(*level_shape(*shape, n)) for n in range(LEVELS)]
        self.gains, self.colour = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    @property
    def pictures(self) -> int:
        """Frames that counted."""
        return len(self._signatures)

    def add(self, plane: Plane, spread: Spread = map) -> bool:
        """Add a frame, and say whether it counted: it does not if its picture was there before.

        Args:
            plane: see `log_plane`.
            spread: as there.
        """
        self.seen += 1
        coarse = cells(plane.light)
        self.even &= smooth(coarse)
        mark = signature(coarse)
        if not self.blank and any(float(mark @ other) > SAME for other in self._signatures):
            return False
        self._signatures.append(mark)
        self.cell_levels.append(coarse)
        limit = BLANK_LIMIT if self.blank else LIMIT
        if plane.colour is not None:
            self.colour += plane.colour
        at = [0] * LEVELS
        for part in deviations(plane.light, spread):
            self.even &= alike(part.levels[0][1])
            self.gains[part.rows] += part.rest / part.levels[0][1] ** 2
            for n, (rest, usual) in enumerate(part.levels):
                level, rows = self.levels[n], slice(at[n], at[n] + len(rest))
                level.weighted[rows] += np.clip(rest, -limit * usual, limit * usual) / usual**2
                level.weight[rows] += usual**-2
                at[n] += len(rest)
        return True

"""The turn that brings a scan upright on the page.

Files keep their orientation and pixels are never turned; a person wants to see the picture upright.
All that the page has to know of it is here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.orientation import (
    stored_points,
    stored_window,
    swaps_sides,
    upright,
    upright_points,
    upright_window,
)
from darkroom.scan import Pixels

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Upright:
    """How one scan lies on the page.

    Attributes:
        width: columns as stored.
        height: rows as stored.
        orientation: EXIF orientation 1 to 8.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows) of the upright picture."""
        swapped = swaps_sides(self.orientation)
        return (self.height, self.width) if swapped else (self.width, self.height)

    def turn(self, pixels: Pixels) -> Pixels:
        """Stored pixels (h, w, …) of any window as they are shown."""
        return np.ascontiguousarray(upright(pixels, self.orientation))

    def shown(self, points: Points) -> Points:
        """Stored points (n, 2) of x, y, counted from the corner of the first pixel, as shown."""
        return upright_points(points, (self.width, self.height), self.orientation)

    def stored(self, points: Points) -> Points:
        """Shown points (n, 2) as stored: the inverse of `shown`."""
        return stored_points(points, (self.width, self.height), self.orientation)

    def shown_window(self, window: Window) -> Window:
        """A stored window as shown."""
        return upright_window(window, (self.width, self.height), self.orientation)

    def stored_window(self, window: Window) -> Window:
        """A shown window as stored."""
        return stored_window(window, (self.width, self.height), self.orientation)

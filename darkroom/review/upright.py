"""Between a scan's stored pixels and the upright picture that is shown.

Files keep their orientation (EXIF 2.3, section 4.6.4) and pixels are never turned; a person wants
to see the picture upright. All arithmetic of that is here, so that the page knows nothing of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.inspect.preview import TURNS
from darkroom.scan import Pixels


@dataclass(frozen=True, slots=True)
class Upright:
    """The turn that brings one scan upright.

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
        turned = TURNS[self.orientation][0] % 2
        return (self.height, self.width) if turned else (self.width, self.height)

    def turn(self, pixels: Pixels) -> Pixels:
        """Stored pixels (h, w, …) of any window as they are shown."""
        turns, mirrored = TURNS[self.orientation]
        turned = np.rot90(pixels, turns)
        return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)

    def shown(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stored points (n, 2) of x, y, counted from the corner of the first pixel, as shown."""
        x, y = points[:, 0], points[:, 1]
        width, height = self.width, self.height
        turns, mirrored = TURNS[self.orientation]
        for _ in range(turns):  # to the left
            x, y, width, height = y, width - x, height, width
        return np.stack([width - x if mirrored else x, y], axis=1)

    def stored(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shown points (n, 2) as stored: the inverse of `shown`."""
        turns, mirrored = TURNS[self.orientation]
        width, height = self.size
        x, y = points[:, 0], points[:, 1]
        x = width - x if mirrored else x
        for _ in range(turns):  # to the right
            x, y, width, height = height - y, x, height, width
        return np.stack([x, y], axis=1)

    def shown_window(self, window: Window) -> Window:
        """A stored window as shown."""
        return _around(self.shown(_corners(window)))

    def stored_window(self, window: Window) -> Window:
        """A shown window as stored."""
        return _around(self.stored(_corners(window)))


def _corners(window: Window) -> NDArray[np.float64]:
    return np.array([[window.x, window.y], [window.right, window.bottom]], np.float64)


def _around(points: NDArray[np.float64]) -> Window:
    (left, top), (right, bottom) = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    return Window(int(left), int(top), int(right - left), int(bottom - top))

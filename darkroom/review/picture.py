"""A scan as a pyramid of tiles, so that a picture of any size can be looked at in a browser.

Level 0 is the scan itself, and each further level half as wide and high. Levels below `COARSE` are
read from the file when they are asked for; those above come from an overview that is made once, is
a sixty-fourth of the scan, and stays in memory.
"""

import threading
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from darkroom.geometry import Window, bands
from darkroom.review.upright import Upright
from darkroom.review.view import Shades, View
from darkroom.scan import Pixels, Scan

TILE = 512  # pixels, shown
COARSE = 3  # the first level that comes from the overview
STEP = 2**COARSE
BAND = 32 * STEP  # rows read at a time for the overview
GLANCE = 160  # rows that a first look reads

Read = Callable[[Window], Pixels]


def reduced(pixels: Pixels, factor: int) -> Pixels:
    """Means of squares of `factor` pixels (H, W, C); those at the edge may be smaller."""
    if factor == 1:
        return pixels
    height, width, channels = pixels.shape
    pad = ((0, -height % factor), (0, -width % factor), (0, 0))
    full = np.pad(pixels, pad, mode="edge") if any(p[1] for p in pad) else pixels
    size = (full.shape[1] // factor, full.shape[0] // factor)
    small = cv2.resize(np.ascontiguousarray(full), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small.reshape(size[1], size[0], channels))


class Picture:
    """One scan, or what becomes of it, in tiles.

    Args:
        scan: the scan; it is read from several threads.
        view: how it is shown.
        read: the samples of a window, those that are shown first; the scan's by default.
        channels: how many are shown; the scan's by default.
    """

    def __init__(
        self, scan: Scan, view: View, read: Read | None = None, channels: int | None = None
    ) -> None:
        info = scan.info
        self.view, self._read = view, read or scan.read
        self._channels = channels or info.channels
        self.width, self.height = info.width, info.height
        self.upright = Upright(info.width, info.height, info.orientation)
        self._lock = threading.Lock()
        self._overview: Shades | None = None
        self._glimpse: Shades | None = None

    def samples(self, window: Window) -> Pixels:
        """The picture samples of a window."""
        return self._read(window)[..., : self._channels]

    @property
    def ready(self) -> bool:
        """Whether the overview is there."""
        return self._overview is not None

    def _glance(self) -> Shades:
        """A first, rough overview from a few rows: (H/8, W/8, C) as `overview`."""
        count = min(GLANCE, -(-self.height // STEP))
        tops = np.linspace(0, self.height - 1, count).astype(int)
        rows = [self.samples(Window(0, int(y), self.width, 1))[:, ::STEP] for y in tops]
        small = self.view.encode(np.concatenate(rows))
        nearest = np.abs(np.arange(0, self.height, STEP)[:, None] - tops).argmin(axis=1)
        return np.asarray(small[nearest])

    def make_overview(self, progress: Callable[[float], None] = lambda share: None) -> None:
        """Read the whole picture once and keep a sixty-fourth of it."""
        shape = (-(-self.height // STEP), -(-self.width // STEP))
        out: Shades | None = None
        for window in bands(self.width, self.height, BAND):
            part = self.view.encode(reduced(self.samples(window), STEP))
            if out is None:
                out = np.empty((*shape, part.shape[2]), np.uint16)
            out[window.y // STEP : window.y // STEP + len(part)] = part
            progress(window.bottom / self.height)
        self._overview = out

    def begin_like(self, other: "Picture") -> None:
        """Start with the overview of another picture of the same size."""
        self._overview = None if other._overview is None else other._overview.copy()

    def refresh(self, windows: Iterable[Window]) -> None:
        """Bring the overview up to date where the picture has changed."""
        for window in windows:
            if self._overview is None:
                return
            x, y = window.x // STEP * STEP, window.y // STEP * STEP
            right, bottom = -(-window.right // STEP) * STEP, -(-window.bottom // STEP) * STEP
            part = Window(x, y, right - x, bottom - y).clip(self.width, self.height)
            small = self.view.encode(reduced(self.samples(part), STEP))
            with self._lock:
                height, width = small.shape[:2]
                self._overview[y // STEP : y // STEP + height, x // STEP : x // STEP + width] = (
                    small
                )

    def overview(self) -> Shades:
        """The overview as stored (not upright): uint16 (H/8, W/8, C)."""
        if self._overview is not None:
            return self._overview
        with self._lock:
            if self._glimpse is None:
                self._glimpse = self._glance()
            return self._glimpse

    def tile(self, level: int, column: int, row: int) -> Shades | None:
        """A tile of the upright picture, or None where there is none.

        Args:
            level: 0 for the scan's own pixels; each further one halves them.
            column: of tiles, from the left.
            row: of tiles, from the top.
        """
        window = self.window(level, column, row)
        if window is None:
            return None
        if level < COARSE:
            shades = self.view.encode(reduced(self.samples(window), 2**level))
        else:
            shades = self._coarse(window, 2 ** (level - COARSE))
        return self.upright.turn(shades)

    def window(self, level: int, column: int, row: int) -> Window | None:
        """The stored pixels that a tile shows, or None."""
        side = TILE << level
        width, height = self.upright.size
        shown = Window(column * side, row * side, side, side).clip(width, height)
        return self.upright.stored_window(shown) if shown.area else None

    def _coarse(self, window: Window, factor: int) -> Shades:
        """A window from the overview, reduced further."""
        top, left = window.y // STEP, window.x // STEP
        bottom, right = -(-window.bottom // STEP), -(-window.right // STEP)
        part = self.overview()[top:bottom, left:right]
        return reduced(part, factor)

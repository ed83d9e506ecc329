"""Putting the masks of single artefacts together to the mask of the frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from darkroom.geometry import Window, bands
from darkroom.io.scratch import Spool
from darkroom.scan import Bytes

ROWS = 64  # of the frame's mask, painted at a time
MOST = 16 << 20  # bytes of masks that wait for a pass


@dataclass(frozen=True, slots=True)
class Marked:
    """An artefact.

    Attributes:
        window: may stick out of the image.
        mask: uint8 over it, 0 or 255.
        confidence: the judge's, or the highest score where no judge was asked, 0 to 1.
    """

    window: Window
    mask: Bytes
    confidence: float = 1.0


class Painter:
    """Adds artefacts to the frame's mask on disk, many in one pass over its rows.

    To write the few pixels of each row by themselves would take a system call for each.

    Args:
        mask: uint8 spool.
    """

    def __init__(self, mask: Spool) -> None:
        self._mask = mask
        self._waiting: list[Marked] = []
        self._bytes = 0

    def add(self, mark: Marked) -> None:
        """Note an artefact; it is in the frame's mask after the next `paint`."""
        x, y, width, height = cv2.boundingRect(mark.mask)
        marked = Window(mark.window.x + x, mark.window.y + y, width, height)
        inside = marked.clip(self._mask.width, self._mask.height)
        part = mark.mask[inside.relative_to(mark.window).slices].copy()
        self._waiting.append(Marked(inside, part))
        self._bytes += part.size
        if self._bytes > MOST:
            self.paint()

    def paint(self) -> None:
        """Paint all that waits."""
        waiting = sorted(self._waiting, key=lambda mark: -mark.window.y)
        self._waiting, self._bytes = [], 0
        live: list[Marked] = []
        for rows in bands(self._mask.width, self._mask.height, ROWS):
            while waiting and waiting[-1].window.y < rows.bottom:
                live.append(waiting.pop())
            if live:
                painted = self._mask.read(rows)[..., 0]
                for mark in live:
                    common = mark.window.intersect(rows)
                    view = painted[common.relative_to(rows).slices]
                    np.maximum(view, mark.mask[common.relative_to(mark.window).slices], out=view)
                self._mask.write(rows, painted)
                live = [mark for mark in live if mark.window.bottom > rows.bottom]

"""The repaired picture while marks come and go: only what a change touches is made again."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.io.scratch import Spool
from darkroom.mask import Component, cells
from darkroom.pipeline.cutting import read_plane
from darkroom.pipeline.repair import CELL, Patch, Repair
from darkroom.review.marks import LiveMask
from darkroom.scan import Pixels, Scan

MOST = 64 << 20  # bytes of repairs that are kept


@dataclass(frozen=True, slots=True)
class Earlier:
    """A result that is on the disk already.

    Attributes:
        result: the cleaned scan.
        mask: uint8 spool of what was repaired in it.
        exact: whether a repair made again would be the same, bit for bit, so that the result of a
            review may take it over.
    """

    result: Scan
    mask: Spool
    exact: bool


class LiveRepairs:
    """Repairs of the marks as they are now; safe to use from several threads.

    Args:
        repair: makes them; its mask is the live one.
        mask: the marks.
        earlier: where repairs of marks that did not change are taken from, or None.
    """

    def __init__(self, repair: Repair, mask: LiveMask, earlier: Earlier | None = None) -> None:
        self._repair, self._mask, self.earlier = repair, mask, earlier
        self._scan, self._channels = repair.cutter.scan, repair.cutter.scan.info.channels
        self._kept: OrderedDict[tuple[Window, Component], Patch] = OrderedDict()
        self._bytes = self._generation = 0
        self._lock, self._work = threading.Lock(), threading.Lock()

    def read(self, window: Window) -> Pixels:
        """The samples of a window with its repairs, for the caller to keep."""
        rows = self._scan.read(window).copy()
        for part in list(self._mask.parts):
            if not part.window.intersect(window).area:
                continue
            for cell in cells(part.window, CELL):
                if cell.intersect(window).area:
                    self._put(rows, window, self._patch(cell, part))
        return rows

    def touch(self, windows: Sequence[Window]) -> list[Window]:
        """Forget what depends on the mask in some windows; returns where the result may differ."""
        with self._lock:
            self._generation += 1
            for key in list(self._kept):
                if self._depends(key[0], windows):
                    self._drop(key)
        near = [
            cell.intersect(part.window)
            for part in self._mask.parts
            for cell in cells(part.window, CELL)
            if self._depends(cell, windows)
        ]
        return [*windows, *near]

    def _depends(self, cell: Window, windows: Sequence[Window]) -> bool:
        seen = self._repair.seen(cell)
        return any(seen.intersect(window).area for window in windows)

    def known(
        self, cell: Window, seen: Window, chosen: NDArray[np.bool_], *, exact: bool = True
    ) -> Pixels | None:
        """A repair from the earlier result, if nothing that it depends on has changed."""
        earlier = self.earlier
        if earlier is None or (exact and not earlier.exact):
            return None
        width, height = earlier.mask.width, earlier.mask.height
        was = read_plane(earlier.mask.read, width, height, seen)
        now = read_plane(self._mask.live.read, width, height, seen)
        if not np.array_equal(was > 0, now > 0):
            return None
        samples: Pixels = earlier.result.read(cell)[..., : self._channels][chosen]
        return samples

    def _patch(self, cell: Window, part: Component) -> Patch:
        key = (cell, part)
        with self._lock:
            generation = self._generation
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._work:  # inpainters need not bear several threads
            patch = self._made(cell, part)
        with self._lock:
            # What was begun before the mask changed may be of the mask that was.
            if key not in self._kept and generation == self._generation:
                self._kept[key] = patch
                self._bytes += patch.samples.nbytes + patch.chosen.nbytes
                while self._bytes > MOST and len(self._kept) > 1:
                    self._drop(next(iter(self._kept)))
        return patch

    def _made(self, cell: Window, part: Component) -> Patch:
        """The patch, from the earlier result even where that is not exact: it is what there is."""
        chosen = self._repair.chosen(cell, part)
        samples = self.known(cell, self._repair.seen(cell), chosen, exact=False)
        return self._repair.patch(cell, part) if samples is None else Patch(cell, chosen, samples)

    def _drop(self, key: tuple[Window, Component]) -> None:
        patch = self._kept.pop(key)
        self._bytes -= patch.samples.nbytes + patch.chosen.nbytes

    def _put(self, rows: Pixels, window: Window, patch: Patch) -> None:
        """Put a repair into the samples of a window, in place."""
        common = patch.window.intersect(window)
        if not len(patch.samples):
            return
        full = np.zeros((*patch.chosen.shape, self._channels), patch.samples.dtype)
        full[patch.chosen] = patch.samples
        inner = common.relative_to(patch.window).slices
        view = rows[common.relative_to(window).slices][..., : self._channels]
        view[patch.chosen[inner]] = full[inner][patch.chosen[inner]]

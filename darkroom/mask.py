"""Masks, and the connected components of a whole frame found band by band.

A mask is uint8, 0 keep and 255 repair; as a file it is an 8-bit grey picture that a person can
edit. Pixels connect along all eight neighbours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.scan import Bytes

KEEP, REPAIR = 0, 255


@dataclass(frozen=True, slots=True)
class Component:
    """A connected set of pixels, described so that it can be found again.

    Attributes:
        window: bounding box in image coordinates.
        area: number of pixels.
        peak: highest value in it, 1 to 255.
        anchor: (x, y) of its first pixel in reading order.
    """

    window: Window
    area: int
    peak: int
    anchor: tuple[int, int]

    @property
    def start(self) -> tuple[int, int]:
        """The anchor, counted from the corner of the bounding box."""
        return self.anchor[0] - self.window.x, self.anchor[1] - self.window.y

    def shift(self, dx: int, dy: int) -> "Component":
        """The component moved by `dx` columns and `dy` rows."""
        anchor = (self.anchor[0] + dx, self.anchor[1] + dy)
        return Component(self.window.shift(dx, dy), self.area, self.peak, anchor)

    @property
    def extent(self) -> int:
        """The longer side of the bounding box in pixels: its length, for a hair."""
        return max(self.window.width, self.window.height)


@dataclass(frozen=True, slots=True)
class ComponentRules:
    """Which components may be artefacts at all.

    Attributes:
        min_extent: shortest longer side in pixels.
        max_extent: longest longer side in pixels, or None.
    """

    min_extent: float = 0.0
    max_extent: float | None = None

    def admit(self, component: Component) -> bool:
        """Whether the component passes."""
        return component.extent >= self.min_extent and (
            self.max_extent is None or component.extent <= self.max_extent
        )


@dataclass(slots=True)
class _Table:
    """Columns of partial components: bounding box, area, peak, first pixel in reading order."""

    left: NDArray[np.int64]
    top: NDArray[np.int64]
    right: NDArray[np.int64]
    bottom: NDArray[np.int64]
    area: NDArray[np.int64]
    peak: NDArray[np.int64]
    anchor: NDArray[np.int64]

    def columns(self) -> tuple[NDArray[np.int64], ...]:
        """All columns, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def where(self, chosen: NDArray[np.bool_]) -> "_Table":
        """The rows that are chosen."""
        return _Table(*(column[chosen] for column in self.columns()))

    def both(self, other: "_Table") -> "_Table":
        """The rows of this table, then those of another."""
        pairs = zip(self.columns(), other.columns(), strict=True)
        return _Table(*(np.concatenate(pair) for pair in pairs))


# How the columns of components that turn out to be one are joined.
_JOIN = (np.minimum, np.minimum, np.maximum, np.maximum, np.add, np.maximum, np.minimum)


def components(
    bands: Iterable[tuple[int, Bytes]], width: int, low: int = 1, high: int = 1
) -> Iterator[Component]:
    """The components of the pixels at or above `low`, whatever bands the image comes in.

    Args:
        bands: (first row, uint8 (rows, width)) that follow one another from top to bottom.
        width: image columns.
        low: threshold, 1 to 255.
        high: components whose peak is below this are left out.

    Yields:
        Each component once the band it ends in has come.
    """
    unfinished = _Table(*(np.empty(0, np.int64) for _ in _JOIN))
    seam = np.empty(0, np.int64)  # rows of `unfinished` that the runs of the last row belong to
    edge = unfinished  # those runs
    for top, values in bands:
        runs = _runs(values, top, width, low)
        links = _touching(_Table.both(edge, runs), width)
        # Links count the runs of the seam first, the joined table counts unfinished components.
        known = np.concatenate([seam, np.arange(len(runs.area)) + len(unfinished.area)])
        joined, group = _join(_Table.both(unfinished, runs), known[links])
        ends = runs.bottom == top + len(values)
        last = group[len(unfinished.area) :][ends]
        goes_on = np.zeros(len(joined.area), np.bool_)
        goes_on[last] = True
        yield from _describe(joined.where(~goes_on & (joined.peak >= high)), width)
        unfinished, edge = joined.where(goes_on), runs.where(ends)
        seam = (np.cumsum(goes_on) - 1)[last]
    yield from _describe(unfinished.where(unfinished.peak >= high), width)


def pick(values: Bytes, low: int, anchor: tuple[int, int]) -> NDArray[np.bool_]:
    """The component that holds `anchor`, as a boolean array the size of `values`.

    Args:
        values: uint8 (H, W) that covers at least the component's bounding box.
        low: the threshold the component was found with.
        anchor: (x, y) of one of its pixels within `values`.
    """
    import cv2

    _, labels = cv2.connectedComponents((values >= low).view(np.uint8), connectivity=8)
    chosen: NDArray[np.bool_] = labels == labels[anchor[1], anchor[0]]
    return chosen


def candidate_mask(values: Bytes, low: int, component: Component, relative: float = 0.0) -> Bytes:
    """What would be repaired of a component: uint8 over its bounding box, 0 or `REPAIR`.

    Args:
        values: uint8, the score over the bounding box.
        low: the threshold the component was found with.
        component: the component.
        relative: share of its greatest score that a pixel must reach.
    """
    least = max(low, int(np.ceil(relative * component.peak)))
    chosen = pick(values, low, component.start) & (values >= least)
    return REPAIR * chosen.view(np.uint8)


def grow(mask: Bytes, radius: int) -> Bytes:
    """The mask with every pixel within `radius` (Euclidean, in pixels) of it added."""
    if radius < 1:
        return mask
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(mask, kernel), np.uint8)


def marked_pixels(mask: Bytes) -> NDArray[np.intp]:
    """Positions of the non-zero pixels of a C-contiguous mask, as `np.flatnonzero`.

    Eight pixels are looked at in one go: masks are nearly empty, and this is six times as fast.
    """
    flat = mask.reshape(-1)
    whole = len(flat) // 8 * 8
    hit = np.flatnonzero(flat[:whole].view(np.uint64)) * 8
    found = (hit[:, None] + np.arange(8)).reshape(-1)
    found = np.concatenate([found, np.arange(whole, len(flat))])
    return np.asarray(found[flat[found] > 0], np.intp)


def cells(window: Window, side: int) -> Iterator[Window]:
    """Cuts a window along the lines x = k·side, y = k·side of the image."""
    for y in range(window.y // side * side, window.bottom, side):
        for x in range(window.x // side * side, window.right, side):
            yield Window(x, y, side, side).intersect(window)


def _runs(values: Bytes, top: int, width: int, low: int) -> _Table:
    """The runs of marked pixels in the rows of one band, in reading order.

    All work after one look at each pixel follows the number of marked ones, which are few; to
    label every pixel of the band takes ten times as long.
    """
    marked = np.flatnonzero(values >= low)
    begins = np.diff(marked, prepend=-2) != 1
    begins |= marked % width == 0
    first = np.flatnonzero(begins)
    if not first.size:
        return _Table(*(np.empty(0, np.int64) for _ in _JOIN))
    area = np.diff(first, append=len(marked))
    peak = np.maximum.reduceat(values.ravel()[marked], first).astype(np.int64)
    anchor = marked[first] + top * width
    row, left = np.divmod(anchor, width)
    return _Table(left, row, left + area, row + 1, area, peak, anchor)


def _touching(runs: _Table, width: int) -> NDArray[np.int64]:
    """Pairs (n, 2) of runs, in reading order, that meet from one row to the next."""
    line = width + 2  # longer than any run reaches, so that one number orders rows and columns
    below = (runs.top + 1) * line
    first = np.searchsorted(runs.top * line + runs.right, below + runs.left)
    stop = np.searchsorted(runs.top * line + runs.left, below + runs.right, side="right")
    count = np.maximum(stop - first, 0)
    upper = np.repeat(np.arange(len(count)), count)
    lower = np.arange(len(upper)) + np.repeat(first - (np.cumsum(count) - count), count)
    return np.stack([upper, lower], axis=1)


def _join(table: _Table, links: NDArray[np.int64]) -> tuple[_Table, NDArray[np.int64]]:
    """The table with linked rows made one, and for each old row the number of its new one."""
    group = _groups(len(table.area), links)
    total = int(group.max(initial=-1)) + 1
    columns = []
    for column, how in zip(table.columns(), _JOIN, strict=True):
        start = np.iinfo(np.int64).max if how is np.minimum else 0
        out = np.full(total, start, np.int64)
        how.at(out, group, column)
        columns.append(out)
    return _Table(*columns), group


def _groups(count: int, links: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number from 0 for each of `count` nodes, equal for those that links (n, 2) connect.

    Every root is hung below the smallest one it is linked to, until no link joins two roots.
    """
    parent = np.arange(count)
    while len(links):
        roots = parent[links]
        apart = roots[:, 0] != roots[:, 1]
        links, roots = links[apart], roots[apart]
        np.minimum.at(parent, roots.max(axis=1), roots.min(axis=1))
        while (parent != (above := parent[parent])).any():
            parent = above
    return np.asarray(np.unique(parent, return_inverse=True)[1], np.int64)


def _describe(table: _Table, width: int) -> Iterator[Component]:
    """The rows of a table as components, by anchor in reading order."""
    order = np.argsort(table.anchor)
    for row in np.stack(table.columns(), axis=1)[order].tolist():
        left, top, right, bottom, area, peak, anchor = row
        window = Window(left, top, right - left, bottom - top)
        yield Component(window, area, peak, (anchor % width, anchor // width))

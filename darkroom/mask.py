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

    @property
    def extent(self) -> int:
        """The longer side of the bounding box in pixels: its length, for a hair."""
        return max(self.window.width, self.window.height)


@dataclass(frozen=True, slots=True)
class ComponentRules:
    """Which components may be artefacts at all.

    Attributes:
        high: some pixel must reach this value, 1 to 255.
        min_extent: shortest longer side in pixels.
        max_extent: longest longer side in pixels, or None.
    """

    high: int = 1
    min_extent: float = 0.0
    max_extent: float | None = None

    def admit(self, component: Component) -> bool:
        """Whether the component passes."""
        return (
            component.peak >= self.high
            and component.extent >= self.min_extent
            and (self.max_extent is None or component.extent <= self.max_extent)
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


# How the columns of components that turn out to be one are joined.
_JOIN = (np.minimum, np.minimum, np.maximum, np.maximum, np.add, np.maximum, np.minimum)


def components(bands: Iterable[tuple[int, Bytes]], width: int, low: int = 1) -> Iterator[Component]:
    """The components of the pixels at or above `low`, whatever bands the image comes in.

    Args:
        bands: (first row, uint8 (rows, width)) that follow one another from top to bottom.
        width: image columns.
        low: threshold, 1 to 255.

    Yields:
        Each component once the band it ends in has come.
    """
    unfinished = _Table(*(np.empty(0, np.int64) for _ in _JOIN))
    above = np.full(width, -1, np.int64)  # row of `unfinished` under each pixel of the last row
    for top, values in bands:
        labels, fresh = _label(values, top, width, low)
        start = len(unfinished.area) - 1
        first, last = (np.where(row > 0, row + start, -1) for row in (labels[0], labels[-1]))
        both = map(np.concatenate, zip(unfinished.columns(), fresh.columns(), strict=True))
        joined, group = _join(_Table(*both), _touching(above, first))
        above = np.append(group, -1)[last]
        goes_on = np.zeros(len(joined.area), np.bool_)
        goes_on[above[above >= 0]] = True
        yield from _describe(joined.where(~goes_on), width)
        unfinished = joined.where(goes_on)
        number = np.append(np.cumsum(goes_on) - 1, -1)
        above = number[above]
    yield from _describe(unfinished, width)


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


def grow(mask: Bytes, radius: int) -> Bytes:
    """The mask with every pixel within `radius` (Euclidean, in pixels) of it added."""
    if radius < 1:
        return mask
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(mask, kernel), np.uint8)


def cells(window: Window, side: int) -> Iterator[Window]:
    """Cuts a window along the lines x = k·side, y = k·side of the image."""
    for y in range(window.y // side * side, window.bottom, side):
        for x in range(window.x // side * side, window.right, side):
            yield Window(x, y, side, side).intersect(window)


def _label(values: Bytes, top: int, width: int, low: int) -> tuple[NDArray[np.int32], _Table]:
    """Components of one band: labels from 1, and their table in image coordinates."""
    import cv2

    binary = (values >= low).view(np.uint8)
    _, found, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    labels: NDArray[np.int32] = np.asarray(found, np.int32)
    left, upper, wide, tall, area = np.asarray(stats[1:], np.int64).T
    marked = np.flatnonzero(binary.view(np.bool_))
    owner = labels.ravel()[marked]
    peak = np.zeros(len(area) + 1, np.int64)
    np.maximum.at(peak, owner, values.ravel()[marked])
    # np.unique gives the first occurrence, and flatnonzero is in reading order.
    first = np.unique(owner, return_index=True)[1]
    anchor = marked[first] + top * width
    table = _Table(left, upper + top, left + wide, upper + top + tall, area, peak[1:], anchor)
    return labels, table


def _touching(above: NDArray[np.int64], below: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (n, 2) of component numbers that meet across a seam; -1 is background."""
    pairs = [
        (above, below),
        (above[:-1], below[1:]),
        (above[1:], below[:-1]),
    ]
    found = [np.stack([a, b], 1)[(a >= 0) & (b >= 0)] for a, b in pairs]
    return np.unique(np.concatenate(found), axis=0)


def _join(table: _Table, links: NDArray[np.int64]) -> tuple[_Table, NDArray[np.int64]]:
    """The table with linked rows made one, and for each old row the number of its new one."""
    count = len(table.area)
    if not len(links):
        return table, np.arange(count)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = (np.ones(len(links), np.int8), (links[:, 0], links[:, 1]))
    total, group = connected_components(coo_array(edges, (count, count)), directed=False)
    columns = []
    for column, how in zip(table.columns(), _JOIN, strict=True):
        start = np.iinfo(np.int64).max if how is np.minimum else 0
        out = np.full(total, start, np.int64)
        how.at(out, group, column)
        columns.append(out)
    return _Table(*columns), group.astype(np.int64)


def _describe(table: _Table, width: int) -> Iterator[Component]:
    """The rows of a table as components, by anchor in reading order."""
    order = np.argsort(table.anchor)
    for row in np.stack(table.columns(), axis=1)[order].tolist():
        left, top, right, bottom, area, peak, anchor = row
        window = Window(left, top, right - left, bottom - top)
        yield Component(window, area, peak, (anchor % width, anchor // width))

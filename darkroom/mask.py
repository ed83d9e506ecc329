"""Masks, and the connected components of a whole frame found band by band.

A mask is uint8, 0 keep and 255 repair; as a file it is an 8-bit grey picture that a person can
edit. Pixels connect along all eight neighbours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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


def components(bands: Iterable[tuple[int, Bytes]], width: int, low: int = 1) -> list[Component]:
    """The components of the pixels at or above `low`, whatever bands the image comes in.

    Args:
        bands: (first row, uint8 (rows, width)) that follow one another from top to bottom.
        width: image columns.
        low: threshold, 1 to 255.

    Returns:
        Components by anchor in reading order.
    """
    tables: list[_Table] = []
    links: list[NDArray[np.int64]] = []
    count = 0
    last_row: NDArray[np.int64] | None = None
    for top, values in bands:
        labels, table = _label(values, top, width, low)
        first, last = (np.where(row > 0, row + (count - 1), -1) for row in (labels[0], labels[-1]))
        if last_row is not None:
            links.append(_touching(last_row, first))
        tables.append(table)
        count += len(table.area)
        last_row = last
    if not count:
        return []
    return _merge(tables, links, count, width)


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


def _merge(
    tables: list[_Table], links: list[NDArray[np.int64]], count: int, width: int
) -> list[Component]:
    """Joins partial components along `links`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([np.empty((0, 2), np.int64), *links])
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), (count, count))
    total, group = connected_components(graph, directed=False)

    def joined(name: str, start: int, how: np.ufunc) -> NDArray[np.int64]:
        column = np.concatenate([getattr(table, name) for table in tables])
        out = np.full(total, start, np.int64)
        how.at(out, group, column)
        return out

    far = np.iinfo(np.int64).max
    left, top = joined("left", far, np.minimum), joined("top", far, np.minimum)
    right, bottom = joined("right", 0, np.maximum), joined("bottom", 0, np.maximum)
    area, peak = joined("area", 0, np.add), joined("peak", 0, np.maximum)
    anchor = joined("anchor", far, np.minimum)
    return [
        Component(
            Window(int(left[i]), int(top[i]), int(right[i] - left[i]), int(bottom[i] - top[i])),
            int(area[i]),
            int(peak[i]),
            (int(anchor[i] % width), int(anchor[i] // width)),
        )
        for i in np.argsort(anchor)
    ]

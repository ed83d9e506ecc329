"""What is to be repaired: marks that were found, what a person says of them, and the mask of both.

The state is small and immutable, so that undo and redo are steps in a list. The mask follows from
the marks that were found and the state alone, never from the way that led there:

    (found marks that are not vetoed, with the edits put on in their order)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window, bands
from darkroom.io.scratch import Spool
from darkroom.mask import REPAIR, Component, components, pick
from darkroom.scan import Bytes

ROWS = 256
MANY = 64  # windows; to draw the whole mask anew is quicker than to draw more
Kind = Literal["paint", "erase", "suggestion"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Some pixels.

    Attributes:
        window: their bounding box, inside the picture.
        pixels: bool (H, W) over the window.
    """

    window: Window
    pixels: NDArray[np.bool_]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.pixels.sum())


@dataclass(frozen=True, slots=True)
class Edit:
    """Pixels that a person added or took away.

    Attributes:
        name: unique in a review.
        kind: whether they were painted, erased, or suggested by another sensitivity and accepted.
        shape: which pixels.
        vetoed: a painted mark that was taken back from the list.
        confidence: of a suggestion, 0 to 1, or None.
    """

    name: str
    kind: Kind
    shape: Shape
    vetoed: bool = False
    confidence: float | None = None

    @property
    def adds(self) -> bool:
        """Whether its pixels are to be repaired."""
        return self.kind != "erase"


@dataclass(frozen=True, slots=True)
class State:
    """What a person decided so far.

    Attributes:
        vetoed: names of found marks that are not to be repaired.
        edits: in the order they were made.
    """

    vetoed: frozenset[str] = frozenset()
    edits: tuple[Edit, ...] = ()

    def with_veto(self, names: Iterable[str], vetoed: bool) -> "State":
        """The state with some marks vetoed or restored."""
        chosen = set(names)
        edits = tuple(replace(e, vetoed=vetoed) if e.name in chosen else e for e in self.edits)
        found = chosen - {e.name for e in self.edits}
        now = self.vetoed | found if vetoed else self.vetoed - found
        return State(frozenset(now), edits)

    def with_edits(self, edits: Iterable[Edit]) -> "State":
        """The state after further edits."""
        return State(self.vetoed, (*self.edits, *edits))


@dataclass(frozen=True, slots=True)
class Mark:
    """A found mark.

    Attributes:
        name: where its first pixel lies, so that it is the same at the next visit.
        part: the component.
        confidence: 0 to 1, or None while it is not known.
    """

    name: str
    part: Component
    confidence: float | None = None


def mark_name(part: Component) -> str:
    """The name of a found mark."""
    return f"f{part.anchor[0]}-{part.anchor[1]}"


class LiveMask:
    """The mask of a scan under a person's hands, and its parts.

    Args:
        found: uint8 spool of what was found, never changed.
        live: uint8 spool that becomes the mask to repair.
    """

    def __init__(self, found: Spool, live: Spool) -> None:
        self.found, self.live = found, live
        self.width, self.height = found.width, found.height
        self.marks = [Mark(mark_name(p), p) for p in _parts(found, 0, found.height)]
        self._by_name = {mark.name: mark for mark in self.marks}
        self.parts: list[Component] = []
        self.redraw([Window(0, 0, self.width, self.height)], State())

    def mark(self, name: str) -> Mark | None:
        """The found mark of that name."""
        return self._by_name.get(name)

    def shape(self, mark: Mark) -> Shape:
        """The pixels of a found mark."""
        values = self.found.read(mark.part.window)[..., 0]
        return Shape(mark.part.window, pick(values, 1, mark.part.start))

    def learn(self, confidence: dict[str, float]) -> None:
        """Note how sure the finder is of its marks."""
        self.marks = [replace(m, confidence=confidence.get(m.name)) for m in self.marks]
        self._by_name = {mark.name: mark for mark in self.marks}

    def against(
        self, marks: Sequence[tuple[Shape, float]], state: State
    ) -> tuple[list[tuple[Shape, float]], list[Mark]]:
        """What other marks would add to the mask, and which found marks they would leave out.

        What a person vetoed, erased or painted is as it is, whatever else is found.

        Args:
            marks: shapes and the confidence in each.
            state: what was decided.
        """
        more = [(shape, sure) for shape, sure in marks if not self._known(shape, state)]
        boxes = np.array([_box(shape.window) for shape, _ in marks]).reshape(-1, 4)
        fewer = []
        for mark in self.marks:
            left, top, right, bottom = _box(mark.part.window)
            near = (boxes[:, 0] < right) & (boxes[:, 2] > left)
            near &= (boxes[:, 1] < bottom) & (boxes[:, 3] > top)
            if mark.name in state.vetoed:
                continue
            own = self.shape(mark)
            if not any(_meet(own, marks[i][0]) for i in np.flatnonzero(near).tolist()):
                fewer.append(mark)
        return more, fewer

    def _known(self, shape: Shape, state: State) -> bool:
        """Whether a shape touches what was found or edited."""
        for spool in (self.found, self.live):
            if spool.read(shape.window)[..., 0][shape.pixels].any():
                return True
        return any(_meet(shape, edit.shape) for edit in state.edits)

    def changed(self, before: State, after: State) -> list[Window]:
        """Where the masks of two states may differ."""
        names = before.vetoed ^ after.vetoed
        windows = [m.part.window for n in names if (m := self._by_name.get(n))]
        old, new = ({(e.name, e.vetoed): e for e in s.edits} for s in (before, after))
        edits = [(old | new)[key] for key in old.keys() ^ new.keys()]
        return windows + [edit.shape.window for edit in edits]

    def redraw(self, windows: Sequence[Window], state: State) -> None:
        """Bring the mask up to date where it may have changed, and its parts with it."""
        if len(windows) > MANY:
            windows = [Window(0, 0, self.width, self.height)]
        vetoed = [m for n in state.vetoed if (m := self._by_name.get(n))]
        edits = [e for e in state.edits if not e.vetoed]
        for window in windows:
            for rows in bands(window.width, window.height, ROWS):
                self._draw(rows.shift(window.x, window.y), vetoed, edits)
        for top, bottom in _ranges(windows, self.parts, self.height):
            rest = [p for p in self.parts if p.window.bottom <= top or p.window.y >= bottom]
            self.parts = rest + _parts(self.live, top, bottom)
        self.parts.sort(key=lambda part: (part.anchor[1], part.anchor[0]))

    def _draw(self, window: Window, vetoed: Sequence[Mark], edits: Sequence[Edit]) -> None:
        mask = self.found.read(window)[..., 0].copy()
        for mark in vetoed:
            if mark.part.window.intersect(window).area:
                put(mask, window, self.shape(mark), 0)
        for edit in edits:
            put(mask, window, edit.shape, REPAIR if edit.adds else 0)
        self.live.write(window, mask)


def _box(window: Window) -> tuple[int, int, int, int]:
    return window.x, window.y, window.right, window.bottom


def _meet(a: Shape, b: Shape) -> bool:
    """Whether two shapes have a pixel in common."""
    common = a.window.intersect(b.window)
    if not common.area:
        return False
    one, other = (s.pixels[common.relative_to(s.window).slices] for s in (a, b))
    return bool((one & other).any())


def put(mask: Bytes, window: Window, shape: Shape, value: int) -> None:
    """Set the pixels of a shape in the mask of a window, in place."""
    common = shape.window.intersect(window)
    if common.area:
        view = mask[common.relative_to(window).slices]
        view[shape.pixels[common.relative_to(shape.window).slices]] = value


def stroke(points: NDArray[np.float64], radius: float, width: int, height: int) -> Shape | None:
    """The pixels that a round brush covers, or None where all is outside the picture.

    Args:
        points: (n, 2) of x, y along its way, counted from the corner of the first pixel.
        radius: of the brush in pixels, at least half of one.
        width: columns of the picture.
        height: rows.
    """
    reach = int(np.ceil(radius)) + 2
    low, high = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    box = Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
    box = box.grow(reach).clip(width, height)
    if not box.area:
        return None
    canvas = np.zeros((box.height, box.width), np.uint8)
    bits = 4  # of a pixel's fraction that OpenCV draws with
    # Centres of pixels lie at halves here, at whole numbers there.
    local = np.rint((points - (box.x + 0.5, box.y + 0.5)) * 2**bits).astype(np.int32)
    for point in local:
        size = max(1, round(radius * 2**bits))
        cv2.circle(canvas, (int(point[0]), int(point[1])), size, 255, -1, cv2.LINE_8, bits)
    thick = max(1, round(2 * radius))
    cv2.polylines(canvas, [local.reshape(-1, 1, 2)], False, 255, thick, cv2.LINE_8, bits)
    if not canvas.any():
        return None
    x, y, w, h = cv2.boundingRect(canvas)
    inner = Window(x, y, w, h)
    return Shape(inner.shift(box.x, box.y), canvas[inner.slices] > 0)


def outline(shape: Shape) -> list[NDArray[np.float64]]:
    """Closed lines (n, 2) a pixel and a half around a shape, in the picture's coordinates."""
    edge = 3
    padded = np.pad(shape.pixels.astype(np.uint8), edge)
    grown = cv2.dilate(padded, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    lines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corner = (shape.window.x - edge + 0.5, shape.window.y - edge + 0.5)
    return [line.reshape(-1, 2).astype(np.float64) + corner for line in lines]


def shapes(plane: Spool) -> list[Shape]:
    """The separate parts of a mask as shapes."""
    found = []
    for part in _parts(plane, 0, plane.height):
        values = plane.read(part.window)[..., 0]
        found.append(Shape(part.window, pick(values, 1, part.start)))
    return found


def _parts(spool: Spool, top: int, bottom: int) -> list[Component]:
    """The components of some rows of a mask, which end with those rows."""
    rows = (
        (w.y + top, spool.read(w.shift(0, top))[..., 0])
        for w in bands(spool.width, bottom - top, ROWS)
    )
    return list(components(rows, spool.width))


def _ranges(
    windows: Sequence[Window], parts: Sequence[Component], height: int
) -> list[tuple[int, int]]:
    """Rows whose parts may have changed, such that no part lies across their ends."""
    ranges = sorted((max(0, w.y - 1), min(height, w.bottom + 1)) for w in windows if w.area)
    merged: list[tuple[int, int]] = []
    spans = np.array([(p.window.y, p.window.bottom) for p in parts]).reshape(-1, 2)
    for top, bottom in ranges:
        while True:
            hit = spans[(spans[:, 0] < bottom) & (spans[:, 1] > top)]
            new = min([top, *hit[:, 0].tolist()]), max([bottom, *hit[:, 1].tolist()])
            if new == (top, bottom):
                break
            top, bottom = new
        while merged and top < merged[-1][1]:
            last = merged.pop()
            top, bottom = min(top, last[0]), max(bottom, last[1])
        merged.append((top, bottom))
    return merged

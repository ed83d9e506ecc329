"""Places where something stays although the pictures differ, told from what belongs there.

A letterbox, a holder and a film border do not differ from frame to frame beside their edges, a
date stamp is a row of figures, and what is as large as a form of the picture is left to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.roll.columns import columns
from darkroom.roll.gather import Gathered, Level
from darkroom.roll.plane import LOCAL, MEAN_TO_SIGMA
from darkroom.scan import Bytes, Float

LEAST_PICTURES = 8  # that differ; fewer cannot tell what stays
HIGH = (6.5, 6.3, 6.0, 5.9)  # standard errors at the strongest pixel of a place, on each level
LOW, RELATIVE = 3.0, 0.3  # and at every pixel of it, which also reach this share of the strongest
LARGER = 4.0  # times, that a place must be on a coarser level to be taken from there
CLEAR = 9.0  # standard errors at which a single pixel of the plane is enough
DIFFER = 0.05  # logarithms that the picture about a place must differ by from frame to frame
LONGEST = 0.15  # of the longer side; what is longer is a border or a line scratch
COVERAGE = 0.05  # share of the frame; more is no dirt
RING, OPPOSITE = 3, 0.15  # pixels about a place; share of them that may stand out the other way
LEAST_FIGURE = 6  # pixels that figures of a stamp are high at least
STAMP_SIDE, STAMP_CORNER = 0.2, 0.4  # shares of the sides, from a corner, in which stamps lie
COLOURED = 0.3  # logarithms of red over blue that its colour differs by
Mask = NDArray[np.bool_]
Found = tuple[Window, Mask]


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the reduced plane.

    Attributes:
        window: bounding box.
        mask: bool over it.
        gain: float32 over it, logarithm of the light that is left there; 0 outside the mask.
    """

    window: Window
    mask: Mask
    gain: Float


def find_places(roll: Gathered) -> list[Place]:
    """The places of a roll, from top to bottom; none where too few pictures differ."""
    if roll.pictures < (1 if roll.blank else LEAST_PICTURES):
        return []
    mask = np.zeros((roll.height, roll.width), np.uint8)
    for n, level in enumerate(roll.levels):
        mask |= _new(_enlarged(_stands_out(level, n), n, mask.shape), mask)
    changes = np.ones(mask.shape, np.bool_) if roll.blank else changing(roll)
    clear = roll.levels[0].clearness
    kept = [
        (box, part)
        for box, part in _parts(mask)
        if max(box.width, box.height) <= LONGEST * max(mask.shape)
        and changes[box.slices][part].all()
        and not _has_other_side(clear, box, part)
    ]
    if not roll.blank:
        kept = _without_stamps(kept, roll)
    whole = np.zeros(mask.shape, np.uint8)
    for box, part in kept:
        whole[box.slices] |= part
    whole = _grown(whole, 1)
    gain = np.where(whole > 0, roll.gains / np.maximum(roll.levels[0].weight, 1e-12), 0)
    _paint_columns(whole, gain, roll, changes)
    if whole.mean() > COVERAGE:
        return []
    return [
        Place(box, part, np.where(part, gain[box.slices], 0).astype(np.float32))
        for box, part in _parts(whole)
    ]


def changing(roll: Gathered) -> Mask:
    """bool (H, W): where pictures differ in brightness, by themselves and beside their mean."""
    import cv2

    levels = np.stack(roll.cell_levels)
    relative = levels - np.median(levels, axis=(1, 2), keepdims=True)
    spread = np.minimum(levels.std(axis=0), relative.std(axis=0))
    quiet = _grown((spread < DIFFER).astype(np.uint8), 2)
    size = (roll.width, roll.height)
    return np.asarray(cv2.resize(quiet, size, interpolation=cv2.INTER_NEAREST) == 0)


def _stands_out(level: Level, number: int) -> Bytes:
    """uint8 (H, W) of a level: 1 where something stands out over the frames."""
    import cv2

    size = (2 * (LOCAL[number] // 2) + 33,) * 2
    clear = level.clearness
    usual = cv2.blur(np.minimum(np.abs(clear), 3), size) * np.float32(MEAN_TO_SIGMA)
    clear /= np.maximum(usual, 1)
    out = np.zeros(clear.shape, np.uint8)
    for signed in (clear, -clear):
        count, labels = cv2.connectedComponents((signed >= LOW).astype(np.uint8))
        peaks, sizes = np.zeros(count), np.bincount(labels.ravel(), minlength=count)
        strong = signed >= HIGH[number]
        np.maximum.at(peaks, np.asarray(labels[strong], np.intp), signed[strong])
        good = (peaks >= CLEAR) | ((peaks >= HIGH[number]) & (sizes >= 2))
        good[0] = False
        out |= good[labels] & (signed >= RELATIVE * peaks[labels])
    return out


def _enlarged(mask: Bytes, level: int, shape: tuple[int, ...]) -> Bytes:
    """A mask of a level, on the plane."""
    out = np.zeros(shape, np.uint8)
    large = np.kron(mask, np.ones((1 << level, 1 << level), np.uint8)) if level else mask
    out[: large.shape[0], : large.shape[1]] = large[: shape[0], : shape[1]]
    return out


def _new(found: Bytes, known: Bytes) -> Bytes:
    """What of a coarser level is not the same, only less sharp, as what is known."""
    out = np.zeros(found.shape, np.uint8)
    for box, part in _parts(found):
        same = int(known[box.slices][part].sum())
        if part.sum() > LARGER * same:
            out[box.slices] |= part
    return out


def _grown(mask: Bytes, by: int) -> Bytes:
    import cv2

    return np.asarray(cv2.dilate(mask, np.ones((2 * by + 1, 2 * by + 1), np.uint8)), np.uint8)


def _parts(mask: Bytes) -> Iterator[Found]:
    """Connected parts of a mask: bounding box and mask over it, from top to bottom."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for i in range(1, count):
        box = Window(*(int(v) for v in stats[i, :4]))
        yield box, labels[box.slices] == i


def _has_other_side(clear: Float, box: Window, part: Mask) -> bool:
    """Whether what lies beside a place stands out the other way, as both sides of an edge do."""
    height, width = clear.shape
    near = box.grow(RING).clip(width, height)
    inside = np.zeros((near.height, near.width), np.uint8)
    inside[box.relative_to(near).slices] = part
    ring = (_grown(inside, RING) > 0) & (inside == 0)
    total = clear[near.slices]
    own = total[inside > 0]
    sign = np.sign(own.mean())
    other = total[ring] * -sign
    usual = 0.5 * float(np.percentile(own * sign, 80))
    return bool(other.size) and float((other > max(usual, LOW)).mean()) > OPPOSITE


def _without_stamps(found: Sequence[Found], roll: Gathered) -> list[Found]:
    """Places that are no figures of a stamp: coloured, or of one height in a row, in a corner."""
    shape = (roll.height, roll.width)
    stamped = {
        i
        for i, (box, part) in enumerate(found)
        if _in_corner(box, shape)
        and abs(float(roll.colour[box.slices][part].mean())) > COLOURED * roll.pictures
    }
    for i, (box, _) in enumerate(found):
        for j in range(i):
            other = found[j][0]
            for one, two in ((box, other), (_turned(box), _turned(other))):
                if _in_a_row(one, two) and _in_corner(box.union(other), shape):
                    stamped |= {i, j}
    # What lies between and beside figures are parts of them.
    near = [box.grow(2 * max(box.width, box.height)) for box, _ in (found[i] for i in stamped)]
    return [
        each
        for i, each in enumerate(found)
        if i not in stamped and not any(around.contains(each[0]) for around in near)
    ]


def _turned(box: Window) -> Window:
    return Window(box.y, box.x, box.height, box.width)


def _in_a_row(one: Window, two: Window) -> bool:
    """Whether two boxes are of one height, at one height, and no farther apart than that."""
    low, high = sorted((one.height, two.height))
    gap = max(one.x, two.x) - min(one.right, two.right)
    return (
        low >= LEAST_FIGURE
        and high <= 1.3 * low
        and abs(one.y + one.bottom - two.y - two.bottom) <= 0.3 * high
        and max(one.width, two.width) <= 1.5 * high
        and gap <= high
    )


def _in_corner(box: Window, shape: tuple[int, ...]) -> bool:
    """Whether it lies where cameras put the date: near a side, and not in its middle."""
    height, width = shape
    y, x = (box.y + box.bottom) / 2 / height, (box.x + box.right) / 2 / width
    low, high = sorted((min(y, 1 - y), min(x, 1 - x)))
    return low < STAMP_SIDE and high < STAMP_CORNER


def _paint_columns(mask: Bytes, gain: Float, roll: Gathered, changes: Mask) -> None:
    """Adds the columns and rows of a sensor that stay brighter or darker, as strong all along."""
    for upright, start, stop in columns(roll, changes):
        lane = (slice(None), slice(start, stop)) if upright else (slice(start, stop), slice(None))
        axis = 0 if upright else 1
        weight = roll.levels[0].weight[lane].sum(axis=axis, keepdims=True)
        mean = roll.gains[lane].sum(axis=axis, keepdims=True) / weight
        gain[lane] = np.where(mask[lane] > 0, gain[lane], mean)
        mask[lane] = 1

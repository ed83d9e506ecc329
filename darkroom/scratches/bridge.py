"""Carrying the picture across a line, in the direction in which both of its sides agree best."""

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Float

LEANS = 5  # pixels along by which both ends of a direction may lie before and behind
CLOSE = 3  # pixels along, before and behind, that are compared
SIDE = 3  # pixels that make a side
REACH = 40  # pixels across within which a side is looked for
STRAIGHT = 0.15  # share by which a leaning direction must agree better


def bridge(
    image: Float, hole: NDArray[np.bool_], damaged: NDArray[np.bool_], *, upright: bool
) -> Float:
    """The image with a line-shaped hole filled from its sides.

    Directions are those of edge-based line averaging, as interlaced video is completed with:
    a pixel is the mean of what lies at both ends of a line through it, near the near end.

    Args:
        image: float32 (H, W, C).
        hole: bool (H, W), what to fill.
        damaged: bool (H, W), what must not be taken from; holds the hole.
        upright: whether the line runs from top to bottom.
    """
    if not upright:
        turned = bridge(image.transpose(1, 0, 2), hole.T, damaged.T, upright=True)
        return np.ascontiguousarray(turned.transpose(1, 0, 2))
    rows, columns = np.nonzero(hole)
    if not rows.size:
        return image
    free = ~(damaged | hole)
    before, after = _next_free(free, -1), _next_free(free, 1)
    left, right = before[rows, columns], after[rows, columns]
    lean = _leans(image, rows, left, right)
    span = np.maximum(right - left, 1)
    share = ((columns - left) / span).astype(np.float32)
    shift = lean * 2 * share
    height = image.shape[0]
    up = np.clip(np.rint(rows - shift).astype(np.intp), 0, height - 1)
    down = np.clip(np.rint(rows - shift + 2 * lean).astype(np.intp), 0, height - 1)
    one, other = _side(image, free, up, left, -1), _side(image, free, down, right, 1)
    there = [(left >= 0)[:, None], (right < image.shape[1])[:, None]]
    share = share[:, None]
    mixed = (1 - share) * one + share * other
    value = np.where(there[0] & there[1], mixed, np.where(there[0], one, other))
    out = image.copy()
    out[rows, columns] = value
    return out


def _next_free(free: NDArray[np.bool_], way: int) -> NDArray[np.intp]:
    """For each pixel the column of the nearest free one in its row to the left (-1) or right."""
    width = free.shape[1]
    index = np.arange(width)
    if way < 0:
        return np.asarray(np.maximum.accumulate(np.where(free, index, -1), axis=1), np.intp)
    ahead = np.where(free, index, width)[:, ::-1]
    return np.asarray(np.minimum.accumulate(ahead, axis=1)[:, ::-1], np.intp)


def _leans(
    image: Float,
    rows: NDArray[np.intp],
    left: NDArray[np.intp],
    right: NDArray[np.intp],
) -> NDArray[np.intp]:
    """For each pixel of the hole, how far before it the left end of its direction lies."""
    height, width = image.shape[:2]
    grey = image.mean(axis=2)
    left, right = np.clip(left, 0, width - 1), np.clip(right, 0, width - 1)
    best, least = np.zeros(len(rows), np.intp), None
    for lean in sorted(range(-LEANS, LEANS + 1), key=abs):
        cost = np.zeros(len(rows), np.float32)
        for step in range(-CLOSE, CLOSE + 1):
            up = np.clip(rows - lean + step, 0, height - 1)
            down = np.clip(rows + lean + step, 0, height - 1)
            cost += np.abs(grey[up, left] - grey[down, right])
        cost *= np.float32(1 + STRAIGHT * abs(lean) ** 0.5)
        if least is None:
            least = cost
            continue
        better = cost < least * np.float32(1 - STRAIGHT)
        best[better], least[better] = lean, cost[better]
    return best


def _side(
    image: Float,
    free: NDArray[np.bool_],
    rows: NDArray[np.intp],
    start: NDArray[np.intp],
    way: int,
) -> Float:
    """Mean (n, C) of the free pixels among `SIDE` from `start` outwards; `start` where none is."""
    width = image.shape[1]
    total = np.zeros((len(rows), image.shape[2]), np.float32)
    count = np.zeros(len(rows), np.float32)
    for step in range(SIDE):
        at = start + way * step
        ok = (at >= 0) & (at < width)
        at = np.clip(at, 0, width - 1)
        ok &= free[rows, at]
        total += image[rows, at] * ok[:, None]
        count += ok
    alone = image[rows, np.clip(start, 0, width - 1)]
    return np.asarray(np.where((count > 0)[:, None], total / np.maximum(count, 1)[:, None], alone))

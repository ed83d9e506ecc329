"""How much each place looks like a line that runs along a side of the frame.

A line is far too faint to be told from grain in any one row, and far too long to be anything else
once enough rows agree. So the frame is averaged along the line first, over `GROUP` pixels, then
compared with both sides across it at several widths, and what `GROUPS` such averages agree on is
one block of evidence. Each average is limited to a few local deviations before it counts: that a
bright branch crosses one of them says nothing.

Robust evidence along the course before anything is decided follows Newson, Almansa, Gousseau and
Pérez, "Robust automatic line scratch detection in films" (IEEE Trans. Image Processing 23(3),
2014); there pixels vote, here averages do, as scans are grainier and larger than film frames.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window, bands
from darkroom.scan import Float

GROUP = 4  # pixels along the line that are averaged
GROUPS = 8  # averages that make a block
BLOCK = GROUP * GROUPS
BAND = 2 * BLOCK  # rows read at a time; part of the result, so it never follows the machine
READ = 16  # rows held at a time before they are averaged
WIDTHS = (3, 9)  # pixels across a line; each finds what is half as wide, and half as wide again
LOCAL = 65  # pixels across, over which the usual deviation is taken
LIMIT = 2.5  # local deviations that one average can count for
HALO = 60  # pixels across beyond which nothing counts
MEAN_TO_SIGMA = 1.2533  # sqrt(pi / 2), of a normal distribution
LEAST = 0.15 / 255  # deviation of an average: below this rounding rules
UNIT = 16  # evidence is kept as int8 in sixteenths of a standard error

Reader = Callable[[Window], Float]
Evidence = NDArray[np.int8]
Spread = Callable[[Callable[[Any], Any], Any], Iterator[Any]]


def block_evidence(groups: Float) -> Evidence:
    """Evidence for lines along the first axis.

    Args:
        groups: float32 (n * GROUPS, across, C) in [0, 1], averages over `GROUP` pixels along.

    Returns:
        int8 (n, across): standard errors times `UNIT` by which the place is brighter (positive) or
        darker than both of its sides, of the width and channel that show it best.
    """
    best = None
    for width in WIDTHS:
        for channel in range(groups.shape[2]):
            found = _one_width(np.ascontiguousarray(groups[..., channel]), width)
            if best is None:
                best = found
            else:
                np.copyto(best, found, where=np.abs(found) > np.abs(best))
    assert best is not None
    return np.clip(np.rint(best * UNIT), -127, 127).astype(np.int8)


def _one_width(groups: Float, width: int) -> Float:
    """Signed evidence (n, across) of one channel at one width of line."""
    import cv2

    side = max(width, 5)
    reach = (7 * width + side * 5) // 10 + 1  # between the middles of line and side
    shape = (len(groups) // GROUPS, GROUPS, groups.shape[1])
    middle, beside = cv2.blur(groups, (width, 1)), cv2.blur(groups, (side, 1))
    beside = cv2.copyMakeBorder(beside, 0, 0, reach, reach, cv2.BORDER_REPLICATE)
    left, right = beside[:, : -2 * reach], beside[:, 2 * reach :]
    excess = cv2.addWeighted(left, -0.5, right, -0.5, 0.0)
    excess = cv2.add(excess, middle)
    usual = cv2.blur(np.abs(excess).reshape(shape).mean(axis=1), (LOCAL, 1))
    usual = np.maximum(usual * np.float32(MEAN_TO_SIGMA), np.float32(LEAST))
    scaled = excess.reshape(shape) * (1 / usual)[:, None]
    np.clip(scaled, -LIMIT, LIMIT, out=scaled)
    mean = scaled.mean(axis=1)
    # A step between both sides is an edge; a line stands out of either.
    sides = beside.reshape(*shape[:2], beside.shape[1]).mean(axis=1)
    step = np.abs(sides[:, : -2 * reach] - sides[:, 2 * reach :]) * np.float32(0.5) / usual
    found = np.sign(mean) * np.maximum(np.abs(mean) - step, 0) * np.float32(GROUPS**0.5)
    return np.asarray(found, np.float32)


def reduced(read: Reader, frame: Window, scale: int) -> Reader:
    """Reads a frame from its own corner on, `scale` times smaller."""
    import cv2

    def small(window: Window) -> Float:
        whole = Window(*(scale * v for v in (window.x, window.y, window.width, window.height)))
        image = read(whole.shift(frame.x, frame.y))
        if scale == 1:
            return image
        smaller = cv2.resize(image, (window.width, window.height), interpolation=cv2.INTER_AREA)
        return np.asarray(smaller.reshape(window.height, window.width, -1), np.float32)

    return small


def averages(read: Reader, window: Window, *axes: int) -> list[Float]:
    """`averaged` along each of some axes, of a window that is never held as a whole."""
    parts: list[list[Float]] = [[] for _ in axes]
    for rows in bands(window.width, window.height, READ):
        image = read(rows.shift(window.x, window.y))
        for part, along in zip(parts, axes, strict=True):
            part.append(averaged(image, along))
    return [np.concatenate(part) for part in parts]


def averaged(image: Float, along: int) -> Float:
    """Averages over `GROUP` pixels along an axis of (H, W, C); what fills none is left out."""
    import cv2

    height, width, channels = image.shape
    image = image[: height // GROUP * GROUP] if along == 0 else image[:, : width // GROUP * GROUP]
    if not image.size:
        return np.empty((0, width, channels), np.float32)
    size = (width, height // GROUP) if along == 0 else (width // GROUP, height)
    mean = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(mean.reshape(size[1], size[0], channels), np.float32)


def frame_evidence(read: Reader, frame: Window, spread: Spread = map) -> tuple[Evidence, Evidence]:
    """Evidence for upright lines (blocks down, columns) and for level ones (blocks across, rows).

    One pass over the frame, a band of rows at a time. What does not fill a block at the right and
    at the bottom is left out.

    Args:
        read: gives (H, W, C) float32 in [0, 1] for a window inside the scan.
        frame: the picture without its border.
        spread: a `map` that keeps order, over threads if it likes; the result is the same.
    """
    rows, columns = frame.height // BLOCK * BLOCK, frame.width // BLOCK * BLOCK
    upright = np.zeros((rows // BLOCK, frame.width), np.int8)
    level = np.zeros((columns // BLOCK, frame.height), np.int8)
    tops = range(0, frame.height, BAND)

    def upper(y: int) -> tuple[int, Evidence, Float]:
        band = Window(frame.x, frame.y + y, frame.width, min(BAND, frame.height - y))
        down, across = averages(read, band, 0, 1)
        whole = len(down) // GROUPS * GROUPS
        found = block_evidence(down[:whole]) if whole else upright[:0]
        return y, found, across[:, : columns // GROUP]

    def lower(job: tuple[int, list[Float]]) -> tuple[int, Evidence]:
        y, parts = job
        first = min(HALO, y)
        rows = np.concatenate(parts)[: first + BAND + HALO]
        found = block_evidence(np.ascontiguousarray(rows.transpose(1, 0, 2)))
        return y, found[:, first : first + BAND]

    def joined() -> Iterator[tuple[int, list[Float]]]:
        """Each band with `HALO` rows of those above and below."""
        above, last = None, None
        for y, found, groups in spread(upper, tops):
            upright[y // BLOCK : y // BLOCK + len(found)] = found
            if last is not None:
                yield y - BAND, [part for part in (above, last, groups[:HALO]) if part is not None]
                above = last[-HALO:]
            last = groups
        if last is not None:
            yield tops[-1], [part for part in (above, last) if part is not None]

    for y, found in map(lower, joined()):
        level[:, y : y + found.shape[1]] = found
    return upright, level

"""The picture along a course, laid straight: what a candidate is judged and measured on."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.scan import Float
from darkroom.scratches.evidence import BAND, BLOCK, GROUP, Reader, Spread, averages
from darkroom.scratches.track import Track

HALF = 32  # pixels to each side of a course
STEPS = np.arange(-HALF, HALF + 1)


def course(
    middle: NDArray[np.float64], along: NDArray[np.floating] | NDArray[np.intp]
) -> NDArray[np.float64]:
    """The place across at pixels `along` a course known at the middle of each block."""
    known = np.arange(len(middle)) * BLOCK + (BLOCK - 1) / 2
    return np.asarray(np.interp(along, known, middle), np.float64)


def straightened(
    read: Reader, frame: Window, tracks: Sequence[Track], spread: Spread = map
) -> list[Float]:
    """For each track, averages over `GROUP` pixels along it: float32 (groups, 2 HALF + 1, C).

    Places beyond the frame show its outermost pixel again.

    Args:
        read: gives (H, W, C) float32 in [0, 1] for a window inside the scan.
        frame: the picture without its border, which tracks are counted from.
        tracks: at least one group long.
        spread: as for `frame_evidence`.
    """
    upright = [track for track in tracks if track.upright]
    strips = dict(zip(map(id, upright), _upright(read, frame, upright, spread), strict=True))
    for track in tracks:
        if not track.upright:
            strips[id(track)] = _level(read, frame, track)
    return [strips[id(track)] for track in tracks]


def _places(track: Track, groups: NDArray[np.intp], across: int) -> NDArray[np.intp]:
    """Pixels across, (groups, 2 HALF + 1), inside the frame."""
    middle = np.rint(course(track.middle, groups * GROUP + (GROUP - 1) / 2)).astype(np.intp)
    return np.asarray(np.clip(middle[:, None] + STEPS, 0, across - 1), np.intp)


def _upright(read: Reader, frame: Window, tracks: Sequence[Track], spread: Spread) -> list[Float]:
    """Strips of upright tracks, from one pass over the frame."""
    if not tracks:
        return []

    def cut(y: int) -> list[Float]:
        rows = min(BAND, frame.height - y) // GROUP * GROUP
        band = averages(read, Window(frame.x, frame.y + y, frame.width, rows), 0)[0]
        groups = y // GROUP + np.arange(len(band))
        at = np.arange(len(band))[:, None]
        return [band[at, _places(track, groups, frame.width)] for track in tracks]

    tops = range(0, frame.height // GROUP * GROUP, BAND)
    parts: Iterator[list[Float]] = spread(cut, tops)
    return [np.concatenate(strip) for strip in zip(*parts, strict=True)]


def _level(read: Reader, frame: Window, track: Track) -> Float:
    """The strip of a level track, from the rows about it."""
    top = max(0, int(track.middle.min()) - HALF)
    bottom = min(frame.height, int(track.middle.max()) + HALF + 2)
    width = frame.width // GROUP * GROUP
    rows = averages(read, Window(frame.x, frame.y + top, width, bottom - top), 1)[0]
    columns = rows.transpose(1, 0, 2)
    at = np.arange(len(columns))
    places = np.clip(_places(track, at, frame.height) - top, 0, bottom - top - 1)
    return np.ascontiguousarray(columns[at[:, None], places])

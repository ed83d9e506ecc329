"""Columns of a sensor that stay brighter or darker than their neighbours, and rows of a scanner."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from darkroom.roll.gather import Gathered

SECTIONS = 8  # of a column, most of which must show it
AGREE = 6  # of those
WIDEST = 4  # pixels of the plane
NEIGHBOURS = 9  # pixels to each side that a column is compared with
HIGH = 8.0  # standard deviations of what columns differ by
CLEAR = 3.0  # of what sections differ by
LEAST, LEAST_SECTION = 0.28, 0.15  # usual deviations of a single frame: pictures have lines, too
ERRORS, SECTION_ERRORS = 1.3, 0.6  # the same for rolls of few frames, in their standard errors
EDGE = 4  # pixels at the sides, where frames end
MOST = 12  # more of them are a pattern
CHANGES = 0.75  # share of the column in which the pictures differ


def columns(roll: Gathered, changes: NDArray[np.bool_]) -> Iterator[tuple[bool, int, int]]:
    """(upright, first pixel, pixel past the last) of each column, then of each row."""
    mean = roll.levels[0].clearness / np.float32(roll.pictures**0.5)
    doubt = roll.pictures**-0.5
    for upright in (True, False):
        plane, differ = (mean, changes) if upright else (mean.T, changes.T)
        found = list(_columns(plane, differ, doubt))
        if len(found) <= MOST:
            yield from ((upright, start, stop) for start, stop in found)


def _columns(
    plane: NDArray[np.float32], changes: NDArray[np.bool_], error: float
) -> Iterator[tuple[int, int]]:
    """Runs of columns that stand out of their neighbours in most sections, in one direction."""
    across = plane.shape[1]
    if across <= 2 * NEIGHBOURS:
        return
    excess = []
    for section in np.array_split(plane, SECTIONS):
        level = section.mean(axis=0)
        excess.append(level - _median(level))
    parts = np.array(excess)
    doubt = 1.4826 * np.median(np.abs(parts), axis=1, keepdims=True)
    clear = np.abs(parts) > np.maximum(CLEAR * doubt, max(LEAST_SECTION, SECTION_ERRORS * error))
    sign = np.sign(parts.mean(axis=0))
    agree = (clear & (np.sign(parts) == sign)).sum(axis=0) >= AGREE
    mean = np.abs(parts.mean(axis=0))
    usual = 1.4826 * float(np.median(mean))
    good = (
        agree & (mean > max(HIGH * usual, LEAST, ERRORS * error)) & (changes.mean(axis=0) > CHANGES)
    )
    good[:EDGE] = good[-EDGE:] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start <= WIDEST:
            yield int(start), int(stop)


def _median(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median of each value's neighbours."""
    padded = np.pad(values, NEIGHBOURS, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
    return np.asarray(np.median(windows, axis=1), np.float32)

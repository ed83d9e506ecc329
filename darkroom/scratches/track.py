"""Courses through the evidence, from one end of the frame to the other, by dynamic programming."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from darkroom.scratches.evidence import BLOCK, UNIT, Evidence

COST = 1.0  # standard errors that a block has to show to speak for a line
FLOOR, CEILING = -1.0, 4.0  # what one block can count for, once `COST` is taken off
BEND = 0.5  # cost of one pixel to the side from a block to the next
STEEPEST = 0.012  # pixels to the side a pixel along, from end to end
APART = 5  # pixels; courses nearer than that are one
SHARED = 0.3  # share of a course that may run with a better one
MARGIN = 6  # pixels at the frame's sides, where its own edge looks like a line


@dataclass(frozen=True, slots=True)
class Track:
    """A course that may be a scratch.

    Attributes:
        upright: from top to bottom, else from left to right.
        sign: 1 brighter than its sides, -1 darker.
        middle: float (n,), the place across in each block, from the frame's corner.
        score: mean evidence of a block.
    """

    upright: bool
    sign: int
    middle: NDArray[np.float64]
    score: float


def find_tracks(evidence: Evidence, *, upright: bool, least: float, most: int) -> list[Track]:
    """The best courses of both signs, best first.

    Args:
        evidence: int8 (blocks along, pixels across), see `block_evidence`.
        upright: what the blocks follow.
        least: mean evidence of a block that a course needs.
        most: courses given.
    """
    found = []
    for sign in (1, -1):
        found += _courses(evidence, sign, upright, least)
    found.sort(key=lambda track: (-track.score, track.sign, float(track.middle[0])))
    return found[:most]


def enlarged(track: Track, scale: int, blocks: int) -> Track:
    """A track found on a frame reduced by `scale`, with `blocks` blocks of the frame itself."""
    if scale == 1:
        return track
    known = (np.arange(len(track.middle)) * BLOCK + BLOCK / 2) * scale
    middle = np.interp(np.arange(blocks) * BLOCK + BLOCK / 2, known, track.middle)
    return replace(track, middle=(middle + 0.5) * scale - 0.5)


def _courses(evidence: Evidence, sign: int, upright: bool, least: float) -> list[Track]:
    """The courses of one sign."""
    blocks, across = evidence.shape
    if across <= 2 * MARGIN or not blocks:
        return []
    total, came = _best_paths(evidence, sign)
    ends = np.flatnonzero(total >= least * blocks)
    if not ends.size:
        return []
    found: list[Track] = []
    for end in ends[np.argsort(-total[ends], kind="stable")]:
        middle = np.empty(blocks)
        at = int(end)
        for block in range(blocks - 1, -1, -1):
            middle[block] = at
            at += int(came[block, at])
        if any(_together(middle, other.middle) for other in found):
            continue
        if abs(middle[-1] - middle[0]) <= STEEPEST * blocks * BLOCK + 2:
            found.append(Track(upright, sign, middle, float(total[end]) / blocks))
    return found


def _best_paths(evidence: Evidence, sign: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """(score of the best course that ends at each place, where each place was come from)."""
    blocks, across = evidence.shape
    came = np.zeros((blocks, across), np.int8)
    total = np.zeros(across, np.float32)
    for block in range(blocks):
        gain = evidence[block] * np.float32(sign / UNIT) - np.float32(COST)
        np.clip(gain, FLOOR, CEILING, out=gain)
        gain[:MARGIN] = gain[-MARGIN:] = -CEILING
        if block:
            left = np.concatenate([[-np.inf], total[:-1]]).astype(np.float32) - np.float32(BEND)
            right = np.concatenate([total[1:], [-np.inf]]).astype(np.float32) - np.float32(BEND)
            best = total.copy()
            better = left > best
            best[better], came[block, better] = left[better], -1
            better = right > best
            best[better], came[block, better] = right[better], 1
            total = best
        total = total + gain
    return total, came


def _together(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two courses are mostly the same."""
    return float((np.abs(one - other) < APART).mean()) > SHARED

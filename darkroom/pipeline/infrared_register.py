"""Where infrared lies beside its picture, and how sure that is.

Dyes and dust show in both, some dark where the other is bright, so what is compared is the
direction of edges, whatever their sign: the square of the complex gradient, as double angles
(Granlund, "In search of a general picture processing operator", 1978), of limited length. Pieces of
the frame are correlated each by itself; which shift, rotation and scale agrees with most of them is
tried out on their correlations (as votes in a Hough transform are), and single pieces refine it
where they can.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.pipeline.infrared_plane import Warp
from darkroom.scan import Float

ROWS, COLUMNS = 4, 5  # pieces of a thumbnail
REACH = 0.06  # of the longer side that shifts are searched to
ANGLES = np.deg2rad(np.linspace(-1.2, 1.2, 13))
SCALES = np.linspace(-0.012, 0.012, 9)
DETAIL = 4.0  # pixels; what varies more slowly is no help
LIMIT = 4.0  # robust spreads that a gradient's length is limited to
SURE = 7.0  # deviations by which the best agreement must exceed those of other shifts
ROUNDS = 4  # of refinement, at most
FINE_REACH = 10  # pixels that pieces are searched over
STILL, NOTHING = 0.02, 0.03  # pixels that are not worth another round, or any notice
BETTER = 0.7  # times the spread about fewer terms, at which more are taken
SIDE_PEAK = 4  # pixels about the best that are not other shifts

Field = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """Where the plane lies.

    Attributes:
        warp: what the picture has at (x, y), the plane has at (x, y) + warp.at(x, y).
        confidence: of the agreement, in deviations of that at other shifts.
    """

    warp: Warp
    confidence: float


def edges(values: Float) -> Field:
    """Directions of edges, doubled, of limited length: complex64 (H, W)."""
    values = np.ascontiguousarray(values, np.float32)
    values = values - cv2.GaussianBlur(values, (0, 0), DETAIL)
    smooth = cv2.GaussianBlur(values, (0, 0), 0.8)
    x = cv2.Scharr(smooth, cv2.CV_32F, 1, 0)
    y = cv2.Scharr(smooth, cv2.CV_32F, 0, 1)
    length = np.sqrt(x * x + y * y)
    spread = float(np.median(length)) + 1e-9
    gradient = (x + 1j * y) / np.maximum(length, 1e-12)
    # Noise has short gradients; edges of dust and picture count alike.
    weight = np.clip(length / (LIMIT * spread) - 0.25, 0, 1)
    return np.asarray(gradient * gradient * weight, np.complex64)


def place(
    light: Float, heat: Float, step: int, origin: tuple[int, int], size: tuple[int, int]
) -> Placing:
    """Shift, rotation and scale of infrared beside a picture, to a part of a thumbnail's pixel.

    Args:
        light: float32 (h, w), log light of a thumbnail, mean of its channels.
        heat: float32 (h, w), log infrared of the same place.
        step: pixels of the scan along a pixel of the thumbnail.
        origin: (x, y) of the thumbnail in the scan.
        size: (width, height) of the scan.
    """
    height, width = heat.shape
    reach = max(4, int(np.ceil(REACH * max(height, width))))
    maps, centres = _correlations(edges(light), edges(heat), reach)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    best = (-np.inf, 0.0, 0.0, 0, 0)
    for angle in ANGLES:
        for scale in SCALES:
            total = _voted(maps, centres - middle, angle, scale)
            row, column = np.unravel_index(int(total.argmax()), total.shape)
            if total[row, column] > best[0]:
                vote = float(total[row, column])
                best = (vote, float(angle), float(scale), int(column), int(row))
    _, angle, scale, x, y = best
    total = _voted(maps, centres - middle, angle, scale)
    confidence = _confidence(total, x, y)
    fine_x, fine_y = _peak(total, x, y)
    shift = np.array([fine_x, fine_y]) - (total.shape[1] - 1) / 2
    # Rotation and scale were about the middle of the thumbnail.
    there = middle * step + np.asarray(origin) + (step - 1) / 2
    half = np.asarray(size) / 2
    turn = np.array([[scale, -angle], [angle, scale]])
    terms = np.zeros((2, 6))
    terms[:, 1:3] = turn * half
    terms[:, 0] = shift * step + turn @ (half - 0.5 - there)
    return Placing(Warp(size, terms), confidence)


def _correlations(first: Field, second: Field, reach: int) -> tuple[Float, NDArray[np.float64]]:
    """Correlations of pieces: (n, 2 R + 1, 2 R + 1) by shift of the second, and (n, 2) centres."""
    height, width = first.shape
    maps, centres = [], []
    for top, low in _cuts(height, ROWS):
        for left, right in _cuts(width, COLUMNS):
            piece = first[top:low, left:right]
            if not np.abs(piece).any():
                continue
            # The second is looked at as far around as shifts reach; zeros beyond its edge.
            wide = np.zeros((low - top + 2 * reach, right - left + 2 * reach), np.complex64)
            y0, x0 = max(0, top - reach), max(0, left - reach)
            y1, x1 = min(height, low + reach), min(width, right + reach)
            wide[y0 - top + reach : y1 - top + reach, x0 - left + reach : x1 - left + reach] = (
                second[y0:y1, x0:x1]
            )
            size = [cv2.getOptimalDFTSize(n) for n in wide.shape]
            one = np.fft.fft2(piece, size)
            other = np.fft.fft2(wide, size)
            found = np.fft.ifft2(other * np.conj(one)).real[: 2 * reach + 1, : 2 * reach + 1]
            found -= np.median(found)
            spread = 1.4826 * float(np.median(np.abs(found))) + 1e-9
            maps.append(np.asarray(np.clip(found / spread, -5, 40), np.float32))
            centres.append(((left + right - 1) / 2, (top + low - 1) / 2))
    if not maps:
        return np.zeros((1, 2 * reach + 1, 2 * reach + 1), np.float32), np.zeros((1, 2))
    return np.stack(maps), np.array(centres)


def _cuts(length: int, count: int) -> Iterator[tuple[int, int]]:
    places = np.linspace(0, length, count + 1).astype(int)
    yield from pairwise(places.tolist())


def _voted(maps: Float, places: NDArray[np.float64], angle: float, scale: float) -> Float:
    """Sum of the correlations, each moved by what rotation and scale add where its piece lies."""
    total = np.zeros(maps.shape[1:], np.float32)
    size = (maps.shape[2], maps.shape[1])
    for found, (u, v) in zip(maps, places, strict=True):
        dx, dy = scale * u - angle * v, angle * u + scale * v
        move = np.array([[1, 0, -dx], [0, 1, -dy]], np.float64)
        total += cv2.warpAffine(found, move, size, flags=cv2.INTER_LINEAR)
    return total


def _confidence(total: Float, x: int, y: int) -> float:
    """How far the best shift stands out from all others, in their robust deviations."""
    others = total.copy()
    near = SIDE_PEAK
    others[max(0, y - near) : y + near + 1, max(0, x - near) : x + near + 1] = np.nan
    rest = others[np.isfinite(others)]
    if not rest.size:
        return 0.0
    middle = float(np.median(rest))
    spread = 1.4826 * float(np.median(np.abs(rest - middle))) + 1e-9
    peak = float(total[y, x])
    # The next best shift of all counts too: what repeats itself can be laid in more than one way.
    second = float(rest.max())
    return min((peak - middle) / spread, 3 * (peak - middle) / max(second - middle, 1e-9) * 3)


def _peak(total: Float, x: int, y: int) -> tuple[float, float]:
    """The peak to a part of a pixel, by parabolas (x, y)."""

    def vertex(a: float, b: float, c: float) -> float:
        bend = a - 2 * b + c
        return 0.0 if bend >= 0 else float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5))

    height, width = total.shape
    dx = vertex(*total[y, x - 1 : x + 2]) if 0 < x < width - 1 else 0.0
    dy = vertex(*total[y - 1 : y + 2, x]) if 0 < y < height - 1 else 0.0
    return x + dx, y + dy


def refine(
    placing: Placing,
    pieces: list[tuple[float, float]],
    look: Callable[[float, float, Warp], tuple[Float, Float]],
) -> Placing:
    """The placing to a twentieth of a pixel, by pieces at full size.

    Args:
        placing: what is known.
        pieces: (x, y) of the middles of pieces.
        look: gives log light and log infrared, laid by a warp, of the piece at a place.
    """
    for _ in range(ROUNDS):
        found = []
        for x, y in pieces:
            moved = _piece_shift(*(edges(values) for values in look(x, y, placing.warp)))
            if moved is not None:
                found.append((x, y, *moved))
        if not found:
            break
        told = np.array(found)
        warp = placing.warp
        more = _fitted(told[:, :2], told[:, 2:], warp.size)
        placing = Placing(Warp(warp.size, warp.terms + more), placing.confidence)
        if np.abs(more).sum(axis=1).max() < STILL:
            break
    return placing


def _piece_shift(first: Field, second: Field) -> tuple[float, float] | None:
    """(dx, dy) of a piece, or None where no shift stands out."""
    size = [cv2.getOptimalDFTSize(n + FINE_REACH) for n in first.shape]
    both = np.fft.ifft2(np.fft.fft2(second, size) * np.conj(np.fft.fft2(first, size))).real
    around = 2 * FINE_REACH + 1
    total = np.roll(both, (FINE_REACH, FINE_REACH), (0, 1))[:around, :around].astype(np.float32)
    y, x = (int(v) for v in np.unravel_index(int(total.argmax()), total.shape))
    rest = both - np.median(both)
    spread = 1.4826 * float(np.median(np.abs(rest))) + 1e-12
    if not (0 < x < around - 1 and 0 < y < around - 1) or total[y, x] < SURE * spread:
        return None
    fine_x, fine_y = _peak(total, x, y)
    return fine_x - FINE_REACH, fine_y - FINE_REACH


def _fitted(
    places: NDArray[np.float64], shifts: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """The terms of a warp through most of the shifts: of the fewest degrees that they ask for."""
    u, v = ((2 * places[:, i] + 1) / size[i] - 1 for i in range(2))
    every = np.column_stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    best: NDArray[np.float64] | None = None
    least = np.inf
    for count in (1, 3, 6):
        if best is not None and len(u) < 2 * count:
            break
        terms, weights = every[:, :count], np.ones(len(u))
        for _ in range(12):
            root = np.sqrt(weights)[:, None]
            solved = np.linalg.lstsq(terms * root, shifts * root, rcond=None)[0]
            off = np.abs(shifts - terms @ solved).max(axis=1)
            scale = max(1.4826 * float(np.median(off)), NOTHING)
            weights = np.clip(1 - (off / (4.685 * scale)) ** 2, 0, None) ** 2
        if best is None or scale < BETTER * least:
            least, best = scale, np.zeros((2, 6))
            best[:, :count] = solved.T
    assert best is not None
    return best

"""Registration of a retouched file to its scan: exact pairs first, else shift, similarity, affine.

Coarse alignment maximises the enhanced correlation coefficient (Evangelidis and Psarakis 2008) on
reduced pictures; the fine one measures shifts of many small windows at full size with the same
criterion and fits the transform to them, so that memory does not grow with the scan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import Window, bands

Float: TypeAlias = NDArray[np.float32]
Matrix: TypeAlias = NDArray[np.float64]  # (2, 3): scan x, y, 1 -> truth x, y
Reader: TypeAlias = Callable[[Window], Float]  # grey float32 (H, W) in 8-bit levels

COARSE = 768  # longest side of the pictures for coarse alignment
BAND_PIXELS = 2_000_000  # read at a time to make a picture smaller
WINDOW = 192  # side of a window for fine alignment
GRID = 7  # windows across and down
MARGIN = 24  # pixels round a window, so that filters see past its edge
EXACT_SHARE = 0.5  # of the pixels equal: nobody resampled this
ALIGNED = 0.05  # px: a displacement below is left alone rather than resampled
MAX_RESIDUAL = 0.5  # px
MIN_CORRELATION = 0.6
MIN_WINDOWS = 6
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Registration:
    """How truth lies on scan.

    Attributes:
        model: "exact" (never resampled), "shift", "similarity" or "affine".
        matrix: scan pixel coordinates to those of the truth.
        residual: root mean square of what the transform leaves of the windows' shifts, pixels.
        correlation: median correlation of the windows after alignment.
        windows: how many the figures rest on.
    """

    model: str
    matrix: Matrix
    residual: float
    correlation: float
    windows: int

    def record(self) -> dict[str, Any]:
        """The same for the manifest."""
        return {
            "model": self.model,
            "matrix": [[round(float(v), 7) for v in row] for row in self.matrix],
            "residual_px": round(self.residual, 4),
            "correlation": round(self.correlation, 4),
            "windows": self.windows,
        }


def register(
    scan: Reader, size: tuple[int, int], truth: Reader, truth_size: tuple[int, int]
) -> Registration:
    """Find the transform from scan to truth.

    Args:
        scan: reads windows of the scan.
        size: its (width, height).
        truth: reads windows of the ground truth.
        truth_size: its (width, height).

    Raises:
        InputError: if the two do not align.
    """
    if size == truth_size and _equal_share(scan, truth, size) >= EXACT_SHARE:
        return Registration("exact", IDENTITY.copy(), 0.0, 1.0, 0)
    matrix = _coarse(scan, size, truth, truth_size)
    for _ in range(3):
        at, to, correlation = _shifts(scan, size, truth, truth_size, matrix)
        if len(at) < MIN_WINDOWS:
            raise _unlike(f"only {len(at)} places look alike")
        model, matrix, residual = _fit(at, to)
    if residual > MAX_RESIDUAL or correlation < MIN_CORRELATION:
        raise _unlike(f"residual {residual:.2f} px, correlation {correlation:.2f}")
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], [size[0], size[1]]], np.float64)
    if size == truth_size and np.abs(_map(matrix, corners) - corners).max() < ALIGNED:
        return Registration("exact", IDENTITY.copy(), residual, correlation, len(at))
    return Registration(model, matrix, residual, correlation, len(at))


def warp(truth: Reader, size: tuple[int, int], matrix: Matrix, window: Window) -> Float:
    """The truth as it lies under a window of the scan, resampled; edges are mirrored.

    `truth` may give any number of channels.
    """
    corners = np.array(
        [[x, y] for x in (window.x, window.right) for y in (window.y, window.bottom)], np.float64
    )
    there = _map(matrix, corners)
    low, high = np.floor(there.min(axis=0)) - 8, np.ceil(there.max(axis=0)) + 8
    box = Window(int(low[0]), int(low[1]), *(int(v) for v in high - low)).clip(*size)
    if not box.area:
        raise InputError("the ground truth does not reach this part of the scan")
    pixels = truth(box)
    # Coordinates of pixel centres: both windows start at their own corner.
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ (window.x, window.y) - (box.x, box.y)
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    shape = (window.width, window.height)
    return np.asarray(
        cv2.warpAffine(pixels, local, shape, flags=flags, borderMode=cv2.BORDER_REFLECT_101),
        np.float32,
    )


def _unlike(why: str) -> InputError:
    return InputError(
        f"the ground truth does not align with the scan ({why})",
        hint="is it another picture, or was it bent or turned by more than a degree?",
    )


def _map(matrix: Matrix, points: Matrix) -> Matrix:
    mapped: Matrix = points @ matrix[:, :2].T + matrix[:, 2]
    return mapped


def _equal_share(scan: Reader, truth: Reader, size: tuple[int, int]) -> float:
    """Share of equal pixels in rows spread over the picture."""
    width, height = size
    equal = total = 0
    for window in bands(width, height, max(1, height // 8)):
        rows = Window(0, window.y, width, min(16, window.height))
        equal += int((np.abs(scan(rows) - truth(rows)) < 1e-3).sum())
        total += rows.area
    return equal / total


def reduced(read: Reader, size: tuple[int, int], factor: float) -> Float:
    """A picture made smaller by `factor` (at least 1), read band by band."""
    width, height = size
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    if factor <= 1:
        return read(Window(0, 0, width, height))
    parts = []
    edges = np.round(np.linspace(0, height, small[1] + 1)).astype(int)
    step = max(1, int(BAND_PIXELS / (factor * width)))
    for start in range(0, small[1], step):
        stop = min(start + step, small[1])
        y, bottom = int(edges[start]), int(edges[stop])
        band = read(Window(0, y, width, bottom - y))
        parts.append(cv2.resize(band, (small[0], stop - start), interpolation=cv2.INTER_AREA))
    return np.concatenate(parts).astype(np.float32)


def _coarse(
    scan: Reader, size: tuple[int, int], truth: Reader, truth_size: tuple[int, int]
) -> Matrix:
    factor = max(1.0, max(*size, *truth_size) / COARSE)
    small, other = reduced(scan, size, factor), reduced(truth, truth_size, factor)
    height = max(small.shape[0], other.shape[0])
    width = max(small.shape[1], other.shape[1])
    a, b = (_padded(_standard(p), width, height) for p in (small, other))
    (dx, dy), _ = cv2.phaseCorrelate(a.astype(np.float64), b.astype(np.float64))
    best: tuple[float, Any] = (-1.0, None)
    for start in ((0.0, 0.0), (dx, dy)):
        matrix = np.array([[1, 0, start[0]], [0, 1, start[1]]], np.float32)
        mask = _padded(np.ones(other.shape, np.float32), width, height).astype(np.uint8)
        try:
            for motion in (cv2.MOTION_TRANSLATION, cv2.MOTION_AFFINE):
                quality, found = _ecc(a, b, matrix, motion, mask, 5)
                matrix = found
        except cv2.error:
            continue
        best = max(best, (quality, matrix), key=lambda entry: entry[0])
    if best[0] < MIN_CORRELATION / 2:
        raise _unlike(f"correlation {max(best[0], 0):.2f} at reduced size")
    matrix64: Matrix = np.asarray(best[1], np.float64)
    sx, sy = size[0] / small.shape[1], size[1] / small.shape[0]
    tx, ty = truth_size[0] / other.shape[1], truth_size[1] / other.shape[0]
    # Pixel centres lie half a pixel in, at either size.
    linear = np.diag([tx, ty]) @ matrix64[:, :2] @ np.diag([1 / sx, 1 / sy])
    centre = matrix64[:, :2] @ np.array([0.5 / sx - 0.5, 0.5 / sy - 0.5]) + matrix64[:, 2]
    offset = (centre + 0.5) * (tx, ty) - 0.5
    return np.concatenate([linear, offset[:, None]], axis=1)


def _standard(image: Float) -> Float:
    """Local contrast only: tones of the pair may differ. Artefacts are clipped."""
    flat = image - cv2.GaussianBlur(image, (0, 0), 12)
    spread = float(np.median(np.abs(flat))) * 1.4826 + 1e-3
    clipped: Float = np.clip(flat / spread, -4, 4).astype(np.float32)
    return clipped


def _smooth(image: Float) -> Float:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.float32)


def _padded(image: Float, width: int, height: int) -> Float:
    return np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1])))


def _ecc(
    a: Float, b: Float, start: NDArray[np.float32], motion: int, mask: Any, blur: int
) -> tuple[float, NDArray[np.float32]]:
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-6)
    quality, matrix = cv2.findTransformECC(a, b, start.copy(), motion, criteria, mask, blur)
    return float(quality), np.asarray(matrix, np.float32)


def _shifts(
    scan: Reader,
    size: tuple[int, int],
    truth: Reader,
    truth_size: tuple[int, int],
    matrix: Matrix,
) -> tuple[Matrix, Matrix, float]:
    """(points of the scan, where they are in the truth, median correlation), by small windows."""
    at, to, quality = [], [], []
    start = IDENTITY.astype(np.float32)
    side = min(WINDOW, size[0], size[1])
    for y in np.linspace(0, size[1] - side, GRID):
        for x in np.linspace(0, size[0] - side, GRID):
            window = Window(int(x), int(y), side, side)
            here = _map(matrix, np.array([[window.x, window.y], [window.right, window.bottom]]))
            if (here < -MARGIN).any() or (here > np.array(truth_size) + MARGIN).any():
                continue
            a = _smooth(scan(window))
            b = _smooth(warp(truth, truth_size, matrix, window))
            if min(a.std(), b.std()) < 0.5:
                continue
            try:
                q, found = _ecc(_standard(a), _standard(b), start, cv2.MOTION_TRANSLATION, None, 1)
            except cv2.error:
                continue
            if q < MIN_CORRELATION / 2 or np.abs(found[:, 2]).max() > MARGIN:
                continue
            centre = np.array([window.x + (side - 1) / 2, window.y + (side - 1) / 2])
            at.append(centre)
            to.append(_map(matrix, (centre + found[:, 2].astype(np.float64))[None])[0])
            quality.append(q)
    median = float(np.median(quality)) if quality else 0.0
    return np.array(at), np.array(to), median


def _fit(at: Matrix, to: Matrix) -> tuple[str, Matrix, float]:
    """The simplest model that explains the shifts: a richer one must halve what is left."""
    chosen: tuple[str, Matrix, float] | None = None
    for model in ("shift", "similarity", "affine"):
        matrix, rms = _robust(model, at, to)
        if chosen is None or rms < min(chosen[2] / 1.5, chosen[2] - 0.005):
            chosen = (model, matrix, rms)
    assert chosen is not None
    return chosen


def _robust(model: str, at: Matrix, to: Matrix) -> tuple[Matrix, float]:
    """Least squares, without the points that lie far off, three times over."""
    keep = np.ones(len(at), bool)
    for _ in range(4):
        matrix = _solve(model, at[keep], to[keep])
        error = np.hypot(*(_map(matrix, at) - to).T)
        limit = max(0.02, 3 * float(np.median(error)))
        better = error <= limit
        if better.sum() < MIN_WINDOWS:
            break
        keep = better
    return matrix, float(np.sqrt((error[keep] ** 2).mean()))


def _solve(model: str, at: Matrix, to: Matrix) -> Matrix:
    if model == "shift":
        offset = np.median(to - at, axis=0)
        return np.concatenate([np.eye(2), offset[:, None]], axis=1)
    x, y, zero, one = at[:, 0], at[:, 1], np.zeros(len(at)), np.ones(len(at))
    if model == "similarity":
        top = np.stack([x, -y, one, zero], axis=1)
        low = np.stack([y, x, zero, one], axis=1)
        a, b, c, d = np.linalg.lstsq(np.concatenate([top, low]), to.T.ravel(), rcond=None)[0]
        return np.array([[a, -b, c], [b, a, d]])
    plane = np.stack([x, y, one], axis=1)
    return np.asarray(np.linalg.lstsq(plane, to, rcond=None)[0].T)

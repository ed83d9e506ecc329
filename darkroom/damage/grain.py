"""Grain: resampled from the surroundings for a smooth repair, or made for a picture without any.

What the surroundings of a repair have besides their smooth part is copied, as one coherent piece
where that is possible, so that the repair gets their spectrum and not white noise. Copied values
are limited to what grain alone reaches, so that no structure of the picture is cloned.
"""

import numpy as np
from numpy.typing import NDArray

from darkroom.damage.difference import LEVELS, MAD_TO_SIGMA
from darkroom.scan import Bytes, Float

SIGMA = 2.0  # pixels; grain is what varies faster than this
SHIFTS = 24  # places looked at for a piece of grain
FARTHEST = 24  # pixels between a hole and where its grain may come from
GUARD = 2  # pixels around the mask that may still hold some of the artefact
LIMIT = 2.5  # copied values stay within this many standard deviations
COARSEST, STRONGEST = 1.1, 7.0  # of grain that is made: pixels, levels


def match_grain(
    image: Float, mask: Bytes, fill: Float, *, seed: int = 0, origin: tuple[int, int] = (0, 0)
) -> Float:
    """The fill with grain of the unmasked surroundings added under the mask.

    The same arguments always give the same result; all channels take their grain from the same
    place, so that its colour stays.

    Args:
        image: float32 (H, W, C) in [0, 1], the crop as it was.
        mask: uint8 (H, W), non-zero where `fill` replaces the image.
        fill: float32 (H, W, C), the repair.
        seed: of the choice of places.
        origin: (x, y) of the crop's corner in the frame.

    Returns:
        float32 (H, W, C); outside the mask equal to `fill`.
    """
    rows, columns = np.nonzero(mask)
    clean = _clean(mask)
    if not rows.size or not clean.any():
        return fill
    residue = _residue(image, clean)
    pool = residue.reshape(-1, residue.shape[2]).take(np.flatnonzero(clean), axis=0)
    spread = _spread(pool)
    limit = LIMIT * spread
    np.minimum(np.maximum(residue, -limit, out=residue), limit, out=residue)
    rng = np.random.default_rng([seed, *(value % 2**32 for value in origin)])
    samples, usable = _shifted(residue, clean, rows, columns, _shifts(rng))
    grain = _gather(samples, usable, spread)
    # What no shift reaches, in the middle of a large hole, gets grain pixel by pixel.
    missing = np.flatnonzero(~usable.any(axis=0))
    if missing.size:
        drawn = pool[rng.integers(0, len(pool), missing.size)]
        grain[missing] = np.clip(drawn, -LIMIT * spread, LIMIT * spread)
    out = fill.copy()
    out[rows, columns] = np.clip(fill[rows, columns] + grain, 0.0, 1.0)
    return out


def _clean(mask: Bytes) -> NDArray[np.bool_]:
    """Pixels far enough from any artefact to hold grain alone."""
    import cv2

    kernel = np.ones((2 * GUARD + 1, 2 * GUARD + 1), np.uint8)
    return np.asarray(cv2.dilate((mask > 0).view(np.uint8), kernel) == 0)


def _residue(image: Float, clean: NDArray[np.bool_]) -> Float:
    """The image less its smooth part, which the pixels that are not clean have no share in."""
    import cv2

    weight = clean.astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), SIGMA)
    smooth = cv2.GaussianBlur(image * weight[..., None], (0, 0), SIGMA)
    smooth = smooth.reshape(image.shape) / np.maximum(total, 1e-3)[..., None]
    return np.asarray(np.where(clean[..., None], image - smooth, 0.0), np.float32)


def _spread(values: Float) -> Float:
    """Robust standard deviation of each channel of (n, C)."""
    # `np.median` takes ten times as long on so few values.
    low, high = (len(values) - 1) // 2, len(values) // 2
    parted = np.partition(np.abs(values).T, (low, high), axis=1)
    median = (parted[:, low] + parted[:, high]) / 2
    return np.asarray(MAD_TO_SIGMA * median, np.float32)


def _shifts(rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Whole-pixel displacements in all directions, near ones as likely as far ones."""
    angle = rng.uniform(0, 2 * np.pi) + np.arange(SHIFTS) * (2 * np.pi / SHIFTS)
    reach = rng.uniform(2 * GUARD + 1, FARTHEST, SHIFTS)
    dy, dx = np.rint(reach * np.sin(angle)), np.rint(reach * np.cos(angle))
    return dy.astype(np.intp), dx.astype(np.intp)


def _shifted(
    residue: Float,
    clean: NDArray[np.bool_],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    shifts: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> tuple[Float, NDArray[np.bool_]]:
    """What lies at each shift from each pixel: values (shifts, n, C), and whether there is any."""
    height, width, channels = residue.shape
    # With a rim as wide as the longest shift, one number says where a shift leads.
    line = width + 2 * FARTHEST
    values = np.zeros((height + 2 * FARTHEST, line, channels), np.float32)
    there = np.zeros(values.shape[:2], np.bool_)
    inner = slice(FARTHEST, FARTHEST + height), slice(FARTHEST, FARTHEST + width)
    values[inner], there[inner] = residue, clean
    dy, dx = shifts
    place = (rows + FARTHEST) * line + columns + FARTHEST + (dy * line + dx)[:, None]
    return values.reshape(-1, channels).take(place, axis=0), there.take(place)


def _gather(samples: Float, usable: NDArray[np.bool_], spread: Float) -> Float:
    """Grain (n, C) for each masked pixel, from the best shift that has some for it.

    The best shift has grain for most pixels; among equals, the one whose grain is as strong as
    usual, for stronger means texture and weaker a clipped area.
    """
    count = usable.sum(axis=1)
    energy = (samples**2 * usable[..., None]).sum(axis=(1, 2)) / np.maximum(count, 1)
    usual = float((spread**2).sum())
    strangeness = np.abs(np.log((energy + 1e-9) / (usual + 1e-9)))
    order = np.lexsort((strangeness, -count))
    first = np.argmax(usable[order], axis=0)
    return np.asarray(samples[order[first], np.arange(samples.shape[1])], np.float32)


def add_grain(plane: Float, rng: np.random.Generator) -> Float:
    """Film grain: strongest in the mid-tones, of random strength and size.

    Args:
        plane: (H, W) or (H, W, C) in [0, 255]; each channel is a layer with grain of its own.
        rng: draws strength, up to `STRONGEST` levels, and size.
    """
    from scipy import ndimage as ndi

    size = rng.uniform(0.3, COARSEST)
    noise = ndi.gaussian_filter(rng.standard_normal(plane.shape), (size, size, 0)[: plane.ndim])
    tone = plane / LEVELS
    strength = rng.uniform(0, STRONGEST) * (0.4 + 2.4 * tone * (1 - tone)) / noise.std()
    return np.asarray(np.clip(plane + strength * noise, 0, LEVELS), np.float32)

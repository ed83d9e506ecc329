"""Clean photographs as training material: much that looks like damage and is none.

A data set of retouched film shows few subjects. Catch-lights, stars, letters, twigs and spray are
learnt faster from photographs in which nothing is damaged: each crop is softened and given grain,
so that it looks scanned, and whatever is found in it beside the damage added is a false alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy import ndimage as ndi

from darkroom.errors import InputError

Plane: TypeAlias = NDArray[np.float32]
Points: TypeAlias = NDArray[np.int64]

SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp"})
LEVELS = 255.0
SPECK = 7  # pixels; what is narrower stands out from an opening of this size
LIKELY = 0.004  # share of pixels that count as looking like damage
KEPT = 2000  # positions kept of each picture
HARDEST = 0.6  # share of crops centred on what looks like damage
SOFTEST, COARSEST, GRAIN = 1.0, 1.1, 7.0  # pixels, pixels, levels


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph without damage.

    Attributes:
        plane: uint8 (H, W).
        lookalikes: (N, 2) rows and columns of pixels that stand out as damage would.
    """

    plane: NDArray[np.uint8]
    lookalikes: Points


def load_photographs(folder: Path, smallest: int) -> list[Photograph]:
    """All pictures of a folder, grey.

    Args:
        folder: searched without its subfolders.
        smallest: pictures less wide or high than this are left out.

    Raises:
        InputError: no picture is large enough, or one cannot be read.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    planes = [p for p in map(_read, files) if min(p.shape) >= smallest]
    if not planes:
        raise InputError(f"{folder}: no photograph of at least {smallest} x {smallest} pixels")
    return [Photograph(p, lookalikes(p)) for p in planes]


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: {error}") from error


def lookalikes(plane: NDArray[Any], where: NDArray[np.bool_] | None = None) -> Points:
    """Where a picture has narrow detail much brighter or darker than around it.

    Args:
        plane: (H, W).
        where: (H, W), pixels to choose from; all if None.

    Returns:
        (N, 2) rows and columns, at most `KEPT`, evenly taken from the pixels that stand out most.
    """
    opened = ndi.maximum_filter(ndi.minimum_filter(plane, SPECK), SPECK)
    closed = ndi.minimum_filter(ndi.maximum_filter(plane, SPECK), SPECK)
    stands_out = np.maximum(plane - opened, closed - plane)
    if where is not None:
        stands_out = stands_out * where
    threshold = max(float(np.quantile(stands_out, 1 - LIKELY)), 1e-6)
    points: Points = np.argwhere(stands_out >= threshold)
    return points[:: max(1, len(points) // KEPT)][:KEPT]


def cut(photographs: Sequence[Photograph], side: int, rng: np.random.Generator) -> Plane:
    """A crop that looks scanned: float32 (side, side) in [0, 255].

    Half of the crops are taken at half the size, where the photograph is large enough.
    """
    photograph = photographs[int(rng.integers(len(photographs)))]
    shape = photograph.plane.shape
    wide = 2 * side if rng.random() < 0.5 and min(shape) >= 2 * side else side
    if len(photograph.lookalikes) and rng.random() < HARDEST:
        at = photograph.lookalikes[rng.integers(len(photograph.lookalikes))]
        at = at - rng.integers(wide // 8, wide - wide // 8, 2)
    else:
        at = np.array([rng.integers(0, n - wide + 1) for n in shape])
    y, x = (int(np.clip(a, 0, n - wide)) for a, n in zip(at, shape, strict=True))
    plane = photograph.plane[y : y + wide, x : x + wide].astype(np.float32)
    if wide > side:
        plane = plane.reshape(side, 2, side, 2).mean((1, 3))
    return add_grain(ndi.gaussian_filter(plane, rng.uniform(0, SOFTEST)), rng)


def add_grain(plane: Plane, rng: np.random.Generator) -> Plane:
    """Film grain: strongest in the mid-tones, of random strength and size.

    Args:
        plane: (H, W) in [0, 255].
        rng: draws strength, up to `GRAIN` levels, and size.
    """
    noise = ndi.gaussian_filter(rng.standard_normal(plane.shape), rng.uniform(0.3, COARSEST))
    tone = plane / LEVELS
    strength = rng.uniform(0, GRAIN) * (0.4 + 2.4 * tone * (1 - tone)) / noise.std()
    grained: Plane = np.clip(plane + strength * noise, 0, LEVELS).astype(np.float32)
    return grained

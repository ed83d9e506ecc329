"""Structural similarity, and whether repairs have the grain of their surroundings."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.regions import Regions, grow
from darkroom.scan import Float

# Octaves of spatial frequency by difference of Gaussians: (finer, coarser) sigma in pixels.
BANDS = {"fine": (0.0, 0.8), "medium": (0.8, 1.6), "coarse": (1.6, 3.2)}
RING = 12
WINDOW = 7  # pixels, side of a window of the structural similarity
STRIP = 256  # rows computed at a time, since it takes a dozen planes


def ssim_map(truth: Float, output: Float, core: slice) -> tuple[Float, NDArray[np.bool_]]:
    """Structural similarity (Wang et al. 2004) of some rows, in windows of 7 x 7 pixels.

    Args:
        truth: grey levels, float32 (H, W).
        output: likewise.
        core: the rows wanted.

    Returns:
        The map, float32 (rows, W), and which of its pixels lie in the middle of a whole window:
        bool (rows, W); the others mean nothing.
    """
    from skimage.metrics import structural_similarity

    height, width = truth.shape
    first, last, _ = core.indices(height)
    reach = WINDOW // 2
    values = np.zeros((last - first, width), np.float32)
    whole = np.zeros(values.shape, bool)
    if min(height, width) < WINDOW:
        return values, whole
    for top in range(first, last, STRIP):
        bottom = min(top + STRIP, last)
        a, b = max(0, min(top - reach, height - WINDOW)), min(height, max(bottom + reach, WINDOW))
        _, full = structural_similarity(  # type: ignore[no-untyped-call]
            truth[a:b], output[a:b], data_range=255, full=True
        )
        values[top - first : bottom - first] = full[top - a : bottom - a]
    rows = slice(max(reach, first) - first, max(0, min(height - reach, last) - first))
    whole[rows, reach : width - reach] = True
    return values, whole


def grain_power(
    output: Float, truth: Float, repaired: NDArray[np.bool_], where: Regions, core: slice
) -> dict[str, tuple[float, float, float]]:
    """Power of the grain inside repairs against that of the surroundings, by octave.

    Repairs are far too small for a Fourier transform, so the spectrum is taken in three octaves by
    differences of Gaussians. The surroundings are what lies 4 to 12 pixels from a repair and near
    no artefact. The same is counted for the ground truth at the same pixels, as a yardstick.

    Args:
        output: restoration, grey levels, float32 (H, W).
        truth: ground truth, likewise.
        repaired: bool (H, W), what the backend changed or meant to.
        where: regions of the truth mask.
        core: rows in which repairs count.

    Returns:
        For each band the sums of squares inside the repairs that hit artefacts, for the ground
        truth there, and what the surroundings would give in their place; zeros where there is no
        such repair.
    """
    inside = repaired & where.artefacts
    ring = grow(inside.astype(np.uint8), RING).astype(bool)
    ring &= ~(where.near | grow(repaired.astype(np.uint8), 4).astype(bool))
    inside[: core.start or 0] = False
    inside[core.indices(len(inside))[1] :] = False
    if not inside.any() or not ring.any():
        return dict.fromkeys(BANDS, (0.0, 0.0, 0.0))
    number = np.count_nonzero(inside)
    result = {}
    for name, (fine, coarse) in BANDS.items():
        power = (_blur(output, fine) - _blur(output, coarse)) ** 2
        model = (_blur(truth, fine) - _blur(truth, coarse)) ** 2
        result[name] = (
            float(power[inside].sum(dtype=np.float64)),
            float(model[inside].sum(dtype=np.float64)),
            float(power[ring].mean(dtype=np.float64) * number),
        )
    return result


def _blur(image: Float, sigma: float) -> Float:
    if sigma == 0:
        return image
    blurred: Any = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32)

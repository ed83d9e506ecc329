"""Structural similarity, and whether repairs have the grain of their surroundings."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.harm import Counts
from darkroom.compare.measure.regions import Regions, grow
from darkroom.scan import Float

# Octaves of spatial frequency by difference of Gaussians: (finer, coarser) sigma in pixels.
BANDS = {"fine": (0.0, 0.8), "medium": (0.8, 1.6), "coarse": (1.6, 3.2)}
RING = 12


def ssim_counts(truth: Float, output: Float, where: Regions) -> Counts:
    """Sums of the structural similarity map (Wang et al. 2004) over all pixels and near artefacts.

    Windows of 7 x 7 pixels, as scikit-image's default; pictures narrower than that count nothing.

    Args:
        truth: grey levels, float32 (H, W).
        output: likewise.
        where: regions of the truth mask.
    """
    from skimage.metrics import structural_similarity

    empty = {"ssim_sum": 0.0, "ssim_pixels": 0.0, "ssim_around": 0.0, "ssim_around_pixels": 0.0}
    if min(truth.shape) < 7:
        return empty
    _, ssim = structural_similarity(  # type: ignore[no-untyped-call]
        truth, output, data_range=255, full=True
    )
    inner = ssim[3:-3, 3:-3]  # whole windows only
    around = where.around[3:-3, 3:-3]
    return {
        "ssim_sum": float(inner.sum(dtype=np.float64)),
        "ssim_pixels": float(inner.size),
        "ssim_around": float(inner[around].sum(dtype=np.float64)),
        "ssim_around_pixels": float(np.count_nonzero(around)),
    }


def grain_counts(
    output: Float, truth: Float, repaired: NDArray[np.bool_], where: Regions
) -> Counts:
    """Power of the grain inside repairs against that of the surroundings, by octave.

    Repairs are far too small for a Fourier transform, so the spectrum is taken in three octaves by
    differences of Gaussians. The surroundings are what lies 4 to 12 pixels from a repair and near
    no artefact. The same is counted for the ground truth at the same pixels, as a yardstick.

    Args:
        output: restoration, grey levels, float32 (H, W).
        truth: ground truth, likewise.
        repaired: bool (H, W), what the backend changed or meant to.
        where: regions of the truth mask.

    Returns:
        for each band "grain_BAND", "grain_BAND_truth" and "grain_BAND_expected": sums of squares
        inside the repairs that hit artefacts, and what the surroundings would give in their place.
        Empty where the picture has no such repair.
    """
    inside = repaired & where.artefacts
    ring = grow(inside.astype(np.uint8), RING).astype(bool)
    ring &= ~(where.near | grow(repaired.astype(np.uint8), 4).astype(bool))
    if not inside.any() or not ring.any():
        return {}
    counts: Counts = {}
    number = np.count_nonzero(inside)
    for name, (fine, coarse) in BANDS.items():
        power = (_blur(output, fine) - _blur(output, coarse)) ** 2
        model = (_blur(truth, fine) - _blur(truth, coarse)) ** 2
        counts[f"grain_{name}"] = float(power[inside].sum(dtype=np.float64))
        counts[f"grain_{name}_truth"] = float(model[inside].sum(dtype=np.float64))
        counts[f"grain_{name}_expected"] = float(power[ring].mean(dtype=np.float64) * number)
    return counts


def _blur(image: Float, sigma: float) -> Float:
    if sigma == 0:
        return image
    blurred: Any = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32)

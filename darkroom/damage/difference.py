"""What a retoucher repaired: the difference between a scan and its ground truth, made a mask.

The difference is freed of its median (a global shift of tone is no damage) and thresholded with
hysteresis, against its own noise: pairs that were re-encoded differ a little everywhere, and those
differences must not count as dust. All figures are in levels of an 8-bit picture.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]

CLEAN, DAMAGED, UNDECIDED = 0, 1, 2
"""What a pixel of a pair is; of undecided ones nothing is learnt about whether they are damaged."""

LEVELS = 255.0  # of 8 bits, from black to white
EIGHT = np.ones((3, 3), bool)
MAD_TO_SIGMA = 1.4826
MIN_PIXELS = 3


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Hysteresis on the absolute difference, in the units of the difference.

    Attributes:
        low: pixels above belong to an artefact if they touch one above `high`.
        high: pixels above start an artefact.
    """

    low: float
    high: float


def thresholds(noise: float, scale: float = 1.0) -> Thresholds:
    """Thresholds for a difference whose robust standard deviation is `noise`.

    Args:
        noise: in the units of the difference.
        scale: units of the difference in one 8-bit level (257 for uint16, 1/255 for [0, 1]).
    """
    return Thresholds(max(4.0 * scale, 4 * noise), max(10.0 * scale, 8 * noise))


def robust_noise(centred: NDArray[Any]) -> float:
    """1.4826 x the median absolute value: the standard deviation, blind to artefacts."""
    return float(MAD_TO_SIGMA * np.median(np.abs(centred)))


def tone_corrected(scan: NDArray[Any], gt: NDArray[Any]) -> NDArray[np.float32]:
    """`scan - gt` less its median (of each channel): float32, the shape of the inputs."""
    difference = np.asarray(scan, np.float32) - np.asarray(gt, np.float32)
    return difference - np.median(difference, axis=(0, 1)).astype(np.float32)


def hysteresis(weak: Bool, strong: Bool, min_pixels: int = MIN_PIXELS) -> Bool:
    """The 8-connected components of `weak` that hold a `strong` pixel and `min_pixels` in all."""
    from scipy import ndimage as ndi

    labels, count = ndi.label(weak, EIGHT)
    if not count:
        return weak
    keep = np.zeros(count + 1, bool)
    keep[np.unique(labels[strong & weak])] = True
    keep[0] = False
    keep &= np.bincount(labels.ravel(), minlength=count + 1) >= min_pixels
    mask: Bool = keep[labels]
    return mask


def artefact_mask(scan: NDArray[Any], gt: NDArray[Any], *, scale: float = 1.0) -> Bool:
    """Pixels that the retoucher repaired.

    Args:
        scan: (H, W) or (H, W, C), any real type.
        gt: the same picture without its artefacts, same shape.
        scale: units of the pictures in one 8-bit level: 1 for 0..255, 257 for uint16 values,
            1/255 for values in [0, 1].

    Returns:
        (H, W) bool; a pixel counts when any channel differs.

    Raises:
        ValueError: if the shapes differ.
    """
    if scan.shape != gt.shape:
        raise ValueError(f"shapes differ: {scan.shape} and {gt.shape}")
    difference = tone_corrected(scan, gt)
    planes = difference[..., None] if difference.ndim == 2 else difference
    weak = np.zeros(planes.shape[:2], bool)
    strong = np.zeros_like(weak)
    for channel in range(planes.shape[2]):
        plane = np.abs(planes[..., channel])
        limits = thresholds(robust_noise(plane), scale)
        weak |= plane > limits.low
        strong |= plane > limits.high
    return hysteresis(weak, strong)


def beyond_grain(scan: NDArray[Any], gt: NDArray[Any], mask: Bool) -> Bool:
    """The part of an artefact mask in which more than the grain differs.

    A healing brush puts other grain all over its disc, so that a speck retouched on coarse grain
    is marked as large as the brush was. What differs beyond grain shows in the difference once it
    is smoothed; a pixel around it belongs to it too.

    Args:
        scan: (H, W) or (H, W, C), in levels of 8 bits.
        gt: the same shape.
        mask: (H, W), as `artefact_mask` gives it.
    """
    from scipy import ndimage as ndi

    difference = tone_corrected(scan, gt)
    smooth = np.abs(cv2.GaussianBlur(difference, (0, 0), 0.8)).reshape(*mask.shape, -1).max(axis=2)
    size = np.abs(difference).reshape(*mask.shape, -1).max(axis=2)
    core = mask & (smooth > max(3.0, 1.6 * _grain(np.asarray(scan, np.float32))))
    core = ndi.binary_dilation(core, EIGHT) & mask & (size > 2.0)
    return hysteresis(core, core)


def _grain(scan: NDArray[np.float32], block: int = 16) -> float:
    """Standard deviation of the grain: of what varies fast, in the calmer blocks of the picture."""
    fast = np.abs(scan - cv2.GaussianBlur(scan, (0, 0), 1.5)).reshape(*scan.shape[:2], -1).mean(2)
    rows, columns = (max(1, n // block) for n in fast.shape)
    whole = fast[: rows * block, : columns * block]
    blocks = [
        b.mean() for row in np.array_split(whole, rows) for b in np.array_split(row, columns, 1)
    ]
    return 1.25 * float(np.quantile(blocks, 0.3))

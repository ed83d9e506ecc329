"""Where a scan departs from its surroundings more than they do themselves.

The frame is compared with two local medians, a fine one for specks and hairs and a coarse one for
blobs, and the difference is measured in units of the local mean absolute difference: grain and
texture raise the bar by themselves. Adapting the threshold to the neighbourhood before labelling
follows the local labelling of Bergman, Maurer, Nachlieli, Ruckenstein, Chase and Greig,
"Comprehensive solutions for removal of dust and scratches from images" (Journal of Electronic
Imaging 17(1), 2008).
"""

import numpy as np

from darkroom.protocols import Device, TileContract
from darkroom.scan import Bytes, Float, FrameStats, Tile
from darkroom_backends.classical.judge import Judge
from darkroom_backends.classical.options import ClassicalOptions
from darkroom_backends.classical.refine import refine_mask

Z_MAX = 24.0  # deviations that give a score of 1
HALF = 2  # the fine scale is this many times smaller than the scan: grain averages out
FINE = 7  # side of the fine median, in pixels of that scale
STEP = 4  # the coarse scale is this many times smaller
COARSE = 9  # side of the coarse median, in coarse pixels
LOCAL = 11  # side of the neighbourhood that deviation is measured against, in coarse pixels
HALO = 48  # half the coarse median, half of `LOCAL`, and what interpolation adds to each
MEAN_TO_SIGMA = 1.2533  # sqrt(pi / 2), of a normal distribution
FLOOR_LEVEL = 0.6  # least local deviation, in units of the frame's noise
FLOOR = 0.4 / 255  # and absolutely: below this 8-bit rounding rules


class ClassicalDetector:
    """Detector, judge and refiner of the backend `classical`."""

    margin = 24

    def __init__(self, options: ClassicalOptions | None = None, device: Device | None = None):
        self.options = options or ClassicalOptions()
        self.contract = TileContract(
            halo=HALO, multiple_of=STEP, tile=1024, channels="gray", workspace=48
        )

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """Deviations that a candidate needs: for its body, and for its strongest pixel."""
        high = np.interp(sensitivity, (0, 50, 100), (9.0, self.options.peak, 5.5))
        return self.options.body / Z_MAX, max(float(high), self.options.body) / Z_MAX

    def detect(self, tile: Tile, stats: FrameStats) -> Float:
        """Deviation from the surroundings, in units of theirs, over `Z_MAX`."""
        score = deviation(tile.luminance(), stats.noise, stats.polarity)
        return np.multiply(score, np.float32(1 / Z_MAX), out=score)

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """Confidence by the fitted trees; see `judge`."""
        return Judge.load().confidence(crop, stats, sensitivity)

    def refine(self, crop: Tile, stats: FrameStats) -> Bytes:
        """The component and its soft edge, down to the local noise."""
        assert crop.mask is not None
        return refine_mask(crop.luminance(), crop.mask, stats.noise)


def deviation(image: Float, noise: float, polarity: str = "both") -> Float:
    """How far each pixel is from its local median, in local standard deviations.

    Args:
        image: float32 (H, W) in [0, 1]; sides are multiples of `STEP`.
        noise: standard deviation of the frame's grain.
        polarity: "bright" or "dark" keeps one sign only.

    Returns:
        float32 (H, W), 0 to `Z_MAX`.
    """

    floor = max(FLOOR_LEVEL * noise, FLOOR)
    z = _in_local_units(image, _median(image, HALF, FINE), floor, polarity)
    coarse = _in_local_units(image, _median(image, STEP, COARSE), floor, polarity)
    np.maximum(z, coarse, out=z)
    return np.minimum(z, np.float32(Z_MAX), out=z)


def _median(image: Float, step: int, side: int) -> Float:
    """The local median over `side` x `side` cells of `step` x `step` averaged pixels."""
    import cv2

    height, width = image.shape
    reduced = cv2.resize(image, (width // step, height // step), interpolation=cv2.INTER_AREA)
    # A median of large support exists for bytes only; the picture itself keeps its precision.
    median = cv2.medianBlur(cv2.convertScaleAbs(reduced, alpha=255.0), side)
    smooth = median.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))


def _in_local_units(image: Float, smooth: Float, floor: float, polarity: str) -> Float:
    """The difference over its own mean magnitude near by, of the wanted sign."""
    import cv2

    height, width = image.shape
    size = cv2.absdiff(image, smooth)
    local = cv2.resize(size, (width // STEP, height // STEP), interpolation=cv2.INTER_AREA)
    local = cv2.blur(local, (LOCAL, LOCAL), borderType=cv2.BORDER_REFLECT_101)
    local = np.maximum(local * np.float32(MEAN_TO_SIGMA), np.float32(floor))
    local = cv2.resize(local, (width, height), interpolation=cv2.INTER_LINEAR)
    if polarity == "bright":
        size = np.maximum(image - smooth, 0)
    elif polarity == "dark":
        size = np.maximum(smooth - image, 0)
    return np.asarray(np.divide(size, local, out=local), np.float32)

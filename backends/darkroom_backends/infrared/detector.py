"""Dust by its shadow in infrared, where film is clear.

What the dyes and the lamp explain has been fitted to the frame (`darkroom.infrared`); here the rest
is measured in units of the frame's own noise, so that one sensitivity serves scanners whose noise
differs tenfold.
"""

import numpy as np

from darkroom.errors import InputError
from darkroom.infrared import log_transmission, mean3, noise_at
from darkroom.protocols import Device, TileContract
from darkroom.scan import Bytes, Float, FrameStats, InfraredStats, Tile
from darkroom_backends.infrared.options import InfraredOptions
from darkroom_backends.infrared.recover import divide

Z_MAX = 32.0  # deviations that give a score of 1
REACH = 4  # soft rims end within this many pixels
RIM_NOISE, RIM_PEAK = 2.0, 0.06  # a rim ends below these: deviations, share of the deepest pixel
HOLDER_LENGTH, HOLDER_WIDTH = 0.5, 0.02  # of a side of the frame; no dust is larger both ways


class InfraredDetector:
    """Detector, judge, refiner and recoverer of the backend `infrared`."""

    margin = 24

    def __init__(self, options: InfraredOptions | None = None, device: Device | None = None):
        self.options = options or InfraredOptions()
        self.contract = TileContract(
            halo=2, tile=1024, channels="any", workspace=96, needs=frozenset({"infrared"})
        )

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """Deviations that a candidate needs: for its body, and for its strongest pixel."""
        high = np.interp(sensitivity, (0, 50, 100), (16.0, self.options.peak, 4.5))
        return self.options.body / Z_MAX, max(float(high), self.options.body) / Z_MAX

    def detect(self, tile: Tile, stats: FrameStats) -> Float:
        """Darkness beyond that of clean film, in standard deviations over `Z_MAX`."""
        infrared = _needed(stats)
        lost = log_transmission(tile, infrared)
        luminance = tile.luminance()
        z = -lost / noise_at(luminance, infrared, infrared.noise)
        # Means show what is faint and large, single pixels what is thin.
        np.maximum(z, -mean3(lost) / noise_at(luminance, infrared, infrared.mean_noise), out=z)
        return np.asarray(np.clip(z * np.float32(1 / Z_MAX), 0, 1), np.float32)

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """0 for the film holder, which is as dark as dust, else 1."""
        assert crop.mask is not None
        length = max(crop.core.width / stats.frame.width, crop.core.height / stats.frame.height)
        longer = max(crop.core.width, crop.core.height)
        width = float((crop.mask > 0).sum()) / longer
        side = min(stats.frame.width, stats.frame.height)
        return 0.0 if length > HOLDER_LENGTH and width > HOLDER_WIDTH * side else 1.0

    def refine(self, crop: Tile, stats: FrameStats) -> Bytes:
        """The component and its soft rim, and one pixel more."""
        import cv2

        assert crop.mask is not None
        infrared = _needed(stats)
        smooth = -mean3(log_transmission(crop, infrared))
        deepest = float(smooth[crop.mask > 0].max())
        noise = RIM_NOISE * noise_at(crop.luminance(), infrared, infrared.mean_noise)
        soft = (smooth > np.maximum(noise, RIM_PEAK * deepest)).astype(np.uint8) * 255
        kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)), np.uint8)
        grown = crop.mask
        for _ in range(REACH - 1):
            grown = crop.mask | (cv2.dilate(grown, kernel) & soft)
        return np.asarray(cv2.dilate(grown, np.ones((3, 3), np.uint8)), np.uint8)

    def recover(self, crop: Tile, fill: Float, stats: FrameStats) -> Float:
        """The fill, with the film itself wherever it shows through; see `recover`."""
        return divide(crop, fill, _needed(stats), self.options.thinnest)


def _needed(stats: FrameStats) -> InfraredStats:
    """The infrared's stats.

    Raises:
        InputError: the run has no infrared.
    """
    if stats.infrared is None:
        raise InputError("the backend infrared needs a scan with an infrared channel")
    return stats.infrared

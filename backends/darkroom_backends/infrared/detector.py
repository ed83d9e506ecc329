"""Dust by its shadow in infrared, where film is clear.

What the dyes and the lamp explain has been fitted to the frame (`darkroom.infrared`); here the rest
is measured in units of the frame's own noise, so that one sensitivity serves scanners whose noise
differs tenfold.
"""

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.infrared import deviations, log_light, log_transmission, mean3
from darkroom.protocols import Device, TileContract
from darkroom.scan import Bytes, Float, FrameStats, InfraredStats, Tile
from darkroom_backends.infrared.options import InfraredOptions
from darkroom_backends.infrared.recover import divide

Z_MAX = 32.0  # deviations that give a score of 1
LEAST = 0.0075  # log transmission that counts as a deviation; 7 of them are the least one sees
REACH = 4  # soft rims end within this many pixels
MARGIN = 24  # pixels about a candidate that are looked at; as tiles hold them, most need no other
# A rim ends below these: deviations, share of the deepest pixel, and what nobody sees.
RIM_NOISE, RIM_PEAK, RIM_LEAST = 2.0, 0.06, 0.03
LARGE, THIN = 400, 0.6  # pixels, transmission: too large to be filled while film shows through
SHADE = -0.1  # log transmission of pixels nearby that count as clean
PAINT_ERROR = 0.3  # of a fill, as a share of the spread of log light about it
HOLDER_LENGTH, HOLDER_WIDTH = 0.5, 0.02  # of a side of the frame; no dust is larger both ways


class InfraredDetector:
    """Detector, judge, refiner and recoverer of the backend `infrared`."""

    margin = MARGIN

    def __init__(self, options: InfraredOptions | None = None, device: Device | None = None):
        self.options = options or InfraredOptions()
        self.contract = TileContract(
            halo=MARGIN, tile=1024, channels="any", workspace=96, needs=frozenset({"infrared"})
        )

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """Deviations that a candidate needs: for its body, and for its strongest pixel."""
        high = np.interp(sensitivity, (0, 50, 100), (16.0, self.options.peak, 4.5))
        return self.options.body / Z_MAX, max(float(high), self.options.body) / Z_MAX

    def detect(self, tile: Tile, stats: FrameStats) -> Float:
        """Darkness beyond that of clean film, in standard deviations over `Z_MAX`."""
        # Means show what is faint and large, single pixels what is thin.
        z = np.maximum(*deviations(tile, _needed(stats), LEAST))
        return np.asarray(np.clip(z * np.float32(1 / Z_MAX), 0, 1), np.float32)

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """0 for the film holder, and for what is better left than painted over; else 1."""
        assert crop.mask is not None
        inside = crop.mask > 0
        infrared = _needed(stats)
        divides = infrared.exponents and self.options.thinnest < 1
        if not divides and _better_left(crop, inside, mean3(log_transmission(crop, infrared))):
            return 0.0
        length = max(crop.core.width / stats.frame.width, crop.core.height / stats.frame.height)
        longer = max(crop.core.width, crop.core.height)
        width = np.count_nonzero(inside) / longer
        side = min(stats.frame.width, stats.frame.height)
        return 0.0 if length > HOLDER_LENGTH and width > HOLDER_WIDTH * side else 1.0

    def refine(self, crop: Tile, stats: FrameStats) -> Bytes:
        """The component and its soft rim, and one pixel more."""
        import cv2

        assert crop.mask is not None
        infrared = _needed(stats)
        smooth = -mean3(log_transmission(crop, infrared))
        _, mean = deviations(crop, infrared, 0.0)
        deepest = float(smooth[crop.mask > 0].max())
        soft = (smooth > max(RIM_PEAK * deepest, RIM_LEAST)) & (mean > RIM_NOISE)
        kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)), np.uint8)
        grown: Bytes = crop.mask
        for _ in range(REACH - 1):
            grown = np.maximum(crop.mask, np.where(soft, cv2.dilate(grown, kernel), 0))
        return np.asarray(cv2.dilate(grown, np.ones((3, 3), np.uint8)), np.uint8)

    def recover(self, crop: Tile, fill: Float, stats: FrameStats) -> Float:
        """The fill, with the film itself wherever it shows through; see `recover`."""
        return divide(crop, fill, _needed(stats), self.options.thinnest)


def _better_left(crop: Tile, inside: NDArray[np.bool_], lost: Float) -> bool:
    """Whether paint would be further from the film than the film, as it shows through, is.

    Paint is out by a share of what the surroundings vary by; film that shows through is dimmed,
    or brightened, by about its depth in infrared.
    """
    if np.count_nonzero(inside) > LARGE and np.percentile(lost[inside], 10) > np.log(THIN):
        return True
    about = ~inside & (lost > SHADE)
    if not about.any():
        return False
    varies = log_light(crop.image).mean(axis=2)[about].std()
    return bool(np.sqrt(np.mean(lost[inside] ** 2)) < PAINT_ERROR * varies)


def _needed(stats: FrameStats) -> InfraredStats:
    """The infrared's stats.

    Raises:
        InputError: the run has no infrared.
    """
    if stats.infrared is None:
        raise InputError("the backend infrared needs a scan with an infrared channel")
    return stats.infrared

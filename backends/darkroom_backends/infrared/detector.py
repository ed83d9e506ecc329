"""Dust by its shadow in infrared, where film is clear.

What the dyes and the lamp explain has been fitted to the frame (`darkroom.infrared`); here the rest
is measured in units of the frame's own noise, so that one sensitivity serves scanners whose noise
differs tenfold.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from darkroom.errors import InputError
from darkroom.infrared import deviations, log_light, log_transmission, mean3
from darkroom.protocols import Device, TileContract
from darkroom.scan import Bytes, Float, FrameStats, InfraredStats, Tile
from darkroom_backends.infrared.options import InfraredOptions
from darkroom_backends.infrared.recover import PATCH, divide

Z_MAX = 32.0  # deviations that give a score of 1
GROWTH = 4  # soft rims end within this many pixels
MARGIN = 24  # pixels about a candidate that are looked at; as tiles hold them, most need no other
# A rim ends below these: deviations, share of the deepest pixel, and what nobody sees.
RIM_NOISE, RIM_PEAK = 2.0, 0.03
UNSEEN = 0.015  # change of log light
SHADE = 2.0  # deviations of pixels nearby that count as clean
NEAR, FAR = 3, 9  # pixels about an artefact: its rim ends, what it is compared with ends
GHOST = 4.0  # standard errors by which the picture must deny what infrared shows
THIN = 3.0  # pixels from the rim to the middle of what may be a line of the picture
DEEPER = 3.0  # times darker than dust in infrared allows is a line of the picture
# Of what dyes take, by which they may take more than was thought; and where neither the exponents
# are known nor the place is thin, which leaves nothing but this to tell a flake by.
EXPLAINED, EXPLAINED_AREA, UNSURE = 0.6, 0.4, 0.3
PAINT_ERROR = 0.3  # of a fill, as a share of the spread of log light about it
LARGE, SHALLOW, FAINT = 400, -0.7, -0.25  # pixels, log transmission of what is large and not
PAINT_GRAIN = 0.08  # log light; what paint has of grain is another's
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
        z = np.maximum(*deviations(tile, _needed(stats)))
        return np.asarray(np.clip(z * np.float32(1 / Z_MAX), 0, 1), np.float32)

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """0 for the film holder, for what the picture denies or nobody sees, and for what is better
        left than painted over; else 1."""
        assert crop.mask is not None
        length = max(crop.core.width / stats.frame.width, crop.core.height / stats.frame.height)
        longer = max(crop.core.width, crop.core.height)
        width = np.count_nonzero(crop.mask) / longer
        side = min(stats.frame.width, stats.frame.height)
        if length > HOLDER_LENGTH and width > HOLDER_WIDTH * side:
            return 0.0
        seen = _seen(crop, _needed(stats))
        if seen is None:
            return 1.0
        return float(seen.shows() and not (self.options.thinnest >= 1 and seen.better_left()))

    def refine(self, crop: Tile, stats: FrameStats) -> Bytes:
        """The component and its soft rim, and one pixel more."""
        assert crop.mask is not None
        infrared = _needed(stats)
        smooth = -mean3(log_transmission(crop, infrared))
        _, mean = deviations(crop, infrared)
        deepest = float(smooth[crop.mask > 0].max())
        unseen = UNSEEN / max(1.0, float(np.abs(infrared.exponents).max()))
        soft = (smooth > max(RIM_PEAK * deepest, unseen)) & (mean > RIM_NOISE)
        kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)), np.uint8)
        grown: Bytes = crop.mask
        for _ in range(GROWTH - 1):
            grown = np.maximum(crop.mask, np.where(soft, cv2.dilate(grown, kernel), 0))
        return np.asarray(cv2.dilate(grown, np.ones((3, 3), np.uint8)), np.uint8)

    def recover(self, crop: Tile, fill: Float, stats: FrameStats) -> Float:
        """The fill, with the film itself wherever it shows through; see `recover`."""
        return divide(crop, fill, stats, self.options.thinnest)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the picture shows where infrared shows something.

    Attributes:
        change: log light inside beside that around, mean over the channels.
        doubt: standard error of that.
        depth: mean log transmission inside.
        deepest: least log transmission inside.
        exponent: of the frame, and its standard deviation.
        varies: standard deviation of log light around.
        thin: whether it is narrow all over.
        large: whether it is too large to be painted over while film shows through.
        slope: change of log infrared with log light of all channels alike, by the dyes.
    """

    change: float
    doubt: float
    depth: float
    deepest: float
    exponent: tuple[float, float]
    varies: float
    slope: float
    thin: bool
    large: bool

    def shows(self) -> bool:
        """Whether the picture has what infrared has, as far as can be told, and anybody sees it."""
        exponent, spread = self.exponent
        supposed = exponent * self.depth
        error = np.hypot(self.doubt, spread * self.depth)
        denied = abs(self.change) < abs(supposed) / 3
        if denied and abs(self.change - supposed) > GHOST * error:
            return False
        dyes = self.slope * self.change
        most = (abs(exponent) + 2 * spread) * abs(self.depth)
        unsure = spread > UNSURE * abs(exponent)
        explained = EXPLAINED_AREA if unsure and not self.thin else EXPLAINED
        if (
            dyes < 0
            and abs(self.depth) < explained * abs(dyes)
            and abs(self.change) > DEEPER * most
        ):
            # A dark detail of the picture, where the dyes take a little more than was thought.
            return False
        if (
            self.large
            and not unsure
            and dyes < 0
            and abs(self.change - supposed) > GHOST * self.varies
        ):
            return False  # a dark thing of the picture with an edge of its own
        # Even the strongest effect the frame allows stays below what anybody sees.
        strongest = (abs(exponent) + 2 * spread) * abs(self.deepest)
        return bool(strongest > UNSEEN or abs(self.change) > UNSEEN + 2 * self.doubt)

    def better_left(self) -> bool:
        """Whether paint would be further from the film than the film, as it shows through, is."""
        supposed = max(abs(self.exponent[0] * self.depth), abs(self.change))
        paint = max(PAINT_ERROR * self.varies, PAINT_GRAIN)
        shallow = self.deepest > (SHALLOW if self.large else FAINT)
        return bool(supposed < paint or shallow)


def _seen(crop: Tile, infrared: InfraredStats) -> _Seen | None:
    """A look at the picture, or None where nothing clean lies around."""
    assert crop.mask is not None
    lost = mean3(log_transmission(crop, infrared))
    inside = crop.mask > 0
    near, far = (
        cv2.dilate(crop.mask, np.ones((2 * reach + 1,) * 2, np.uint8)) > 0 for reach in (NEAR, FAR)
    )
    about = far & ~near & (lost > -SHADE * max(infrared.mean_noise))
    count = np.count_nonzero(about)
    if count < 20:
        return None
    light = log_light(crop.image).mean(axis=2)
    weights = -np.minimum(lost[inside], 0)
    total = float(weights.sum())
    if total <= 0:
        return None
    varies = float(light[about].std())
    witnesses = 1 / max(1.0, total / float(weights.max()) / PATCH) + 1 / max(1.0, count / PATCH)
    return _Seen(
        float((light[inside] * weights).sum()) / total - float(light[about].mean()),
        varies * witnesses**0.5 + 0.01,
        float((lost[inside] * weights).sum()) / total,
        float(lost[inside].min()),
        (float(np.mean(infrared.exponents)), infrared.exponent_doubt),
        varies,
        sum(infrared.crosstalk),
        bool(cv2.distanceTransform(crop.mask, cv2.DIST_L2, 3).max() <= THIN),
        bool(np.count_nonzero(inside) > LARGE),
    )


def _needed(stats: FrameStats) -> InfraredStats:
    """The infrared's stats.

    Raises:
        InputError: the run has no infrared.
    """
    if stats.infrared is None:
        raise InputError("the backend infrared needs a scan with an infrared channel")
    return stats.infrared

"""What a textbook of morphology would do about dust, and nothing besides.

White and black top-hats keep what is narrower than a disk and brighter or darker than its
surroundings, a hysteresis threshold on that contrast finds objects, the small and the large ones
are removed, and the biharmonic inpainter fills the rest. The thresholds are round numbers, fitted
to no picture: what a better backend gains over this one is what knowing more about dust is worth.

Sources: Meyer, "Contrast feature extraction" (1977), for the top-hat; Canny, "A computational
approach to edge detection" (1986), for the hysteresis threshold.
"""

from dataclasses import dataclass

import numpy as np

from darkroom.protocols import Device, TileContract
from darkroom.scan import Float, FrameStats, Tile

CONTRAST = {0: 0.4, 50: 0.2, 100: 0.1}  # of the strongest pixel, by sensitivity


@dataclass(frozen=True)
class BaselineOptions:
    """Options of the backend `baseline`.

    Attributes:
        radius: of the disk of the top-hats in pixels; what is wider than the disk is not found.
        min_area: fewest pixels of an artefact.
        max_area: most pixels of one; texture that holds together is larger.
    """

    radius: int = 5
    min_area: int = 4
    max_area: int = 1000


class Baseline:
    """Detector of the backend `baseline`."""

    margin = 1  # pixels around a candidate that `judge` is shown

    def __init__(self, options: BaselineOptions | None = None, device: Device | None = None):
        self.options = options or BaselineOptions()
        # An opening looks twice as far as its disk reaches.
        self.contract = TileContract(halo=2 * self.options.radius, channels="gray")

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """The limits of the hysteresis threshold, which darkroom applies across tiles."""
        high = float(np.interp(sensitivity, list(CONTRAST), list(CONTRAST.values())))
        return high / 2, high

    def detect(self, tile: Tile, stats: FrameStats) -> Float:
        """The higher of the two top-hats: contrast with what surrounds the pixel, 0 to 1."""
        from skimage.morphology import black_tophat, disk, white_tophat

        image = tile.luminance()
        footprint = disk(self.options.radius, decomposition="sequence")  # type: ignore[no-untyped-call]
        score = np.zeros_like(image)
        if stats.polarity != "dark":
            np.maximum(score, white_tophat(image, footprint), out=score)
        if stats.polarity != "bright":
            np.maximum(score, black_tophat(image, footprint), out=score)
        return score

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """Small objects are removed, and large ones; every other candidate is an artefact."""
        from skimage.morphology import remove_small_objects

        assert crop.mask is not None
        least, most = self.options.min_area, self.options.max_area
        kept = remove_small_objects(crop.mask > 0, max_size=least - 1, connectivity=2)
        return float(0 < np.count_nonzero(kept) <= most)

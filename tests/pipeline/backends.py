"""Small real backends for tests of the pipeline: a top-hat detector and a mean-value inpainter."""

import cv2
import numpy as np

from darkroom.pipeline.engine import Engine
from darkroom.protocols import Device, Restoration, TileContract


class TopHat:
    """Marks what is brighter than its surroundings."""

    def __init__(self, halo=16, **contract):
        self.contract = TileContract(halo=halo, tile=128, **contract)

    def thresholds(self, sensitivity):
        return 0.3, 0.5

    def detect(self, tile, stats):
        grey = np.ascontiguousarray(tile.luminance())
        kernel = np.ones((15, 15), np.uint8)
        return np.clip(3 * cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel), 0, 1)


class Picky(TopHat):
    """A top-hat detector that keeps only components of at least 12 pixels."""

    margin = 4

    def judge(self, crop, stats, sensitivity):
        return float((crop.mask > 0).sum() >= 12)


class RingMean:
    """Fills with the mean of the unmasked pixels of the crop."""

    contract = TileContract(halo=6)

    def fill(self, crop):
        out = crop.image.copy()
        clean = crop.mask == 0
        out[~clean] = crop.image[clean].mean(axis=0, dtype=np.float64) if clean.any() else 0
        return out


class BlurRestorer(TopHat):
    """Marks as TopHat does and offers a local median as the fill."""

    def restore(self, tiles, stats):
        return [Restoration(self.detect(t, stats), np.full_like(t.image, 0.25)) for t in tiles]


class Sociable(BlurRestorer):
    """A restorer that repairs what has company within 40 pixels, on whatever tile that lies."""

    margin = 40

    def judge(self, crop, stats, sensitivity):
        others = (crop.score >= self.thresholds(sensitivity)[0]) & (crop.mask == 0)
        near = np.abs(crop.image - crop.fill).max(axis=2)[others]
        assert (near > 0).all()  # the fill is there wherever something was found
        return float(others.sum() > 12)


def engine(finder=None, inpainter=None):
    return Engine(finder or TopHat(), inpainter or RingMean(), Device())

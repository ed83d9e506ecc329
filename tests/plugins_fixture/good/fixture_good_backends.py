"""Small real backends."""

from dataclasses import dataclass

import cv2
import numpy as np

from darkroom.protocols import TileContract


@dataclass(frozen=True)
class TopHatOptions:
    size: int = 15


class TopHat:
    def __init__(self, options, *, device):
        self.size = options.size
        self.contract = TileContract(halo=2 * options.size, tile=256)

    def thresholds(self, sensitivity):
        return 0.3, 0.8 - sensitivity / 200

    def detect(self, tile, stats):
        grey = np.ascontiguousarray(tile.luminance())
        kernel = np.ones((self.size, self.size), np.uint8)
        return np.clip(3 * cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel), 0, 1)


class RingMean:
    contract = TileContract(halo=6)

    def __init__(self, options, *, device):
        pass

    def fill(self, crop):
        out = crop.image.copy()
        clean = crop.mask == 0
        out[~clean] = crop.image[clean].mean(axis=0, dtype=np.float64) if clean.any() else 0
        return out

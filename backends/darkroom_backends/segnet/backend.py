"""SegNet as a restorer; see `darkroom_backends.redrawing`.

The network reaches some two hundred pixels to each side, further than its five pools let any
halo be cheap, so it sees cells of the scan through windows of their own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from darkroom.precision import computing
from darkroom_backends.redrawing import CELL, MARGIN, RedrawingOptions, RedrawingRestorer
from darkroom_backends.segnet.levels import expectation, likeliest
from darkroom_backends.segnet.model import SegNet, SegNetConfig

SLAB = 16  # rows that are classified at a time, so that their 257 values a pixel stay in the cache


class SegNetOptions(RedrawingOptions):
    """See `RedrawingOptions`; "full" gives every pixel its most likely of 256 levels."""

    __slots__ = ()


class SegNetRestorer(RedrawingRestorer[SegNet]):
    """See `darkroom_backends.redrawing.RedrawingRestorer`."""

    architecture = "segnet"

    def build(self, config: Mapping[str, Any]) -> SegNet:
        """The network that a weights file's header describes."""
        return SegNet(SegNetConfig(**config))

    def workspace(self) -> int:
        """Bytes of working memory for each pixel of a read window."""
        window = (CELL + 2 * MARGIN) ** 2
        features = 4 * 6 * self.module.config.stages[0][0]  # float32; six layers' worth at the peak
        logits = 4 * 4 * 257 * SLAB // (CELL + 2 * MARGIN)
        return 64 + (features + logits) * window // (3 * CELL) ** 2

    def draw(self, x: Tensor, whole: bool) -> Tensor:
        """The most likely level of each pixel for the whole, otherwise the expected one."""
        of = likeliest if whole else expectation
        with computing(self.device, self.precision):
            features = self.module.features(x)
            height = x.shape[2]
            parts = [
                of(self.module.rows(features, y, min(y + SLAB, height)))
                for y in range(0, height, SLAB)
            ]
        return torch.cat(parts, 2)

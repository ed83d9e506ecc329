"""The auto-encoder as a restorer; see `darkroom_backends.redrawing`."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from darkroom.precision import computing
from darkroom_backends.departures import BRIGHTEST
from darkroom_backends.redrawing import CELL, MARGIN, RedrawingOptions, RedrawingRestorer
from darkroom_backends.ssda.model import SSDA, STRIDE, SSDAConfig


class SSDAOptions(RedrawingOptions):
    """See `RedrawingOptions`; "full" is the mean of the restored patches everywhere."""

    __slots__ = ()


class SSDARestorer(RedrawingRestorer[SSDA]):
    """See `darkroom_backends.redrawing.RedrawingRestorer`."""

    architecture = "ssda"

    def build(self, config: Mapping[str, Any]) -> SSDA:
        """The network that a weights file's header describes."""
        return SSDA(SSDAConfig(**config))

    def workspace(self) -> int:
        """Bytes of working memory for each pixel of a read window."""
        window = (CELL + 2 * MARGIN) ** 2
        patches = 4 * 4 * (self.module.config.patch // STRIDE) ** 2  # float32; four copies
        return 96 + (patches + 64) * window // (3 * CELL) ** 2

    def draw(self, x: Tensor, whole: bool) -> Tensor:
        """The mean of overlapping patches, restored: the same for the whole."""
        with computing(self.device, self.precision):
            return self.module.redraw(x).float() * BRIGHTEST

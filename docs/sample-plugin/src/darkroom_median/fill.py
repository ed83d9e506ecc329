"""The inpainter itself; imported when it is first used."""

from dataclasses import dataclass

import numpy as np

from darkroom.protocols import Device, TileContract
from darkroom.scan import Float, Tile


@dataclass(frozen=True)
class MedianOptions:
    """Options, set with `--option median:ring=9`.

    Attributes:
        ring: how far around the artefact to look, in pixels.
    """

    ring: int = 6

    def __post_init__(self) -> None:
        if not 1 <= self.ring <= 64:
            raise ValueError(f"ring must be 1 to 64, not {self.ring}")


class MedianFill:
    """Fills an artefact with the median of its surroundings, channel by channel."""

    def __init__(self, options: MedianOptions, *, device: Device) -> None:
        # darkroom cuts crops with this much around each artefact.
        self.contract = TileContract(halo=options.ring)

    def fill(self, crop: Tile) -> Float:
        """The crop with the pixels under its mask replaced: float32 (H, W, C)."""
        assert crop.mask is not None
        filled = crop.image.copy()
        hole = crop.mask > 0
        if not hole.all():
            filled[hole] = np.median(crop.image[~hole], axis=0)
        return filled

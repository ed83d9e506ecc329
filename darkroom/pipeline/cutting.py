"""Cutting tiles and crops out of a scan, its mask and its scores."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from darkroom.geometry import Window
from darkroom.io.scratch import Spool
from darkroom.pipeline.codec import Codec
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.scan import Bytes, Float, Scan, Tile, read_padded


@dataclass(frozen=True, slots=True)
class Cutter:
    """Reads a scan the way backends want to see it.

    Attributes:
        scan: the pixels.
        codec: their encoding.
        infrared: the infrared plane, laid over the picture, or None.
    """

    scan: Scan
    codec: Codec
    infrared: InfraredPlane | None = None

    def tile(
        self,
        core: Window,
        read: Window,
        channels: Literal["gray", "rgb", "any"] = "any",
        mask: Bytes | None = None,
    ) -> Tile:
        """The tile of `read`, mirrored where it sticks out of the image."""
        info = self.scan.info
        samples = read_padded(self.scan.read, info.width, info.height, read)
        image = as_channels(self.codec.encode(samples[..., : info.channels]), channels)
        infrared = None if self.infrared is None else self.infrared.padded(read)
        return Tile(core, read, image, mask, infrared)


def as_channels(image: Float, channels: Literal["gray", "rgb", "any"]) -> Float:
    """The image with the number of channels a contract asks for."""
    if channels == "gray" and image.shape[2] == 3:
        mean: Float = image.mean(axis=2, keepdims=True, dtype=np.float32)
        return mean
    if channels == "rgb" and image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image


def read_plane(spool: Spool, window: Window) -> Bytes:
    """One-sample pixels of a window that may stick out: uint8 (H, W), mirrored outside."""
    plane: Bytes = read_padded(spool.read, spool.width, spool.height, window)[..., 0]
    return plane

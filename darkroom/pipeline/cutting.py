"""Cutting tiles and crops out of a scan, its mask and its scores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.scan import Bytes, Float, Pixels, Scan, Tile, luminance, read_padded


class Held:
    """Rows of a scan or spool kept in memory; whatever else is asked for is read as before.

    Args:
        read: gives the pixels of a window inside the image.
        rows: the window to keep.
    """

    def __init__(self, read: Callable[[Window], Pixels], rows: Window) -> None:
        self._read, self._rows = read, rows
        self._pixels = read(rows)

    def read(self, window: Window) -> Pixels:
        """The pixels of a window inside the image, for the caller to keep."""
        if not self._rows.contains(window):
            return self._read(window)
        return self._pixels[window.relative_to(self._rows).slices].copy()


@dataclass(frozen=True, slots=True)
class Cutter:
    """Reads a scan the way backends want to see it.

    Attributes:
        scan: the pixels.
        codec: their encoding.
        infrared: the infrared plane, laid over the picture, or None.
        rows: some rows of the scan in memory.
    """

    scan: Scan
    codec: Codec
    infrared: InfraredPlane | None = None
    rows: Held | None = None

    def tile(
        self,
        core: Window,
        read: Window,
        channels: Literal["gray", "rgb", "any"] = "any",
        mask: Bytes | None = None,
    ) -> Tile:
        """The tile of `read`, mirrored where it sticks out of the image."""
        info = self.scan.info
        source = self.rows or self.scan
        samples = read_padded(source.read, info.width, info.height, read)
        image = as_channels(self.codec.encode(samples[..., : info.channels]), channels)
        infrared = None if self.infrared is None else self.infrared.padded(read)
        inside = read.clip(info.width, info.height)
        return Tile(core, read, image, mask, infrared, inside=inside)


def part_of(tile: Tile, core: Window, read: Window, mask: Bytes) -> Tile:
    """The part of a tile within `read`, which answers for `core` and has a mask."""
    part = read.relative_to(tile.read).slices
    infrared = None if tile.infrared is None else tile.infrared[part].copy()
    inside = read.intersect(tile.inside or tile.read)
    return Tile(core, read, tile.image[part].copy(), mask, infrared, inside=inside)


def as_channels(image: Float, channels: Literal["gray", "rgb", "any"]) -> Float:
    """The image with the number of channels a contract asks for."""
    if channels == "gray" and image.shape[2] == 3:
        return luminance(image)[..., None]
    if channels == "rgb" and image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image


def read_plane(read: Callable[[Window], Pixels], width: int, height: int, window: Window) -> Bytes:
    """One-sample pixels of a window that may stick out: uint8 (H, W), mirrored outside."""
    plane: Bytes = read_padded(read, width, height, window)[..., 0]
    return plane

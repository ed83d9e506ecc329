"""Scans as backends see them, for tiles to be cut from."""

from dataclasses import replace

import numpy as np

from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.survey import float_white
from darkroom.scan import ColorProfile, Encoding, Pixels, Scan, ScanView


def as_seen(scan: Scan) -> Scan:
    """The scan, gamma-encoded in 16 bits if it is linear or inverted, otherwise as it is."""
    codec = Codec.of(scan.info, float_white(scan))
    if codec.linear or scan.info.photometric == "miniswhite":
        return EncodedScan(scan, codec)
    return scan


class EncodedScan(ScanView):
    """The picture of a scan as backends see it, in 16 bits; closes the scan with itself.

    Args:
        scan: the scan.
        codec: its encoding.
    """

    def __init__(self, scan: Scan, codec: Codec) -> None:
        self._codec = codec
        info = replace(
            scan.info,
            extra=0,
            extra_kinds=(),
            dtype=np.dtype(np.uint16),
            photometric="rgb" if scan.info.channels == 3 else "minisblack",
            profile=ColorProfile(None, Encoding.GAMMA, "encoded for training"),
        )
        super().__init__(scan, info)

    def _read(self, window: Window) -> Pixels:
        """uint16 (H, W, C), gamma-encoded."""
        image = self._codec.encode(self._scan.read(window)[..., : self.info.channels])
        return np.asarray(np.rint(image * np.float32(65535)), np.uint16)

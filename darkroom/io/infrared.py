"""The infrared plane of a scan as a grey scan of its own, wherever it is stored.

Layouts: VueScan's RGBI (a further sample of the picture), SilverFast HDRi (a grey page with
`NewSubfileType` 4), and a file beside the scan (NAME_IR.tif or NAME-ir.tif).
"""

import os
from dataclasses import replace
from pathlib import Path

from darkroom.geometry import Window
from darkroom.io.registry import CACHE_BYTES, MAX_PIXELS, open_scan
from darkroom.io.scratch import Scratch
from darkroom.metadata import Metadata
from darkroom.scan import ColorProfile, Encoding, Pixels, Plane, Scan, ScanInfo, ScanView

SIDECAR_ENDINGS = ("_IR", "-ir", "_ir", "-IR")


class SampleScan(ScanView):
    """One sample of a scan, seen as a grey scan; closes the scan with itself."""

    def __init__(self, scan: Scan, sample: int) -> None:
        self._sample = sample
        info = replace(
            scan.info,
            channels=1,
            extra=0,
            extra_kinds=(),
            photometric="minisblack",
            profile=ColorProfile(None, Encoding.LINEAR),
            metadata=Metadata(),
            infrared=None,
        )
        super().__init__(scan, info)

    def _read(self, window: Window) -> Pixels:
        """The sample over a window: (height, width, 1)."""
        return self._scan.read(window)[..., self._sample : self._sample + 1]


def find_sidecar(path: Path) -> Path | None:
    """The infrared file beside a scan: NAME_IR.tif or NAME-ir.tif, in either case."""
    for ending in SIDECAR_ENDINGS:
        for suffix in dict.fromkeys((path.suffix, ".tif", ".tiff", ".TIF")):
            beside = path.with_name(path.stem + ending + suffix)
            if os.path.isfile(beside) and beside != path:  # noqa: PTH113  # never raises
                return beside
    return None


def open_infrared(
    info: ScanInfo,
    *,
    cache_bytes: int = CACHE_BYTES,
    max_pixels: int = MAX_PIXELS,
    scratch: Scratch | None = None,
) -> Scan | None:
    """The infrared plane of a scan: the one in its file, else a file beside it, else None.

    The plane of a file beside the scan may have another size than the scan.

    Raises:
        InputError: if the plane is there but cannot be read.
    """
    plane = info.infrared
    if plane is None:
        sidecar = find_sidecar(info.path)
        if sidecar is None:
            return None
        plane = Plane("file", 0, sidecar, 0, 0)
    if plane.where == "page":
        from darkroom.io.tiff.open import open_tiff

        return open_tiff(
            plane.path,
            page_number=plane.index,
            cache_bytes=cache_bytes,
            max_pixels=max_pixels,
            scratch=scratch or Scratch(),
        )
    scan = open_scan(plane.path, cache_bytes=cache_bytes, max_pixels=max_pixels, scratch=scratch)
    return SampleScan(scan, plane.index)

"""A small upright picture of a scan, for a look at what the file holds."""

from pathlib import Path

import numpy as np

from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.io import create_scan
from darkroom.io.guard import prepare
from darkroom.orientation import upright
from darkroom.pipeline.survey import float_white
from darkroom.scan import Bytes, ColorProfile, Encoding, Scan, ScanInfo

LONGEST = 512  # pixels


def thumbnail(scan: Scan, longest: int = LONGEST) -> Bytes:
    """The picture, averaged down and upright: uint8 (h, w, 1 or 3), gamma-encoded.

    Samples are shown as they are: a negative stays one.

    Raises:
        InputError: the pixels cannot be read.
    """
    info = scan.info
    codec = Codec.of(info, float_white(scan))
    step = max(1, -(-max(info.width, info.height) // longest))
    columns = np.arange(0, info.width, step)
    rows = []
    for y in range(0, info.height, step):
        height = min(step, info.height - y)
        band = codec.encode(scan.read(Window(0, y, info.width, height))[..., : info.channels])
        sums = np.add.reduceat(band.mean(axis=0, dtype=np.float64), columns, axis=0)
        rows.append(sums / np.diff(np.append(columns, info.width))[:, None])
    image = np.rint(np.stack(rows) * 255).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(upright(image, info.orientation))


def write_preview(scan: Scan, path: Path, *, overwrite: bool = False) -> None:
    """Write the thumbnail of a scan as a picture of its own.

    Raises:
        InputError: the pixels cannot be read.
        OutputError: the file exists, is the scan, or cannot be written.
        UsageError: the suffix names no format for it.
    """
    prepare([path], [scan.info.path])
    image = thumbnail(scan)
    info = ScanInfo(
        path,
        "png",
        image.shape[1],
        image.shape[0],
        image.shape[2],
        np.dtype(np.uint8),
        photometric="rgb" if image.shape[2] == 3 else "minisblack",
        profile=ColorProfile(None, Encoding.GAMMA),
    )
    with create_scan(path, info, overwrite=overwrite) as sink:
        sink.write_rows(image)
        sink.commit()

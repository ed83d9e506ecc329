"""Pictures, their descriptions and copies of files, for the tests of input and output."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.geometry import bands
from darkroom.io import create_scan, open_scan
from darkroom.scan import ScanInfo


def make_picture(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Smooth with noise, so that predictors and filters all get work; full range of the dtype."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 1, shape), axis=1)
    walk = (walk - walk.min()) / max(float(np.ptp(walk)), 1e-9)
    if np.dtype(dtype).kind == "f":
        return walk.astype(dtype)
    return (walk * np.iinfo(dtype).max).round().astype(dtype)


def make_info(pixels: np.ndarray, **changes: Any) -> ScanInfo:
    """A description of (H, W, S) pixels that come from no file."""
    height, width, samples = pixels.shape
    channels = 3 if samples >= 3 else 1
    info = ScanInfo(
        path=Path("none"),
        format="tiff",
        width=width,
        height=height,
        channels=channels,
        dtype=pixels.dtype,
        extra=samples - channels,
        photometric="rgb" if channels == 3 else "minisblack",
        extra_kinds=(2,) * (samples - channels),
    )
    return replace(info, **changes)


def write_scan(
    path: Path, info: ScanInfo, pixels: np.ndarray, step: int = 7, **options: Any
) -> tuple[Path, list[str]]:
    """Write pixels in pieces of `step` rows; returns the path and the losses."""
    with create_scan(path, info, **options) as sink:
        for y in range(0, len(pixels), step):
            sink.write_rows(pixels[y : y + step])
        return sink.commit(), list(sink.losses)


def copy_scan(source: Path, target: Path, **options: Any) -> list[str]:
    """Copy a scan through reader and writer; returns the losses."""
    with open_scan(source) as scan, create_scan(target, scan.info, **options) as sink:
        for window in bands(scan.info.width, scan.info.height, 13):
            sink.write_rows(scan.read(window))
        sink.commit()
        return sink.losses


def read_all(path: Path, **options: Any) -> np.ndarray:
    """All pixels of a scan."""
    with open_scan(path, **options) as scan:
        return scan.read(scan.info.window)

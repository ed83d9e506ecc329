"""Pictures, files and copies that the tests of input and output share."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from darkroom.geometry import bands
from darkroom.io import create_scan, open_scan
from darkroom.scan import Scan, ScanInfo

Picture = Callable[..., np.ndarray]


def make_picture(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Smooth with noise, so that predictors and filters all get work; full range of the dtype."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 1, shape), axis=1)
    walk = (walk - walk.min()) / max(float(np.ptp(walk)), 1e-9)
    if np.dtype(dtype).kind == "f":
        return walk.astype(dtype)
    return (walk * np.iinfo(dtype).max).round().astype(dtype)


@pytest.fixture
def picture() -> Picture:
    return make_picture


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


@pytest.fixture
def info_of() -> Callable[..., ScanInfo]:
    return make_info


def write_scan(path: Path, info: ScanInfo, pixels: np.ndarray, step: int = 7, **options: Any):
    """Write pixels in pieces of `step` rows; returns (path, losses)."""
    with create_scan(path, info, **options) as sink:
        for y in range(0, len(pixels), step):
            sink.write_rows(pixels[y : y + step])
        return sink.commit(), list(sink.losses)


@pytest.fixture
def write() -> Callable[..., Any]:
    return write_scan


@pytest.fixture
def copy() -> Callable[..., list[str]]:
    """Copy a scan through reader and writer; returns the losses."""

    def copy(source: Path, target: Path, **options: Any) -> list[str]:
        with open_scan(source) as scan, create_scan(target, scan.info, **options) as sink:
            for window in bands(scan.info.width, scan.info.height, 13):
                sink.write_rows(scan.read(window))
            sink.commit()
            return sink.losses

    return copy


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Scan]]:
    """Open scans that are closed after the test."""
    scans = []

    def opened(path: Path, **options: Any) -> Scan:
        scans.append(open_scan(path, **options))
        return scans[-1]

    yield opened
    for scan in scans:
        scan.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    if not done:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)

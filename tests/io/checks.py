"""What darkroom makes of a file of each layout, as the columns of the table in docs/formats.md.

Tests assert every cell; `python docs/generate.py` prints the same cells into the page.
"""

import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
import tifffile
from layouts import LAYOUTS, Expected, Layout
from pictures import copy_scan
from PIL import Image

from darkroom.errors import DarkroomError
from darkroom.io import open_infrared, open_scan

# The large pictures take 38 MiB (one sample of 16 bits) to 153 MiB; camera raw needs less to tell.
SMALL, LARGE, LARGE_RAW = (60, 80), (4000, 5000), (1600, 2000)
CACHE = 4 << 20  # bytes of decoded pixels that a reader may keep in the streaming check
STREAMS_BELOW = 36 << 20  # bytes of growth
PNG_TAGS = (271, 272)


@dataclass
class Cells:
    """One row of the table; None where there is nothing to find."""

    opens: bool = False
    infrared: bool | None = None
    exact: bool = False
    tags: bool | None = None
    streams: bool | None = None


def developed(path: Path) -> np.ndarray:
    """What LibRaw itself makes of a camera's file."""
    with rawpy.imread(str(path)) as raw:
        pixels = raw.postprocess(
            use_camera_wb=True, no_auto_bright=True, gamma=(1, 1), output_bps=16, user_flip=0
        )
    return pixels.reshape(*pixels.shape[:2], -1)


def check(layout: Layout, folder: Path) -> Cells:
    """Write a file, read it, copy it through the writer, and look at all of it."""
    path = folder / layout.name
    expected = layout.write(path, SMALL)
    try:
        return _look(path, expected, folder / f"copy-{layout.name}")
    except DarkroomError:
        return Cells(infrared=None if expected.infrared is None else False)


def _look(path: Path, expected: Expected, copy: Path) -> Cells:
    target = copy.with_suffix(".png" if path.suffix == ".png" else ".tif")
    truth = developed(path) if expected.pixels is None else expected.pixels
    copy_scan(path, target)
    exact = True
    for name in (path, target):
        with open_scan(name) as scan:
            exact &= np.array_equal(scan.read(scan.info.window), truth)
    found = None
    if expected.infrared is not None:
        found = _infrared(path) is not None and np.array_equal(_infrared(path), expected.infrared)
        if expected.where != "file":  # that stays where it is
            carried = _infrared(target)
            found = found and carried is not None and np.array_equal(carried, expected.infrared)
    tags = _kept(target, expected.tags) if expected.tags else None
    return Cells(True, found, exact, tags)


def _infrared(path: Path) -> np.ndarray | None:
    with open_scan(path) as scan:
        plane = open_infrared(scan.info)
        if plane is None:
            return None
        with plane:
            return plane.read(plane.info.window)[..., 0]


def _kept(path: Path, tags: dict[int, Any]) -> bool:
    """Whether another reader finds each tag with its value."""
    if path.suffix == ".png":
        exif = Image.open(path).getexif()
        return all(exif.get(code) == value for code, value in tags.items() if code in PNG_TAGS)
    with tifffile.TiffFile(path) as tif:
        found = tif.pages[0].tags
        return all(code in found and found[code].value == value for code, value in tags.items())


def growth(path: Path) -> int:
    """Bytes by which a fresh process grows at most while it reads a file in bands of rows.

    Raises:
        RuntimeError: the process failed.
    """
    command = [sys.executable, __file__, "--read", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return int(done.stdout)


def streams(layout: Layout, folder: Path) -> bool:
    """Whether a large file of the layout is read in memory that its size does not decide."""
    path = folder / f"large-{layout.name}"
    layout.write(path, LARGE_RAW if "raw," in layout.title else LARGE)
    try:
        return growth(path) < STREAMS_BELOW
    finally:
        path.unlink()


def _read(path: Path) -> int:
    """Growth of the peak of this process, from before the file is opened, in bytes."""
    from darkroom.geometry import bands

    before = _status("VmRSS")
    with open_scan(path, cache_bytes=CACHE) as scan:
        for window in bands(scan.info.width, scan.info.height, 64):
            scan.read(window)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """A figure of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def table() -> list[dict[str, Any]]:
    """All rows: the title of each layout and its cells."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for layout in LAYOUTS:
            cells = check(layout, folder)
            cells.streams = streams(layout, folder)
            rows.append({"layout": layout.title, **asdict(cells)})
    return rows


if __name__ == "__main__":
    sys.stdout.write(str(_read(Path(sys.argv[2]))))

"""Speed and memory of `darkroom clean` beside a plain OpenCV pipeline, in one run.

    python benchmarks/clean_speed.py [--megapixels 50] [--channels 1] [--density 15] [--runs 3]

Both read the same 16-bit TIFF, find artefacts, fill them and write a 16-bit TIFF, each in a
process of its own, timed from its start to its end. A first run of each, which leaves Python's
byte code and the file's cache behind, is not counted. The peer is what many scripts do: difference
from a median, connected components by size, Navier-Stokes filling (OpenCV), whole image in memory.
Prints MP/s and peak resident memory of both, and the ratio of the medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

PEER = """
import sys
import cv2, numpy as np, tifffile
image = tifffile.imread(sys.argv[1])
out = image.copy()
planes = [image] if image.ndim == 2 else [image[..., c] for c in range(image.shape[2])]
grey = (np.mean(planes, axis=0) / 257).astype(np.uint8) if len(planes) > 1 else \
    (image // 257).astype(np.uint8)
difference = cv2.absdiff(grey, cv2.medianBlur(grey, 15))
count, labels, stats, _ = cv2.connectedComponentsWithStats((difference > 25).astype(np.uint8))
keep = (stats[:, cv2.CC_STAT_AREA] >= 4) & (stats[:, cv2.CC_STAT_AREA] < 5000)
keep[0] = False
mask = cv2.dilate(keep[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
for c, plane in enumerate(planes):
    filled = cv2.inpaint(np.ascontiguousarray(plane), mask, 3, cv2.INPAINT_NS)
    if image.ndim == 2:
        out = filled
    else:
        out[..., c] = filled
tifffile.imwrite(sys.argv[2], out, metadata=None)
"""

OURS = """
import sys
from pathlib import Path
from darkroom.options import CleanOptions, MachineOptions, OutputOptions, parse_size
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.request import Request
clean_file(Path(sys.argv[1]), Path(sys.argv[2]), Request(
    CleanOptions(backend=sys.argv[3]),
    MachineOptions(max_memory=parse_size(sys.argv[4])),
    OutputOptions(overwrite=True),
))
"""


def make_scan(
    path: Path, megapixels: float, channels: int, density: float, dpi: float | None = None
) -> None:
    """A 3:2 16-bit scan of soft shapes and grain, with `density` specks and hairs a megapixel."""
    rng = np.random.default_rng(7)
    height = int((megapixels * 1e6 / 1.5) ** 0.5)
    width = int(height * 1.5)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = 0.45 + 0.2 * np.sin(x / 900) * np.cos(y / 700)
    del y, x
    image += rng.standard_normal((height, width), np.float32) * np.float32(0.012)
    for _ in range(int(density * megapixels)):
        row, column = rng.integers(20, height - 60), rng.integers(20, width - 60)
        level = rng.uniform(0.8, 0.98)
        if rng.random() < 0.8:
            radius = rng.uniform(1.5, 5)
            yy, xx = np.mgrid[-8:9, -8:9]
            spot = np.clip(radius - np.hypot(yy, xx) + 0.5, 0, 1)
            part = image[row - 8 : row + 9, column - 8 : column + 9]
            part += spot * (level - part)
        else:
            t = np.linspace(0, 1, 120)
            rows = (row + 40 * t).astype(int)
            columns = (column + 40 * t**2).astype(int)
            image[rows, columns] = image[rows, columns + 1] = level
    samples = (np.clip(image, 0, 1) * 65535).astype(np.uint16)
    if channels == 3:
        samples = np.stack([samples, samples, samples], axis=2)
    resolution = {"resolution": (dpi, dpi), "resolutionunit": "INCH"} if dpi else {}
    photometric = "rgb" if channels == 3 else None
    tifffile.imwrite(path, samples, photometric=photometric, metadata=None, **resolution)


def timed(code: str, *arguments: str) -> tuple[float, float]:
    """(seconds a process takes from start to end, its peak resident memory in MiB)."""
    # Python's byte code is kept, as an installed package has it.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], env=kept)
    peak, status = 0, Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
            peak = max([peak, *(int(s.split()[1]) for s in lines if s.startswith("VmHWM:"))])
        except OSError:
            pass
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"a run failed with exit status {process.returncode}")
    return seconds, peak / 1024


def main() -> None:
    """Make the scan, run both in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=50)
    parser.add_argument("--channels", type=int, choices=(1, 3), default=1)
    parser.add_argument("--density", type=float, default=15, help="artefacts a megapixel")
    parser.add_argument("--dpi", type=float, help="resolution that the scan says it has")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--backend", default="classical")
    parser.add_argument("--max-memory", default="2GiB")
    parser.add_argument("--no-peer", action="store_true", help="skip the OpenCV pipeline")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "scan.tif"), Path(folder, "out.tif")
        make_scan(source, given.megapixels, given.channels, given.density, given.dpi)
        print(f"{given.megapixels:g} MP x {given.channels} uint16, {given.density:g} artefacts/MP")
        ours, theirs = [], []
        files = str(source), str(target)
        for _ in range(1 + given.runs):
            ours.append(timed(OURS, *files, given.backend, given.max_memory))
            if not given.no_peer:
                theirs.append(timed(PEER, *files))
    ours, theirs = ours[1:], theirs[1:]
    rows = [(f"darkroom {given.backend}", ours), ("OpenCV median + Navier-Stokes", theirs)]
    for name, runs in rows:
        if runs:
            seconds = statistics.median(s for s, _ in runs)
            peak = max(p for _, p in runs)
            print(f"{name:32} {given.megapixels / seconds:6.2f} MP/s   peak {peak:6.0f} MiB")
    if theirs:
        ratio = statistics.median(b / a for (a, _), (b, _) in zip(ours, theirs, strict=True))
        print(f"darkroom is {ratio:.2f} times as fast (median of {given.runs} pairs)")


if __name__ == "__main__":
    main()

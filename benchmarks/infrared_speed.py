"""Speed of finding dust by infrared, beside OpenCV doing the filters alone, and memory.

    python benchmarks/infrared_speed.py --megapixels 24

A linear RGBI scan is made in a temporary folder and `darkroom detect` is run on it in a process of
its own, whose peak memory is printed. "filters" is what OpenCV needs on one thread, in the same run
and on pixels in memory, for the logarithms, the sums over the dyes, the 5 x 5 minimum and maximum
and the means over 3 x 3 that the detector takes; no reading, registration or judging.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import tifffile

PROGRAM = "from darkroom.cli.main import run; run()"
TILE = 1024


def made(path, megapixels):
    """A scan of 3 : 2 with 200 specks to a megapixel, written in strips."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(height * 1.5)
    rng = np.random.default_rng(0)
    scan = np.empty((height, width, 4), np.uint16)
    for top in range(0, height, 512):
        low = min(height, top + 512)
        y, x = np.mgrid[top:low, :width].astype(np.float32)
        for c in range(3):
            light = 0.25 + 0.12 * np.sin(x / 170 + c) * np.cos(y / 130)
            scan[top:low, :, c] = np.rint((light + rng.normal(0, 0.004, light.shape)) * 65535)
        scan[top:low, :, 3] = np.rint((0.75 + rng.normal(0, 0.002, y.shape)) * 65535)
    for y, x in zip(
        rng.integers(9, height - 9, round(200 * megapixels)),
        rng.integers(9, width - 9, round(200 * megapixels)),
        strict=True,
    ):
        scan[y - 2 : y + 2, x - 2 : x + 2] = scan[y - 2 : y + 2, x - 2 : x + 2] * 0.3
    options = {"photometric": "rgb", "extrasamples": ["unspecified"], "rowsperstrip": 64}
    tifffile.imwrite(path, scan, software="VueScan 9 x64 (9.7.50)", metadata=None, **options)
    return scan


def filters(scan):
    """Seconds that OpenCV needs for the filters alone, tile by tile, on one thread."""
    cv2.setNumThreads(1)
    kernel = np.ones((5, 5), np.uint8)
    started = time.perf_counter()
    for top in range(0, scan.shape[0], TILE):
        for left in range(0, scan.shape[1], TILE):
            logs = [
                cv2.log(cv2.max(plane.astype(np.float32), 1.0))
                for plane in cv2.split(scan[top : top + TILE, left : left + TILE])
            ]
            dyes = logs[0] * 0.06 + logs[1] * 0.02 + logs[2] * 0.01
            cv2.dilate(dyes, kernel)
            darkest = cv2.erode(cv2.blur(dyes, (3, 3)), kernel)
            cv2.erode(dyes, kernel)
            lost = cv2.subtract(logs[3], cv2.min(darkest, dyes))
            cv2.max(lost, cv2.blur(lost, (3, 3)))
    return time.perf_counter() - started


def main():
    """Print speeds and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--max-memory", default="1GiB")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.tif"
        scan = made(path, given.megapixels)
        mp = scan.shape[0] * scan.shape[1] / 1e6
        plain = filters(scan)
        del scan
        words = ["detect", path, "-o", Path(folder) / "mask.png", "--max-memory", given.max_memory]
        started = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, words)])
        _, status, usage = os.wait4(child.pid, 0)
        took = time.perf_counter() - started
        assert status == 0, "darkroom detect failed"
    print(f"{mp:.0f} MP: detect {mp / took:.1f} MP/s, peak memory {usage.ru_maxrss / 1024:.0f} MiB")
    print(f"OpenCV, the filters alone, one thread: {mp / plain:.1f} MP/s")


if __name__ == "__main__":
    main()

"""Clean scans of 10 to 600 megapixels and print speed and peak memory of each.

    python benchmarks/stream_clean.py --folder /somewhere/with/space --json results.json
    python benchmarks/stream_clean.py --chart docs/images/streaming.svg results.json

RGB uint16 BigTIFFs in strips and tiles, uncompressed and deflate, are written first and then
cleaned by the classical backend in a process of its own. Speed is given by the clock and by
processor time, since only the latter is comparable on a machine that does other work as well.
What a process takes before it comes to the first pixel, measured on scans of 0.01 MP, is left out
of speeds. The largest size needs three times 3.6 GB of disk.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from darkroom.geometry import bands
from darkroom.io import create_scan
from darkroom.metadata import Storage
from darkroom.scan import ScanInfo

LAYOUTS: dict[str, Storage] = {
    "strips, uncompressed": Storage(compression="none", rows_per_strip=16),
    "strips, deflate": Storage(compression="deflate", predictor=2, rows_per_strip=16),
    "tiles, uncompressed": Storage(compression="none", tile=(256, 256)),
    "tiles, deflate": Storage(compression="deflate", predictor=2, tile=(256, 256)),
}
MEGAPIXELS = (10.0, 50.0, 150.0, 600.0)
TIMES = ("seconds", "processor_seconds")
BAND, GRAIN = 64, 1024  # rows written at a time; side of the tile of grain that repeats
SPECKS = 30  # a megapixel
LINEAR = 0.8  # the slowest size over the fastest, by processor time
START, STARTS = 0.01, 3  # megapixels and number of runs that measure how long a process starts


def film(width: int, height: int) -> Iterator[np.ndarray]:
    """Bands of a smooth grainy picture with bright specks: uint16 (n, width, 3)."""
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 500, (GRAIN, GRAIN, 3)).astype(np.float32)
    grain = np.tile(grain, (1, -(-width // GRAIN), 1))[:, :width]
    across = 6000 * np.sin(np.arange(width, dtype=np.float32) / 900)[None, :, None]
    for window in bands(width, height, BAND):
        rows = np.arange(window.y, window.bottom)
        band = grain[rows % GRAIN] + across
        band += (26000 + 6000 * np.cos(rows / 700))[:, None, None].astype(np.float32)
        for _ in range(rng.poisson(SPECKS * window.area / 1e6)):
            centre = (int(rng.integers(width)), int(rng.integers(window.height)))
            cv2.circle(band, centre, int(rng.integers(1, 5)), (61000, 61000, 61000), -1)
        yield band.clip(0, 65535).astype(np.uint16)


def write(path: Path, storage: Storage, megapixels: float) -> tuple[int, int]:
    """A scan of 3:2 in a BigTIFF; returns its width and height."""
    width = round((megapixels * 1.5e6) ** 0.5)
    height = round(megapixels * 1e6 / width)
    info = ScanInfo(
        path, "tiff", width, height, 3, np.dtype(np.uint16), photometric="rgb", storage=storage
    )
    # BigTIFF is chosen by size, so smaller files are told of pages that never come.
    with create_scan(path, info, overwrite=True, more_bytes=1 << 32) as sink:
        for band in film(width, height):
            sink.write_rows(band)
        sink.commit()
    return width, height


def clean(source: Path, target: Path, memory: str) -> dict[str, float]:
    """Clean a scan in a process of its own; figures of its receipt and its processor time."""
    command = [sys.executable, "-m", "darkroom.cli.main", "clean", source, "-o", target]
    command += ["--backend", "classical"]
    command += ["--overwrite", "--json", "--max-memory", memory, "--scratch", source.parent]
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise SystemExit(done.stderr)
    receipt = json.loads(done.stdout)
    processor = sum(after[2:4]) - sum(before[2:4])
    return {
        "megapixels": receipt["megapixels"],
        "artefacts": receipt["artefacts"],
        "peak_mib": receipt["peak_memory"] / 2**20,
        "seconds": seconds,
        "processor_seconds": processor,
    }


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every layout at every size; one line of figures each as they come."""
    results = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, target = Path(folder) / "in.tif", Path(folder) / "out.tif"
        write(source, next(iter(LAYOUTS.values())), START)
        starts = [clean(source, target, options.max_memory) for _ in range(STARTS)]
        begin = {key: min(start[key] for start in starts) for key in TIMES}
        print(f"start {begin['seconds']:.2f} s, {begin['processor_seconds']:.2f} processor s")
        print(f"{'layout':22} {'MP':>6} {'peak MiB':>9} {'MP/s':>7} {'MP/cpu s':>9} {'found':>8}")
        for megapixels in options.megapixels or MEGAPIXELS:
            for name in options.layout or LAYOUTS:
                write(source, LAYOUTS[name], megapixels)
                row = {"layout": name, **clean(source, target, options.max_memory)}
                for key in TIMES:
                    row[f"mp_per_{key}"] = row["megapixels"] / (row[key] - begin[key])
                results.append(row)
                print(
                    f"{name:22} {megapixels:6.0f} {row['peak_mib']:9.0f} "
                    f"{row['mp_per_seconds']:7.2f} {row['mp_per_processor_seconds']:9.2f} "
                    f"{row['artefacts']:8}",
                    flush=True,
                )
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1) + "\n")
    return results


def table(results: list[dict[str, Any]]) -> str:
    """The figures as a table in Markdown."""
    lines = [
        "| storage | MP | peak memory | MP/s | MP a processor second |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['layout']} | {row['megapixels']:.0f} | {row['peak_mib']:.0f} MiB "
        f"| {row['mp_per_seconds']:.1f} | {row['mp_per_processor_seconds']:.1f} |"
        for row in results
    ]
    return "\n".join(lines)


def chart(results: list[dict[str, Any]], path: Path) -> None:
    """Time and peak memory against size, one line a layout."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "darkroom"
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for name in dict.fromkeys(row["layout"] for row in results):
        rows = [row for row in results if row["layout"] == name]
        sizes = [row["megapixels"] for row in rows]
        left.plot(sizes, [row["processor_seconds"] for row in rows], ".-", label=name)
        right.plot(sizes, [row["peak_mib"] for row in rows], ".-", label=name)
    left.set(xlabel="megapixels", ylabel="processor seconds", title="time")
    right.set(xlabel="megapixels", ylabel="MiB", title="peak memory", ylim=(0, 1100))
    right.axhline(1024, color="grey", linewidth=0.8, linestyle="--")
    left.legend(fontsize="x-small")
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Measure, or draw what was measured; 1 if memory or linearity are beyond their bounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, action="append", help="only these sizes")
    parser.add_argument("--layout", action="append", choices=list(LAYOUTS), help="only these")
    parser.add_argument("--folder", type=Path, help="where the files go")
    parser.add_argument("--max-memory", default="1000MiB")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--chart", type=Path, help="draw the figures of earlier runs")
    parser.add_argument("figures", type=Path, nargs="*", help="what --json wrote, for --chart")
    options = parser.parse_args()
    if options.chart:
        results = [row for path in options.figures for row in json.loads(path.read_text())]
        chart(results, options.chart)
        print(table(results))
        return 0
    results = measure(options)
    peak = max(row["peak_mib"] for row in results)
    good = peak < 1024
    print(f"largest peak {peak:.0f} MiB")
    for name in dict.fromkeys(row["layout"] for row in results):
        rows = [row for row in results if row["layout"] == name]
        for key in TIMES:
            speeds = [row[f"mp_per_{key}"] for row in rows]
            print(f"{name}: slowest / fastest size by {key}: {min(speeds) / max(speeds):.2f}")
            good &= key == "seconds" or min(speeds) / max(speeds) >= LINEAR
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())

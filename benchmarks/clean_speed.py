"""Speed and memory of `darkroom clean` beside what else there is, in one run.

    python benchmarks/clean_speed.py [--megapixels 50] [--channels 1] [--density 15] [--runs 3]
        [--only NAME ...] [--profile] [--network]

All read the same 16-bit TIFF and write another, each in a process of its own, in turn; a first run
of each, which leaves Python's byte code and the file's cache behind, is not counted. The yardstick
is what many scripts do: difference from a median, connected components by size, Navier-Stokes
filling (OpenCV), whole image in memory. "Dust & Scratches" is the filter of that name: where a
pixel departs from the median by more than a threshold, the median. The filters of ImageMagick and
libvips change every pixel that is no median; they stand here for their time alone, and only where
they are installed.

Prints, as medians of the runs, MP/s by the clock, processor seconds a megapixel, the largest
resident memory, and how many times the yardstick's processor time each takes. Ratios of processor
time hold on a busy machine; MP/s do not.

`--profile` adds where the time of each backend goes (`clean_stages.py`), `--network` what the
default network reaches of the machine's own rate of matrix multiplication (sgemm).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

YARDSTICK = """
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

DUST_AND_SCRATCHES = """
import sys
import cv2, numpy as np, tifffile
image = tifffile.imread(sys.argv[1])
threshold = 25 * 257
out = image.copy()
for c in range(1 if image.ndim == 2 else image.shape[2]):
    plane = image if image.ndim == 2 else np.ascontiguousarray(image[..., c])
    middle = cv2.medianBlur(plane, 5)
    changed = np.where(cv2.absdiff(plane, middle) > threshold, middle, plane)
    out[...] = changed if image.ndim == 2 else out
    if image.ndim == 3:
        out[..., c] = changed
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

BACKENDS = ("classical", "unet", "segnet")


def commands(source: Path, target: Path, memory: str) -> dict[str, list[str]]:
    """What is run, by name."""
    files = [str(source), str(target)]
    python = [sys.executable, "-c"]
    found = {f"darkroom {name}": [*python, OURS, *files, name, memory] for name in BACKENDS}
    found["OpenCV median + Navier-Stokes"] = [*python, YARDSTICK, *files]
    found["Dust & Scratches in OpenCV"] = [*python, DUST_AND_SCRATCHES, *files]
    if convert := shutil.which("convert"):
        found["ImageMagick despeckle"] = [convert, files[0], "-despeckle", files[1]]
    if vips := shutil.which("vips"):
        found["libvips rank 7 x 7"] = [vips, "rank", *files, "7", "7", "24"]
    return found


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
    if channels > 1:
        samples = np.stack([samples] * 3, axis=2)
    resolution = {"resolution": (dpi, dpi), "resolutionunit": "INCH"} if dpi else {}
    photometric = "rgb" if channels == 3 else None
    tifffile.imwrite(path, samples, photometric=photometric, metadata=None, **resolution)


def timed(command: list[str]) -> tuple[float, float, float]:
    """(seconds from start to end, processor seconds, peak resident memory in MiB) of a process."""
    # Python's byte code is kept, as an installed package has it.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=kept, stdout=subprocess.DEVNULL)
    # Not from `wait4`: that counts what the parent had when it forked.
    peak, status = 0, Path(f"/proc/{process.pid}/status")
    while True:
        ended, code, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        lines = status.read_text().splitlines()
        peak = max([peak, *(int(s.split()[1]) for s in lines if s.startswith("VmHWM:"))])
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with exit status {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, peak / 1024


def network_rate(side: int = 1024, runs: int = 5) -> str:
    """What the default network reaches of the rate of sgemm, on one thread, in turn with it."""
    from darkroom_backends.unet.backend import UNetOptions, read_network, weights_file
    from darkroom_backends.unet.network import OnnxNetwork
    from threadpoolctl import threadpool_limits

    read = read_network(weights_file(UNetOptions()))
    config, tensors = read.built, read.tensors
    level = {"down2": 16, "2": 16, "up1": 16, "down3": 64, "3": 64, "up2": 64}
    work = 0.0  # operations a pixel
    for name, array in tensors.items():
        if array.ndim == 4 and not name.startswith("judge."):
            layer = name.split(".")[0]
            share = level.get(layer) or level.get(layer[-1], 4)
            work += 2 * array.size / share
    network = OnnxNetwork(config, tensors, 1)
    planes = np.random.default_rng(0).random((1, side, side), np.float32)
    a, b = (np.random.default_rng(n).random((1024, 1024), np.float32) for n in (1, 2))
    network.look(planes)
    ours, theirs = [], []
    with threadpool_limits(1):
        for _ in range(runs):
            began = time.process_time()
            network.look(planes)
            ours.append(time.process_time() - began)
            began = time.process_time()
            for _ in range(4):
                a @ b
            theirs.append((time.process_time() - began) / 4)
    rate, most = work * side**2 / min(ours) / 1e9, 2 * 1024**3 / min(theirs) / 1e9
    return (
        f"network: {work / 1e3:.1f} GFLOP/MP at {rate:.0f} GFLOP/s of one core, its front end "
        f"included; sgemm {most:.0f} GFLOP/s: {rate / most:.2f} of it"
    )


def main() -> None:
    """Make the scan, run all in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=50)
    parser.add_argument("--channels", type=int, choices=(1, 3), default=1)
    parser.add_argument("--density", type=float, default=15, help="artefacts a megapixel")
    parser.add_argument("--dpi", type=float, help="resolution that the scan says it has")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names, or parts of them")
    parser.add_argument("--max-memory", default="2GiB")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--network", action="store_true", help="measure it beside sgemm")
    given = parser.parse_args()
    if given.network:
        print(network_rate())
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "scan.tif"), Path(folder, "out.tif")
        make_scan(source, given.megapixels, given.channels, given.density, given.dpi)
        print(f"{given.megapixels:g} MP x {given.channels} uint16, {given.density:g} artefacts/MP")
        found = commands(source, target, given.max_memory)
        names = [n for n in found if not given.only or any(part in n for part in given.only)]
        runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
        for number in range(1 + given.runs):
            for name in names:
                target.unlink(missing_ok=True)
                took = timed(found[name])
                if number:
                    runs[name].append(took)
        table(runs, given.megapixels)
        for name in names if given.profile else ():
            if name.startswith("darkroom "):
                print(f"\n{name}")
                stages = Path(__file__).with_name("clean_stages.py")
                asked = [str(source), str(target), name.partition(" ")[2], given.max_memory]
                subprocess.run([sys.executable, str(stages), *asked], check=True)


def table(runs: dict[str, list[tuple[float, float, float]]], megapixels: float) -> None:
    """Print medians, and ratios of processor time by pairs of runs."""
    yardstick = runs.get("OpenCV median + Navier-Stokes", [])
    print(f"{'':32} {'MP/s':>7} {'proc. s/MP':>11} {'MiB':>7} {'x yardstick':>12}")
    for name, own in runs.items():
        wall, processor = (statistics.median(run[i] for run in own) for i in (0, 1))
        peak = max(run[2] for run in own)
        pairs = [a[1] / b[1] for a, b in zip(own, yardstick, strict=False)]
        ratio = f"{statistics.median(pairs):12.2f}" if pairs else ""
        row = f"{megapixels / wall:7.2f} {processor / megapixels:11.3f} {peak:7.0f} {ratio}"
        print(f"{name:32} {row}")


if __name__ == "__main__":
    main()

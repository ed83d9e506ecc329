"""Reading and writing a large PNG: by darkroom's bands, as a whole by imagecodecs, by pyvips.

    python benchmarks/png_ways.py --megapixels 24

Every way runs in a process of its own and handles the picture by bands of 256 rows, as `clean`
does: reading takes each band in turn, writing gets them one by one. Printed are processor seconds
and the peak of memory over that of a process that has only imported the library. pyvips is asked
where it is installed (`pip install "pyvips[binary]"`); it cannot be handed rows, so it writes from
a raw file. Making the picture is part of what writing takes, the same for all.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROWS = 256
READ, WRITE = ("darkroom", "imagecodecs", "pyvips"), ("darkroom", "imagecodecs", "pyvips")


def picture(width: int, height: int, y: int, rows: int) -> np.ndarray:
    """Rows of a smooth grainy picture: uint16 (rows, width, 3)."""
    rng = np.random.default_rng(y)
    across = np.linspace(0, 40000, width)[None, :, None]
    down = np.linspace(0, 9000, height)[y : y + rows, None, None]
    return (across + down + rng.normal(4000, 400, (rows, width, 3))).clip(0, 65535).astype("u2")


def bands(width: int, height: int):
    """The whole picture from the top."""
    for y in range(0, height, ROWS):
        yield picture(width, height, y, min(ROWS, height - y))


def read(way: str, path: Path) -> int:
    """Read all bands; returns a sum of samples, so that ways can be compared."""
    if way == "darkroom":
        from darkroom.geometry import bands as cut
        from darkroom.io import open_scan

        with open_scan(path) as scan:
            windows = cut(scan.info.width, scan.info.height, ROWS)
            return sum(int(scan.read(window)[::16, ::16].sum()) for window in windows)
    if way == "imagecodecs":
        import imagecodecs

        pixels = imagecodecs.png_decode(path.read_bytes())
        return sum(int(pixels[y : y + ROWS][::16, ::16].sum()) for y in range(0, len(pixels), ROWS))
    import pyvips

    image = pyvips.Image.new_from_file(str(path), access="sequential", fail_on="warning")
    total = 0
    for y in range(0, image.height, ROWS):
        part = image.crop(0, y, image.width, min(ROWS, image.height - y)).numpy()
        total += int(part[::16, ::16].sum())
    return total


def write(way: str, path: Path, width: int, height: int) -> int:
    """Write all bands; returns the bytes of the file."""
    if way == "darkroom":
        from darkroom.io import create_scan
        from darkroom.scan import ScanInfo

        info = ScanInfo(path, "png", width, height, 3, np.dtype("u2"), photometric="rgb")
        with create_scan(path, info, overwrite=True) as sink:
            for rows in bands(width, height):
                sink.write_rows(rows)
            sink.commit()
    elif way == "imagecodecs":
        import imagecodecs

        pixels = np.empty((height, width, 3), "u2")
        for y in range(0, height, ROWS):
            pixels[y : y + ROWS] = picture(width, height, y, min(ROWS, height - y))
        path.write_bytes(imagecodecs.png_encode(pixels, level=6))
    else:
        import pyvips

        with tempfile.NamedTemporaryFile(dir=path.parent) as raw:
            for rows in bands(width, height):
                raw.write(rows.tobytes())
            raw.flush()
            image = pyvips.Image.rawload(
                raw.name, width, height, 3, format="ushort", interpretation="rgb16"
            )
            image.pngsave(str(path), compression=6, filter="all")
    return path.stat().st_size


def start(way: str, task: str) -> None:
    """What a process of this way takes before it touches the picture."""
    if way == "darkroom":
        import darkroom.io.png.read
        import darkroom.io.png.write  # noqa: F401
    elif way == "imagecodecs":
        import imagecodecs

        imagecodecs.png_version()
    else:
        import pyvips

        pyvips.Image.black(1, 1)
    if task == "write":
        picture(64, 64, 0, 8)


def one(way: str, task: str, path: Path, width: int, height: int) -> None:
    """A task in this process; prints its figures as JSON."""
    start(way, task)
    before = resource.getrusage(resource.RUSAGE_SELF)
    result = read(way, path) if task == "read" else write(way, path, width, height)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = (after.ru_maxrss - before.ru_maxrss) / 1024
    print(json.dumps({"seconds": seconds, "MiB": memory, "result": result}))


def main() -> int:
    """All ways, reading and writing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=24.0)
    parser.add_argument("--one", nargs=3, metavar=("WAY", "TASK", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    width = round((options.megapixels * 1.5e6) ** 0.5)
    height = round(options.megapixels * 1e6 / width)
    if options.one:
        way, task, path = options.one
        one(way, task, Path(path), width, height)
        return 0
    print("| task | way | processor s | MiB more | file or check |\n|---|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        for task, ways in (("write", WRITE), ("read", READ)):
            for way in ways:
                target = path if task == "read" or way == "darkroom" else Path(folder) / "b.png"
                command = [sys.executable, __file__, f"--megapixels={options.megapixels}"]
                done = subprocess.run(
                    [*command, "--one", way, task, str(target)],
                    capture_output=True, text=True, env={**os.environ, "MALLOC_ARENA_MAX": "2"},
                )  # fmt: skip
                if done.returncode:
                    print(f"| {task} | {way} | {done.stderr.strip().splitlines()[-1]} | | |")
                    continue
                found = json.loads(done.stdout)
                figures = f"{found['seconds']:.1f} | {found['MiB']:.0f} | {found['result']:,}"
                print(f"| {task} | {way} | {figures} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

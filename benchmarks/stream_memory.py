"""Copy large TIFFs tile by tile and print peak memory and speed for each layout.

    python benchmarks/stream_memory.py --megapixels 150

Each layout is written first (outside the measured process), then copied by a fresh process that
reads 512-pixel tiles with a halo of 64 and writes uncompressed.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np

from darkroom.geometry import Grid, bands
from darkroom.io import Scratch, create_scan, open_scan
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import Layout, pack_directory
from darkroom.metadata import Storage, Tag
from darkroom.scan import ScanInfo

LAYOUTS: dict[str, Storage | None] = {
    "strips, uncompressed": Storage(compression="none"),
    "strips, deflate": Storage(compression="deflate", predictor=2, rows_per_strip=16),
    "tiles, deflate": Storage(compression="deflate", predictor=2, tile=(256, 256)),
    "planar strips, LZW": Storage(compression="lzw", predictor=2, planar=True),
    "one strip, deflate": None,
    "one strip, LZW": None,
}


def picture(width: int, height: int) -> Iterator[np.ndarray]:
    """Bands of a grainy uint16 RGB picture."""
    rng = np.random.default_rng(0)
    band = np.cumsum(rng.normal(0, 80, (64, width, 3)), axis=1) + 30000
    band = band.clip(0, 65535).astype(np.uint16)
    for window in bands(width, height, 64):
        yield np.roll(band, 7 * window.y, axis=1)[: window.height]


def write_one_strip(path: Path, width: int, height: int, code: int) -> None:
    """A page whose pixels are one compressed strip, which darkroom itself would not write."""
    layout = Layout(False, "<")
    rows = (imagecodecs.delta_encode(band, axis=1).tobytes() for band in picture(width, height))
    with path.open("wb") as file:
        file.write(layout.pack_header(0))
        if code == 8:
            packer = zlib.compressobj(1)
            for data in rows:
                file.write(packer.compress(data))
            file.write(packer.flush())
        else:
            file.write(imagecodecs.lzw_encode(b"".join(rows)))
        count = file.tell() - 8
        file.write(bytes(count % 2))
        at = file.tell()
        values = [(T.WIDTH, 4, width), (T.HEIGHT, 4, height), (T.BITS, 3, (16, 16, 16))]
        values += [(T.COMPRESSION, 3, code), (T.PHOTOMETRIC, 3, 2), (T.STRIP_OFFSETS, 4, 8)]
        values += [(T.SAMPLES, 3, 3), (T.ROWS_PER_STRIP, 4, height), (T.STRIP_COUNTS, 4, count)]
        values += [(T.PREDICTOR, 3, 2)]
        file.write(pack_directory([Tag(c, d, 0, v) for c, d, v in values], layout, at))
        file.seek(0)
        file.write(layout.pack_header(at))


def write_layout(path: Path, name: str, width: int, height: int) -> None:
    """The picture in one of LAYOUTS."""
    storage = LAYOUTS[name]
    if storage is None:
        write_one_strip(path, width, height, 8 if "deflate" in name else 5)
        return
    info = ScanInfo(path, "tiff", width, height, 3, np.dtype(np.uint16), photometric="rgb")
    with create_scan(path, replace(info, storage=storage), overwrite=True) as sink:
        for band in picture(width, height):
            sink.write_rows(band)
        sink.commit()


def peak_memory() -> float:
    """Largest resident size of this process in MiB.

    getrusage would count what the parent held before this program was loaded.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def copy(source: Path, target: Path) -> None:
    """Walk the tiles of a scan and write it again; prints one line of figures."""
    started = time.perf_counter()
    with open_scan(source, scratch=Scratch(source.parent)) as scan:
        info = scan.info
        grid = Grid(info.width, info.height, 512, 64)
        with create_scan(target, info, compression="none", overwrite=True) as sink:
            for row in range(grid.rows):
                tiles = list(grid.row(row))
                band = np.empty((tiles[0].core.height, info.width, info.samples), info.dtype)
                for tile in tiles:
                    window = tile.read.clip(info.width, info.height)
                    part = scan.read(window)[tile.core.relative_to(window).slices]
                    band[:, tile.core.x : tile.core.right] = part
                sink.write_rows(band)
            sink.commit()
    seconds = time.perf_counter() - started
    print(
        f"{peak_memory():8.0f} {info.nbytes / 1e6 / seconds:8.0f} {info.megapixels / seconds:8.1f}"
    )


def main() -> None:
    """Measure every layout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=150)
    parser.add_argument("--folder", type=Path, help="where the files go; three times their size")
    parser.add_argument("--layout", action="append", choices=list(LAYOUTS), help="only these")
    parser.add_argument("--copy", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.copy:
        copy(*options.copy)
        return
    width = round((options.megapixels * 1.5e6) ** 0.5)
    height = round(options.megapixels * 1e6 / width)
    print(f"{width} x {height} RGB uint16, {width * height * 6 / 2**20:.0f} MiB")
    print(f"{'layout':22} {'peak MiB':>8} {'MB/s':>8} {'MP/s':>8}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, target = Path(folder) / "in.tif", Path(folder) / "out.tif"
        for name in options.layout or LAYOUTS:
            write_layout(source, name, width, height)
            print(f"{name:22}", end=" ", flush=True)
            command = [sys.executable, __file__, "--copy", str(source), str(target)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

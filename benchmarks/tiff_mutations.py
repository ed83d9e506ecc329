"""Change every byte of a TIFF directory, one at a time, and see what readers make of the file.

    python benchmarks/tiff_mutations.py

The file is a scanner's: 16-bit RGB in LZW strips with a predictor, resolution, orientation, ICC
profile, EXIF and private tags. Each byte of its first directory (entries only: values that lie
elsewhere stay as they are) is set to seven other values. For each reader it counts

* same pixels: what the undamaged file holds;
* refused: an exception;
* wrong, said so: other pixels, with a warning or a note of what was lost;
* wrong in silence: other pixels and not a word.

Anything that gives same pixels but no metadata counts as the first; darkroom's losses are counted
beside it, and `--list` prints what it says.
"""

import argparse
import logging
import struct
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile

from darkroom.errors import InputError
from darkroom.io import open_scan
from darkroom.io.encoding import linear_srgb_profile
from darkroom.io.tiff.tags import tag_name

KINDS = ("same pixels", "refused", "wrong, said so", "wrong in silence")
Answer = tuple[np.ndarray, str]  # pixels, and what the reader said


def scanner_file(path: Path) -> np.ndarray:
    """Write the file; returns its pixels, uint16 (H, W, 3)."""
    rng = np.random.default_rng(0)
    pixels = np.cumsum(rng.integers(0, 900, (60, 80, 3)), axis=1).astype(np.uint16)
    texts = [(271, 2, 0, "Nikon", True), (272, 2, 0, "LS-5000 ED", True)]
    texts += [(274, 3, 1, 1, True), (315, 2, 0, "A photographer", True)]
    tifffile.imwrite(
        path, pixels, photometric="rgb", compression="lzw", predictor=2, rowsperstrip=16,
        software="SilverFast 9", resolution=(4000, 4000), resolutionunit=2, metadata=None,
        datetime="2026:01:02 03:04:05", iccprofile=linear_srgb_profile(),
        extratags=[*texts, (65000, 7, 12, bytes(range(12)), True)],
    )  # fmt: skip
    return pixels


def mutations(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset within the directory, file) for each change of one byte."""
    start = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, start)[0]
    for at in range(start, start + 2 + 12 * entries + 4):
        old = data[at]
        values = {old ^ 1, old ^ 0x80, old + 1 & 255, old - 1 & 255, 0, 255, old ^ 0x10} - {old}
        for value in sorted(values):
            yield at - start, data[:at] + bytes([value]) + data[at + 1 :]


class Heard(logging.Handler):
    """Collects what a library logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """One message."""
        self.lines.append(record.getMessage())


def by_tifffile(path: Path) -> Answer:
    """The first page as tifffile reads it."""
    heard = Heard()
    logger = logging.getLogger("tifffile")
    logger.handlers, logger.propagate = [heard], False
    with warnings.catch_warnings(record=True) as caught:
        pixels = tifffile.imread(path)
    return pixels, " ".join([*heard.lines, *(str(each.message) for each in caught)])


def by_darkroom(path: Path) -> Answer:
    """The picture as darkroom reads it, and what it would say of it."""
    with open_scan(path, max_pixels=4_000_000) as scan:
        said = (*scan.warnings, *scan.info.metadata.left_out)
        return scan.read(scan.info.window), "; ".join(said)


def main() -> int:
    """Both readers over all mutations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print each case that is not the same")
    options = parser.parse_args()
    readers: dict[str, Callable[[Path], Answer]]
    readers = {"darkroom": by_darkroom, "tifffile": by_tifffile}
    counts = {name: Counter[str]() for name in readers}
    named = total = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.tif"
        truth = scanner_file(path)
        data = path.read_bytes()
        start = struct.unpack_from("<I", data, 4)[0]
        for at, changed in mutations(data):
            total += 1
            path.write_bytes(changed)
            entry = (at - 2) // 12
            code = struct.unpack_from("<H", data, start + 2 + 12 * entry)[0] if at >= 2 else 0
            for name, read in readers.items():
                try:
                    pixels, said = read(path)
                except Exception as error:
                    kind, said = "refused", str(error)
                    if name == "darkroom" and not isinstance(error, InputError):
                        raise
                else:
                    same = pixels.shape == truth.shape and np.array_equal(pixels, truth)
                    kind = KINDS[0] if same else KINDS[2] if said else KINDS[3]
                    named += name == "darkroom" and same and bool(said)
                counts[name][kind] += 1
                if options.list and (kind != KINDS[0] or said):
                    print(f"{name} {at:4} {tag_name(code)}+{(at - 2) % 12}: {kind}: {said[-150:]}")
    print(f"| {total} mutations | {' | '.join(KINDS)} |\n|---|{'--:|' * len(KINDS)}")
    for name, found in counts.items():
        print(f"| {name} | {' | '.join(str(found[kind]) for kind in KINDS)} |")
    print(f"darkroom names something as lost in {named} of the first kind")
    return 0


if __name__ == "__main__":
    sys.exit(main())

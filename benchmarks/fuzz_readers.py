"""Feed mutated files to the readers: each must give a picture or one clear error.

    python benchmarks/fuzz_readers.py --cases 100000 --jobs 2

The files are small ones of every layout in tests/io/layouts.py, and some more. Each is also read
as a mask.

Counts outcomes for each kind: refused with one clear error; a picture that tifffile or OpenCV,
where they can read the same page, reads to the very same samples; a picture that neither can
read. Anything else, a case that takes more than `--limit` seconds of processor time, or more memory
than `--memory` MiB ends the run with exit code 1; the offending file is left in the working folder.
"""

import argparse
import io
import logging
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from darkroom.errors import InputError
from darkroom.geometry import bands
from darkroom.io import open_scan
from darkroom.io.marks import open_marks
from darkroom.io.psd.write import PsdSink
from darkroom.io.scratch import Scratch
from darkroom.io.tiff.read import TiffScan
from darkroom.scan import Pixels, Scan, ScanInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "io"))
from layouts import LAYOUTS

KINDS = ("agreed", "picture", "refused", "FAILED")
UNFUZZED = ("Camera raw, X-Trans", "TIFF with NAME-ir")  # LibRaw wants it large; as NAME_IR
INTERESTING = (0, 1, 2, 3, 7, 8, 255, 256, 65535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
MAX_PIXELS = 4_000_000
OTHERS_LIMIT = 2.0  # processor seconds in which another program must have read a file
CACHE = 1 << 12  # bytes: little enough that single strips are unpacked to disk


def seeds() -> dict[str, bytes]:
    """Small valid files of every family, by name; the suffix is part of the name."""
    rng = np.random.default_rng(0)
    picture = np.cumsum(rng.integers(0, 9, (48, 40, 3)), axis=1).astype(np.uint16) * 100
    small = (picture >> 6).astype(np.uint8)
    files = {}

    def tiff(name: str, pixels: np.ndarray, **options: object) -> None:
        data = io.BytesIO()
        tifffile.imwrite(data, pixels, software="VueScan 9", resolution=(4000, 4000), **options)
        files[name] = data.getvalue()

    rgb = {"photometric": "rgb"}
    tiff("plain.tif", picture, **rgb)
    tiff("deflate.tif", picture, compression="zlib", predictor=2, rowsperstrip=9, **rgb)
    tiff("lzw-big-endian.tif", picture, compression="lzw", byteorder=">", rowsperstrip=48, **rgb)
    tiff("tiles-big.tif", picture, tile=(16, 32), compression="zstd", bigtiff=True, **rgb)
    tiff("planar.tif", np.moveaxis(picture, -1, 0), planarconfig="separate", **rgb)
    tiff("packbits.tif", small, compression="packbits", **rgb)
    tiff("jpeg.tif", small, compression="jpeg", rowsperstrip=16, **rgb)
    tiff("float.tif", picture[..., 0].astype("f4"), compression="zlib", predictor=3)
    tiff("infrared.tif", np.dstack([picture, picture[..., 0]]), extrasamples=(0,), **rgb)
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as tif:
        tif.write(small[:8, :8], subifds=1, subfiletype=1, **rgb)
        tif.write(picture, photometric=34892)
    files["scanner.dng"] = data.getvalue()
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "A", zip=True)
    text.add_itxt("Title", "B", zip=True)
    exif = Image.Exif()
    exif[271] = "Maker"
    exif.get_ifd(34665)[37386] = 50.0
    image = Image.fromarray(small)
    for name, options in (("a.png", {"pnginfo": text}), ("a.jpg", {"comment": b"x"})):
        data = io.BytesIO()
        image.save(data, name[-3:].replace("jpg", "jpeg"), exif=exif, dpi=(300, 300), **options)
        files[name] = data.getvalue()
    files |= layered(small, picture)
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            if not layout.title.startswith(UNFUZZED):
                path = Path(folder) / layout.name
                layout.write(path, (36, 44))
                files[layout.name] = path.read_bytes()
    return files


def layered(*pictures: np.ndarray) -> dict[str, bytes]:
    """Photoshop files of two layers, of 8 and 16 bits."""
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        for pixels in pictures:
            height, width = pixels.shape[:2]
            path = Path(folder) / f"layered-{8 * pixels.itemsize}.psd"
            info = ScanInfo(path, "psd", width, height, 3, pixels.dtype, photometric="rgb")
            mask = np.zeros((height, width), np.uint8)
            mask[5:9, 5:20] = 255
            with PsdSink(path, info) as sink:
                sink.write_layers(pixels, pixels[::-1], mask)
                sink.commit()
            files[path.name] = path.read_bytes()
    return files


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to six changes, most of them where headers and directories lie."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if not out:
            break
        # Directories stand at the start or at the end; pixels in between.
        edge = min(len(out), 600)
        start = rng.choice((0, 0, len(out) - edge, rng.randrange(len(out))))
        at = min(start + rng.randrange(edge), len(out) - 1)
        kind = rng.randrange(7)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.randrange(256)
        elif kind in (2, 3):
            width, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
            value = rng.choice((*INTERESTING, len(out))) % (1 << 8 * width)
            out[at : at + width] = value.to_bytes(width, order)
        elif kind == 4:
            del out[at : at + rng.choice((1, 2, 12, 100))]
        elif kind == 5:
            piece = out[at : at + rng.choice((4, 12, 40))]
            to = rng.randrange(len(out))
            out[to : to + len(piece)] = piece
        else:
            del out[max(1, at) :]
    return bytes(out)


def cases(number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`number` mutated files: (name of what it was, content)."""
    rng, files = random.Random(seed), list(seeds().items())
    for i in range(number):
        name, data = files[i % len(files)]
        yield name, mutate(data, rng)


def outcome(path: Path, clock: Callable[[], None] = lambda: None) -> str:
    """Open and read a file to its end; "agreed", "picture" or "refused".

    Args:
        path: the file.
        clock: called when darkroom is done with it, before another program reads it.

    Raises:
        Exception: whatever a reader lets through that is no InputError.
        AssertionError: another program reads other samples from the same page.
    """
    try:
        as_mask(path)
        with open_scan(path, max_pixels=MAX_PIXELS, cache_bytes=CACHE) as scan:
            info, parts = scan.info, []
            for window in bands(info.width, info.height, 4096):
                pixels = scan.read(window)
                if pixels.shape != (window.height, window.width, info.samples):
                    raise AssertionError(f"{pixels.shape} for {window}")
                if pixels.dtype != info.dtype:
                    raise AssertionError(f"{pixels.dtype} is not {info.dtype}")
                parts.append(pixels)
            clock()
            pixels = np.concatenate(parts)
            differs = False
            for other in as_others_see_it(path, scan):
                if np.array_equal(other, pixels, equal_nan=info.dtype.kind == "f"):
                    return "agreed"
                differs = True
            if differs:
                raise AssertionError("another program reads other samples, and none the same")
            return "picture"
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError("an error of several lines") from error
        return "refused"


def as_mask(path: Path) -> None:
    """The file read as a mask for a scan of its own size: marks or one clear error."""
    limits = {"cache_bytes": CACHE, "max_pixels": MAX_PIXELS, "scratch": Scratch()}
    info = ScanInfo(path, "mask", 40, 48, 1, np.dtype(np.uint8))
    try:
        with open_marks(path, info, **limits) as marks:
            if not set(np.unique(marks.read(marks.info.window))) <= {0, 255}:
                raise AssertionError("a mask of other values than 0 and 255")
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError("an error of several lines") from error


def as_others_see_it(path: Path, scan: Scan) -> Iterator[Pixels]:
    """The samples as tifffile and OpenCV (libtiff, libpng) decode them, where they do."""
    info = scan.info
    readers: list[Callable[[], Pixels | None]] = []
    if isinstance(scan, TiffScan):
        first, planar = int(scan._page.offsets[0]), scan._page.planar
        readers.append(lambda: _by_tifffile(path, first, planar))
        # OpenCV (libtiff) mixes planes up where tags are odd; it is heard where tifffile answers.
        readers.append(lambda: _by_opencv(path) if heard else None)
    if info.format == "png":  # libjpeg and LibRaw are our own ways
        readers.append(lambda: _by_opencv(path))
    heard = False
    for read in readers:
        try:
            found = read()
        except (Exception, TooSlow):
            continue
        # Another order of the axes means that it takes damaged tags in another way.
        if found is None or found.shape[:2] != (info.height, info.width):
            continue
        if found.size == info.width * info.height * info.samples and found.dtype == info.dtype:
            heard = True
            yield found.reshape(info.height, info.width, info.samples)


def _by_opencv(path: Path) -> Pixels | None:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is not None and found.ndim == 3:
        found = found[..., [2, 1, 0, 3][: found.shape[2]]]
    return found


class TooSlow(BaseException):
    """A case took too long; not an Exception, which readers would turn into an error of theirs."""


class Complaints(logging.Handler):
    """Remembers whether anything was logged."""

    heard = False

    def emit(self, record: logging.LogRecord) -> None:
        """Something was."""
        self.heard = True


MOST_PAGES = 64


def _by_tifffile(path: Path, first: int, planar: bool) -> Pixels | None:
    """The page whose pixels start at an offset: (H, W[, samples]).

    Where tifffile complains of the file it goes on and guesses, so nothing can be compared.
    """
    logger, complaints = logging.getLogger("tifffile"), Complaints(logging.WARNING)
    logger.handlers, logger.propagate = [complaints], False
    with tifffile.TiffFile(path) as tif:
        # A damaged chain of directories may have no end for tifffile.
        tops = islice(tif.pages, MOST_PAGES)
        pages = [p for top in tops for p in (top, *islice(top.pages or (), MOST_PAGES))]
        page = next(page for page in pages if page.dataoffsets[:1] == (first,))
        pixels = page.asarray()
    if complaints.heard:
        return None
    return np.moveaxis(pixels, 0, -1) if planar else pixels


def run(task: tuple[int, int, float]) -> tuple[Counter[tuple[str, str]], list[str], float, float]:
    """One worker's share: outcomes, failures, slowest case in seconds, peak memory in MiB."""
    number, seed, limit = task
    counts: Counter[tuple[str, str]] = Counter()
    failures, slowest = [], 0.0

    def too_slow(*_: object) -> None:
        raise TooSlow(f"more than {limit:.0f} s")

    def clock() -> None:
        nonlocal slowest
        slowest = max(slowest, time.process_time() - started)
        signal.setitimer(signal.ITIMER_PROF, OTHERS_LIMIT)

    warnings.simplefilter("ignore")  # of Pillow, about the damage
    # Processor time, since the machine may be busy.
    signal.signal(signal.SIGPROF, too_slow)
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, data) in enumerate(cases(number, seed)):
            path = Path(folder) / name
            path.write_bytes(data)
            started = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, limit)
            try:
                found = outcome(path, clock)
                if found == "refused":
                    clock()
                counts[name, found] += 1
            except BaseException as error:
                counts[name, "FAILED"] += 1
                kept = Path(f"fuzz-{seed}-{i}-{name}").resolve()
                kept.write_bytes(data)
                failures.append(f"{kept}: {type(error).__name__}: {error}")
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
    return counts, failures, slowest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run all workers and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--limit", type=float, default=60.0, help="processor seconds a case may take"
    )
    parser.add_argument("--memory", type=float, default=1024.0, help="MiB a worker may use")
    options = parser.parse_args()
    # Shares of 2,000, each in a fresh process: a crash of a codec then shows as a lost share.
    share = min(2000, options.cases)
    starts = range(0, options.cases, share)
    tasks = [(min(share, options.cases - at), options.seed + at, options.limit) for at in starts]
    counts: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    slowest = peak = 0.0
    with get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
        results = [pool.apply_async(run, (task,)) for task in tasks]
        for task, result in zip(tasks, results, strict=True):
            try:
                found = result.get(timeout=task[0] * options.limit)
            except Exception as error:
                failures.append(f"share {task} was lost: {error}")
                continue
            counts += found[0]
            failures += found[1]
            slowest, peak = max(slowest, found[2]), max(peak, found[3])
    report(counts, print)
    print(f"slowest case {slowest:.2f} processor s, peak memory {peak:.0f} MiB")
    print("\n".join(failures[:20]))
    return int(bool(failures) or peak > options.memory)


def report(counts: Counter[tuple[str, str]], say: Callable[[str], None]) -> None:
    """A table of outcomes by kind of file."""
    say(f"{'file':44} {' '.join(f'{kind:>8}' for kind in KINDS)}")
    for name in sorted({name for name, _ in counts}):
        say(f"{name:44} {' '.join(f'{counts[name, kind]:8}' for kind in KINDS)}")
    total = {kind: sum(n for (_, k), n in counts.items() if k == kind) for kind in KINDS}
    say(
        f"{sum(counts.values())} cases: {total['refused']} clear errors, {total['agreed']} "
        f"pictures that another program reads alike, {total['picture']} that none other reads, "
        f"{total['FAILED']} failures"
    )


if __name__ == "__main__":
    sys.exit(main())

"""The open files of a pair, read by bands of rows, so that a whole scan need not fit in memory."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.pairs.levels import float_white, grey_levels
from darkroom.damage.difference import MAD_TO_SIGMA, hysteresis, thresholds
from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io import open_scan
from darkroom.pairs.find import Pair
from darkroom.scan import Pixels, Scan, ScanInfo

HALO = 128  # rows that a band sees above and below its own, if it is tall enough
STEPS = 257  # of one grey level, in which differences of tone are counted


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of a picture.

    Attributes:
        first, last: its own rows, `last` not included.
        top, bottom: the rows read, up to HALO more on both sides.
    """

    first: int
    last: int
    top: int
    bottom: int

    @property
    def core(self) -> slice:
        """Its own rows among those read."""
        return slice(self.first - self.top, self.last - self.top)


def bands(info: ScanInfo, band_pixels: int) -> list[Band]:
    """Bands of whole rows that read `band_pixels` or fewer; a single one for a small picture."""
    height, read = info.height, max(4, band_pixels // info.width)
    if read >= height:
        return [Band(0, height, 0, height)]
    halo = min(HALO, read // 4)
    starts = range(0, height, read - 2 * halo)
    ends = (*starts[1:], height)
    return [
        Band(a, b, max(0, a - halo), min(height, b + halo))
        for a, b in zip(starts, ends, strict=True)
    ]


def read_rows(scan: Scan, top: int, bottom: int) -> Pixels:
    """The picture samples of some rows, infrared and alpha left out: (rows, W, 1 or 3)."""
    info = scan.info
    return scan.read(Window(0, top, info.width, bottom - top))[..., : info.channels]


@dataclass
class Sources:
    """The files of a pair, open.

    Attributes:
        scan: the damaged picture.
        truth: the ground truth, or None.
        marks: a mask of the damage, or None to conclude it from the difference of the two.
        band_pixels: how much is read at a time.
    """

    scan: Scan
    truth: Scan | None = None
    marks: Scan | None = None
    band_pixels: int = 16_000_000
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)

    @classmethod
    def open(cls, pair: Pair, band_pixels: int) -> Self:
        """Open the files of a pair.

        Raises:
            InputError: one cannot be read, or they differ in size.
        """
        with ExitStack() as stack:
            scan, truth, marks = (
                None if path is None else stack.enter_context(open_scan(path))
                for path in (pair.scan, pair.truth, pair.mask)
            )
            assert scan is not None
            for other in filter(None, (truth, marks)):
                require_equal_size(scan.info, other.info)
            return cls(scan, truth, marks, band_pixels, stack.pop_all())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def bands(self) -> list[Band]:
        """All bands, top to bottom."""
        return bands(self.scan.info, self.band_pixels)

    @cached_property
    def whites(self) -> tuple[float, float]:
        """What white is in float samples of scan and truth: one value if both are floats."""
        greatest = [1.0, 1.0]
        files = [self.scan] if self.truth is None else [self.scan, self.truth]
        for i, file in enumerate(files):
            if file.info.dtype.kind == "f":
                for band in self.bands:
                    rows = read_rows(file, band.first, band.last)
                    finite = rows[np.isfinite(rows)]
                    greatest[i] = max(greatest[i], float(finite.max(initial=0.0)))
        if all(file.info.dtype.kind == "f" for file in files):
            greatest = [max(greatest)] * 2
        return float_white(greatest[0]), float_white(greatest[1])

    @cached_property
    def tone(self) -> tuple[float, float]:
        """(median, robust standard deviation) of scan minus truth in grey levels, of all pixels."""
        counts = np.zeros(2 * 255 * STEPS + 1, np.int64)
        for band in self.bands:
            difference = self._levels("scan", band.first, band.last)
            difference -= self._levels("truth", band.first, band.last)
            steps = np.rint(difference * STEPS).astype(np.int64).ravel() + 255 * STEPS
            counts += np.bincount(steps, minlength=len(counts))
        values = np.arange(-255 * STEPS, 255 * STEPS + 1) / STEPS
        median = weighted_median(values, counts)
        return median, MAD_TO_SIGMA * weighted_median(np.abs(values - median), counts)

    def artefacts(self, top: int, bottom: int) -> NDArray[np.bool_] | None:
        """Which pixels of some rows are damaged, bool (rows, W); None without a ground truth.

        By the mask file, half or more of its range meaning damaged; or by the difference of scan
        and truth (see `darkroom.damage.difference`), its noise taken from the whole picture.
        """
        if self.truth is None:
            return None
        if self.marks is not None:
            return grey_levels(read_rows(self.marks, top, bottom)) >= 128
        median, noise = self.tone
        limits = thresholds(noise)
        difference = self._levels("scan", top, bottom) - self._levels("truth", top, bottom)
        off = np.abs(difference - np.float32(median))
        return hysteresis(off > limits.low, off > limits.high)

    def _levels(self, role: str, top: int, bottom: int) -> NDArray[np.float32]:
        file, white = self.scan, self.whites[0]
        if role == "truth":
            file, white = self.truth or file, self.whites[1]
        return grey_levels(read_rows(file, top, bottom), white)


def weighted_median(values: NDArray[Any], counts: NDArray[np.integer]) -> float:
    """The median of values (N,) that occur `counts` (N,) times; of an even number, the mean."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(counts[order])
    middle = [(int(upto[-1]) - 1) // 2, int(upto[-1]) // 2]
    return float(np.mean(values[order][np.searchsorted(upto, middle, side="right")]))


def require_equal_size(first: ScanInfo, second: ScanInfo) -> None:
    """Check that two pictures of one pair have one size.

    Raises:
        InputError: they have not.
    """
    if (first.width, first.height) != (second.width, second.height):
        raise InputError(
            f"{first.path} is {first.width} x {first.height} pixels, "
            f"{second.path} is {second.width} x {second.height}",
            hint="scan and ground truth must lie pixel on pixel; darkroom dataset build registers",
        )

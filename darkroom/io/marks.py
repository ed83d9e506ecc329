"""Masks in every form that image editors save them in, laid over the scan that they belong to.

A mask may be a picture of 1, 8 or 16 bits, grey, coloured, with a palette or with its marks in the
alpha channel; it may be turned upright by the editor, or smaller than the scan. What comes out is
always the same: 0 and 255, one for each stored pixel of the scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import Window, bands
from darkroom.io.marks_files import open_mask_file
from darkroom.io.scratch import Scratch, Spool
from darkroom.mask import KEEP, REPAIR
from darkroom.metadata import Metadata, Storage
from darkroom.orientation import stored, stored_window, swaps_sides, upright, upright_window
from darkroom.protocols import ReaderSpec
from darkroom.scan import BaseScan, Bytes, ColorProfile, Encoding, Pixels, Scan, ScanInfo

BAND = 1 << 22  # pixels looked at in one go
GREYS = 0.25  # share of greys from which on it is a picture, and not painted in black and white
MOST_SCALED = 32  # a mask smaller than this part of the scan says next to nothing
HINT = "a mask must show the whole scan, upright or as it is stored, in any size"


def open_marks(
    path: Path,
    info: ScanInfo,
    *,
    cache_bytes: int,
    max_pixels: int,
    scratch: Scratch,
    readers: Sequence[ReaderSpec] | None = None,
) -> Scan:
    """Open a mask for a scan: a grey scan of 0 and 255 that has exactly the scan's size.

    Args:
        path: the mask.
        info: the scan it belongs to.
        cache_bytes: as for `open_scan`.
        max_pixels: as for `open_scan`.
        scratch: where spools go.
        readers: as for `open_scan`.

    Raises:
        InputError: if the file cannot be read, or its shape is not the scan's.
    """
    limits: dict[str, Any] = {
        "cache_bytes": cache_bytes,
        "max_pixels": max_pixels,
        "scratch": scratch,
    }
    file = open_mask_file(path, readers, limits)
    with file.scan as mask:
        placing = _placing(mask.info, info, as_stored=file.as_stored)
        warnings = [*mask.warnings, *placing.warnings]
        marked = scratch.spool(mask.info.width, mask.info.height, 1, np.uint8)
        try:
            _threshold(mask, marked, warnings)
        except BaseException:
            marked.close()
            raise
    return _Marks(path, info, marked, placing, tuple(warnings))


# -- which pixels are marked -------------------------------------------------------------------


@dataclass(slots=True)
class _Range:
    """Least and greatest of samples, and what there is between."""

    low: float = np.inf
    high: float = -np.inf
    between: bool = False

    def add(self, values: NDArray[Any]) -> None:
        """Take more values into account."""
        if not values.size:
            return
        low, high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        if not self.between:
            ends = [value for value in (self.low, self.high) if np.isfinite(value)]
            inner = [value for value in ends if low < value < high]
            self.between = bool(inner) or bool(((values != low) & (values != high)).any())
        self.low, self.high = low, high

    @property
    def constant(self) -> bool:
        """Whether there is one value only."""
        return self.low >= self.high

    def level(self, full: float) -> float:
        """The value from which on a pixel is marked: the middle, or above 0 where that is all."""
        if not self.between and self.low == 0 < self.high:
            return self.high
        return full / 2


@dataclass(slots=True)
class _Share:
    """How many of some samples are neither black nor white."""

    count: int = 0
    middle: int = 0

    def add(self, values: NDArray[Any]) -> None:
        """Take more values into account."""
        top = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
        self.count += values.size
        self.middle += int(((values > top * 0.1) & (values < top * 0.9)).sum())

    @property
    def share(self) -> float:
        """Of all values."""
        return self.middle / max(1, self.count)


def _threshold(mask: Scan, marked: Spool, warnings: list[str]) -> None:
    """Fill a spool with 0 and 255; `warnings` gets what had to be guessed."""
    info = mask.info
    values, opacity, visible, middle = _Range(), _Range(), _Range(), _Share()
    alpha = info.channels if info.extra and info.infrared is None else None
    windows = list(bands(info.width, info.height, max(1, BAND // info.width)))
    for window in windows:
        samples = mask.read(window)
        brightness = _brightness(samples, info)
        values.add(brightness)
        if alpha is not None:
            opacity.add(samples[..., alpha])
            seen = brightness[samples[..., alpha] > 0]
            visible.add(seen)
            middle.add(seen)
    full = _full_scale(info.dtype, max(values.high, opacity.high))
    level = values.level(full)
    by_alpha = alpha is not None and not opacity.constant
    # A layer that was painted on: whatever the colour of the brush, its opacity is the mask. But
    # black and white side by side mean what they always mean.
    by_value = not by_alpha or (visible.low < level <= visible.high and middle.share < GREYS)
    if by_alpha:
        warnings.append(
            "it is transparent in places; " + ("transparent pixels are not marked" if by_value else
            "every pixel that is not transparent is marked")
        )  # fmt: skip
    elif not values.between and 0 == values.low < values.high < full / 2:
        warnings.append(f"its values are 0 and {values.high:g}; {values.high:g} was read as marked")
    count = 0
    for window in windows:
        samples = mask.read(window)
        chosen = np.ones(samples.shape[:2], np.bool_)
        if by_value:
            chosen &= _brightness(samples, info) >= level
        if by_alpha:
            chosen &= samples[..., alpha] >= opacity.level(full)
        count += int(chosen.sum())
        marked.write(window, np.where(chosen, REPAIR, KEEP).astype(np.uint8))
    if not count:
        brightest = f"; its brightest value is {values.high:g}, and marks are {level:g} or more"
        warnings.append("no pixel of it is marked" + (brightest if values.high > 0 else ""))


def _brightness(samples: Pixels, info: ScanInfo) -> NDArray[Any]:
    """The greatest picture sample of each pixel, (H, W), 0 for black."""
    bright = samples[..., : info.channels].max(axis=2)
    if info.photometric == "miniswhite":
        top = 1.0 if bright.dtype.kind == "f" else np.iinfo(bright.dtype).max
        bright = top - bright
    return np.asarray(np.nan_to_num(bright) if bright.dtype.kind == "f" else bright)


def _full_scale(dtype: np.dtype[Any], greatest: float) -> float:
    """White; of floating point samples by the scale that their greatest value is on."""
    if dtype.kind != "f":
        return float(np.iinfo(dtype).max) + 1
    return next((top for top in (1.0, 255.0, 65535.0) if greatest <= top), greatest)


# -- where the mask lies -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Placing:
    """How a mask lies over its scan: both are turned upright, then one is scaled to the other."""

    mask_orientation: int
    scan_orientation: int
    width: int  # of the mask, turned as the scan is stored
    height: int
    warnings: tuple[str, ...] = ()


def _placing(mask: ScanInfo, scan: ScanInfo, *, as_stored: bool) -> _Placing:
    """Find how a mask lies over a scan.

    Args:
        mask: the mask.
        scan: the scan.
        as_stored: the mask is known to lie as the scan is stored.

    Raises:
        InputError: if its shape is not the scan's.
    """
    own, turn = mask.orientation, scan.orientation
    shown = [(turn, turn), (own, turn)] if as_stored else [(own, turn)]
    if own == 1 and swaps_sides(turn):
        shown.append((turn, turn))  # an editor that knows no orientation saved it as it is stored
    for exact in (True, False):
        for first, second in shown:
            turned = swaps_sides(first) != swaps_sides(second)
            width, height = (mask.height, mask.width) if turned else (mask.width, mask.height)
            if (width, height) == (scan.width, scan.height):
                return _Placing(first, second, width, height, _turned(own, first, second))
            if not exact and _same_shape((width, height), (scan.width, scan.height)):
                scaled = (
                    f"it is {width} x {height} pixels, the scan {scan.width} x {scan.height}: "
                    "its marks were scaled",
                )
                return _Placing(first, second, width, height, _turned(own, first, second) + scaled)
    raise InputError(
        f"{mask.path}: the mask is {mask.width} x {mask.height} pixels, the scan "
        f"{scan.width} x {scan.height}",
        hint=HINT,
    )


def _turned(own: int, first: int, second: int) -> tuple[str, ...]:
    if first == second:
        return ()
    return (
        f"it lies upright, and was turned as the scan's orientation ({second}) says"
        if own == 1
        else f"it was turned from its orientation ({first}) to the scan's ({second})",
    )


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether one is the other in another size, up to a pixel of rounding."""
    scale = b[0] / a[0]
    if not 1 / MOST_SCALED <= scale <= MOST_SCALED:
        return False
    slack = max(scale, 1.0) + 0.5
    return abs(a[1] * scale - b[1]) <= slack or abs(a[0] * b[1] / a[1] - b[0]) <= slack


class _Marks(BaseScan):
    """A mask over a scan, as the scan is stored."""

    def __init__(
        self,
        path: Path,
        info: ScanInfo,
        marked: Spool,
        placing: _Placing,
        warnings: tuple[str, ...],
    ) -> None:
        super().__init__(
            replace(
                info,
                path=path,
                format="mask",
                channels=1,
                extra=0,
                extra_kinds=(),
                dtype=np.dtype(np.uint8),
                photometric="minisblack",
                profile=ColorProfile(None, Encoding.GAMMA),
                metadata=Metadata(),
                infrared=None,
                storage=Storage(),
                layout="mask",
            ),
            warnings=warnings,
        )
        self._marked, self._placing = marked, placing
        size, wanted = (placing.width, placing.height), (info.width, info.height)
        self._starts = [
            np.arange(there) * here // there for here, there in zip(size, wanted, strict=True)
        ]

    def _read(self, window: Window) -> Bytes:
        """uint8 (H, W, 1): a pixel is marked where any pixel of the mask over it is."""
        columns, x = _source(self._starts[0], window.x, window.right, self._placing.width)
        rows, y = _source(self._starts[1], window.y, window.bottom, self._placing.height)
        marks = self._turned(Window(x[0], y[0], x[1] - x[0], y[1] - y[0]))
        if len(rows) != marks.shape[0] or y[1] - y[0] != window.height:
            marks = np.maximum.reduceat(marks, rows, axis=0)
        if len(columns) != marks.shape[1] or x[1] - x[0] != window.width:
            marks = np.maximum.reduceat(marks, columns, axis=1)
        return np.ascontiguousarray(marks[..., None])

    def _turned(self, window: Window) -> Bytes:
        """Marks of a window of the mask turned as the scan is stored."""
        placing = self._placing
        size = (placing.width, placing.height)
        shown = upright_window(window, size, placing.scan_orientation)
        own = (self._marked.width, self._marked.height)
        marks = self._marked.read(stored_window(shown, own, placing.mask_orientation))[..., 0]
        return stored(upright(marks, placing.mask_orientation), placing.scan_orientation)

    def close(self) -> None:
        """Give the spool back."""
        self._marked.close()


def _source(
    starts: NDArray[np.int_], first: int, stop: int, size: int
) -> tuple[NDArray[np.int_], tuple[int, int]]:
    """Where each of the scan's rows or columns begins in the mask's range, and that range."""
    if first >= stop:
        return np.empty(0, np.int_), (0, 0)
    begin = int(starts[first])
    end = int(starts[stop]) if stop < len(starts) else size
    end = max(end, int(starts[stop - 1]) + 1)
    return starts[first:stop] - begin, (begin, end)

"""A scan and its ground truth laid over one another: registered, and matched in tone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.dataset.register import Reader, Registration, reduced, register, warp
from darkroom.dataset.tone import Tone, fit_tone
from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.pairs.tiles import level
from darkroom.scan import Scan, luminance

Array = NDArray[Any]
TONE_SAMPLES = 24


class Aligned:
    """A scan and its ground truth, opened, registered and, unless both have one, matched in tone.

    Raises:
        InputError: if one cannot be read, their kinds differ, or they do not align.
    """

    def __init__(self, scan: Scan, truth: Scan, grey: bool, same_tone: bool = False) -> None:
        self.scan, self.truth, self.same_tone = scan, truth, same_tone
        self.grey = grey or scan.info.channels == 1
        a, b = scan.info, truth.info
        if a.dtype != b.dtype or a.channels != b.channels:
            raise InputError(
                f"{b.path}: {b.channels} x {b.dtype}, but its scan is {a.channels} x {a.dtype}",
                hint="save both with the same bit depth and channels",
            )
        self.scale = level(a.dtype)
        self.registration: Registration = register(
            self._luminance(scan),
            (a.width, a.height),
            self._luminance(truth),
            (b.width, b.height),
        )
        self.tone: Tone = fit_tone(self._samples(), self.scale)

    def _luminance(self, scan: Scan) -> Reader:
        channels = scan.info.channels

        def read(window: Window) -> NDArray[np.float32]:
            plane = luminance(scan.read(window)[..., :channels].astype(np.float32))
            return np.ascontiguousarray(plane / np.float32(self.scale))

        return read

    def _samples(self) -> Iterator[tuple[Array, Array]]:
        info = self.scan.info
        side = min(128, info.width, info.height)
        for window in _spread(info.width, info.height, side, TONE_SAMPLES):
            if self.covers(window):
                yield self._raw(window)

    def _pixels(self, scan: Scan, window: Window) -> Array:
        pixels = scan.read(window)[..., : scan.info.channels]
        if not self.grey or pixels.shape[2] == 1:
            return pixels
        plane = luminance(pixels.astype(np.float32))
        if pixels.dtype.kind != "f":
            plane = np.rint(plane)
        return np.asarray(plane[..., None].astype(pixels.dtype))

    def covers(self, window: Window) -> bool:
        """Whether the ground truth reaches all of a window of the scan."""
        corners = np.array(
            [[x, y] for x in (window.x, window.right) for y in (window.y, window.bottom)]
        )
        m = self.registration.matrix
        there = corners @ m[:, :2].T + m[:, 2]
        limit = (self.truth.info.width + 0.5, self.truth.info.height + 0.5)
        return bool((there >= -0.5).all() and (there <= limit).all())

    def _raw(self, window: Window) -> tuple[Array, Array]:
        scan = self._pixels(self.scan, window)
        if self.registration.model == "exact":
            return scan, self._pixels(self.truth, window)
        size = (self.truth.info.width, self.truth.info.height)
        planes = []
        for channel in range(scan.shape[2]):

            def read(w: Window, channel: int = channel) -> NDArray[np.float32]:
                plane = self._pixels(self.truth, w)[..., channel]
                return np.ascontiguousarray(plane, np.float32)

            planes.append(warp(read, size, self.registration.matrix, window))
        truth = np.stack(planes, axis=2)
        if scan.dtype.kind == "f":
            return scan, truth.astype(scan.dtype)
        return scan, np.rint(np.clip(truth, 0, np.iinfo(scan.dtype).max)).astype(scan.dtype)

    def read(self, window: Window) -> tuple[Array, Array]:
        """(scan, truth) under a window of the scan, (H, W, C) in the scan's type."""
        scan, truth = self._raw(window)
        return scan, truth if self.same_tone else self.tone.correct(truth, self.scale)

    def thumbnail_hash(self) -> str:
        """Perceptual hash of the truth: signs of the lowest 64 cosine coefficients but the mean."""
        import cv2

        info = self.truth.info
        size = (info.width, info.height)
        small = reduced(self._luminance(self.truth), size, max(1.0, min(size) / 64))
        small = np.asarray(cv2.resize(small, (32, 32), interpolation=cv2.INTER_AREA), np.float32)
        low = cv2.dct(small)[:8, :8].ravel()
        bits = low > np.median(low[1:])
        return f"{int(''.join('1' if b else '0' for b in bits), 2):016x}"


def _spread(width: int, height: int, side: int, count: int) -> Iterator[Window]:
    across = max(1, round(count**0.5))
    for y in np.linspace(0, height - side, across):
        for x in np.linspace(0, width - side, across):
            yield Window(int(x), int(y), side, side)

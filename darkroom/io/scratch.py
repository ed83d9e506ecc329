"""Disk spools: pixel arrays that live in unnamed temporary files instead of memory."""

import os
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from darkroom.errors import OutputError
from darkroom.geometry import Window
from darkroom.io.atomic import writing
from darkroom.io.files import pread

JOINED_SPAN = 2 << 20  # bytes


class Spool:
    """A (height, width, samples) array in a temporary file, read and written by window.

    The file has no name on systems that allow it, so that not even kill -9 leaves it behind.
    Pixels never written read as zero. `read` and `write` may be called from several threads as
    long as they touch different windows.
    """

    def __init__(
        self, folder: Path | None, width: int, height: int, samples: int, dtype: DTypeLike
    ) -> None:
        self.width, self.height, self.samples = width, height, samples
        self.dtype = np.dtype(dtype)
        self._pixel = samples * self.dtype.itemsize
        self._lock = threading.Lock()
        self._folder = folder or Path(tempfile.gettempdir())
        self._name = self._folder / "temporary file"  # in messages
        with writing(self._name):
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".darkroom-")  # noqa: SIM115
            self._file.truncate(self.nbytes)
        self._fd = self._file.fileno()

    @property
    def nbytes(self) -> int:
        """Size of the array on disk."""
        return self.width * self.height * self._pixel

    def read(self, window: Window) -> NDArray[Any]:
        """Pixels of a window inside the array: (window.height, window.width, samples)."""
        self._check(window)
        shape = (window.height, window.width, self.samples)
        if window.width == self.width:
            data = self._read(window.y * self.width, window.area)
            return np.frombuffer(data, self.dtype).reshape(shape)
        span = (window.height - 1) * self.width + window.width
        if window.height and span * self._pixel <= JOINED_SPAN:
            # One read of all between the corners is cheaper than one a row.
            joined = self._read(window.y * self.width + window.x, span)
            strides = (self.width * self._pixel, self._pixel, self.dtype.itemsize)
            return np.ndarray(shape, self.dtype, joined, strides=strides).copy()
        out = np.empty(shape, self.dtype)
        for i in range(window.height):
            data = self._read((window.y + i) * self.width + window.x, window.width)
            out[i] = np.frombuffer(data, self.dtype).reshape(shape[1:])
        return out

    def write(self, window: Window, pixels: NDArray[Any]) -> None:
        """Store pixels shaped (window.height, window.width[, samples])."""
        self._check(window)
        shape = (window.height, window.width, self.samples)
        data = np.ascontiguousarray(pixels, self.dtype).reshape(shape)
        with writing(self._name):
            if window.width == self.width:
                self._write(window.y * self.width, data)
                return
            for i in range(window.height):
                self._write((window.y + i) * self.width + window.x, data[i])

    def _check(self, window: Window) -> None:
        if not Window(0, 0, self.width, self.height).contains(window):
            raise ValueError(f"{window} leaves the spool of {self.width} x {self.height} pixels")

    def _read(self, first_pixel: int, pixels: int) -> bytearray:
        offset, count = first_pixel * self._pixel, pixels * self._pixel
        data = bytearray()
        while len(data) < count:
            part = pread(self._fd, count - len(data), offset + len(data), self._lock)
            if not part:
                raise OutputError(f"{self._folder}: a temporary file was cut short")
            data += part
        return data

    def _write(self, first_pixel: int, pixels: NDArray[Any]) -> None:
        view = pixels.reshape(-1).view(np.uint8).data
        offset = first_pixel * self._pixel
        while view:
            done = _pwrite(self._fd, view, offset, self._lock)
            offset, view = offset + done, view[done:]

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Scratch:
    """Where spools are made: a folder with space, or the system's temporary folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def spool(self, width: int, height: int, samples: int, dtype: DTypeLike) -> Spool:
        """A new spool of zeros.

        Raises:
            OutputError: if the folder is not writable or full.
        """
        return Spool(self.folder, width, height, samples, dtype)


def _pwrite(fd: int, data: memoryview, offset: int, lock: threading.Lock) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data[: 1 << 30], offset)
    with lock:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data[: 1 << 30])

"""Disk spools: pixel arrays that live in unnamed temporary files instead of memory."""

import errno
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from darkroom.errors import InputError, OutputError
from darkroom.geometry import Window
from darkroom.io.atomic import writing
from darkroom.io.files import pread

JOINED_SPAN = 2 << 20  # bytes
RELEASE_SECONDS = 0.001
_ZEROS = bytes(1 << 20)


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

    @contextmanager
    def mapped(self, *, written: bool) -> Iterator[NDArray[Any]]:
        """The whole array, (height, width, samples), as memory that the file backs.

        For decoders that read or fill an array in one call and cannot be given a part of it.
        While the context lasts, a thread hands the pages touched back to the system every few
        milliseconds, so that the array never lies whole in memory; decoders must therefore
        release the interpreter lock, as those of imagecodecs do.

        Args:
            written: whether all of the array has been written; otherwise none of it has.

        Raises:
            OutputError: if the disk is full.
        """
        if not written:
            with writing(self._name):
                _reserve(self._file, self.nbytes)
        memory = mmap.mmap(self._fd, self.nbytes)
        shape = (self.height, self.width, self.samples)
        try:
            with _released(memory):
                yield np.frombuffer(memory, self.dtype).reshape(shape)
        finally:
            with suppress(BufferError):  # an array of it is still alive, and will free it
                memory.close()

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Scratch:
    """Where spools are made, and how much memory decoding into one may take.

    Args:
        folder: one with space, or None for the system's temporary folder.
        memory: most bytes that a decoder may take which cannot work in pieces; None for no limit.
    """

    def __init__(self, folder: Path | None = None, memory: int | None = None) -> None:
        self.folder = folder
        self.memory = memory

    def require_memory(self, path: Path, needed: int, reason: str) -> None:
        """Refuse to decode what takes more memory than there may be.

        Args:
            path: the file, for the message.
            needed: bytes.
            reason: why it cannot be done in pieces.

        Raises:
            InputError: if `needed` exceeds `memory`.
        """
        if self.memory is not None and needed > self.memory:
            raise InputError(
                f"{path}: {reason}, which takes about {needed / 2**20:.0f} MiB where "
                f"{self.memory / 2**20:.0f} MiB are left",
                hint="raise --max-memory, or save it as a TIFF in strips or tiles first",
            )

    def spool(self, width: int, height: int, samples: int, dtype: DTypeLike) -> Spool:
        """A new spool of zeros.

        Raises:
            OutputError: if the folder is not writable or full.
        """
        return Spool(self.folder, width, height, samples, dtype)


def _reserve(file: IO[bytes], count: int) -> None:
    """Give a file its disk space now: a full disk would end the process at a mapped page.

    Raises:
        OSError: if there is not enough.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, count)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    # Without help of the file system: write it.
    file.seek(0)
    for start in range(0, count, len(_ZEROS)):
        file.write(_ZEROS[: count - start])
    file.flush()


@contextmanager
def _released(memory: mmap.mmap) -> Iterator[None]:
    """Hand the pages of a mapped file back to the system again and again; the file keeps them."""
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is None:  # the system decides by itself
        yield
        return
    done = threading.Event()

    def release() -> None:
        while not done.wait(RELEASE_SECONDS):
            memory.madvise(advice)

    thread = threading.Thread(target=release, name="release", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _pwrite(fd: int, data: memoryview, offset: int, lock: threading.Lock) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data[: 1 << 30], offset)
    with lock:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data[: 1 << 30])

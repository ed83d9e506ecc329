"""Reading bytes by position, and turning what goes wrong into one clear error."""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from darkroom.errors import DarkroomError, InputError

# Lines of pixels cost as much as pictures of their length squared; a strip of film is 1 to 50.
LONGEST_SIDE, MOST_OBLONG = 250_000, 1000
TRUNCATED_HINT = "the file looks cut short; copy or scan it again"


class PositionedFile:
    """A regular file opened for reads at absolute offsets, from any number of threads.

    Raises:
        InputError: on opening, if the file is missing, empty, not regular or not readable; on
            reading past its end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            # A named pipe would block on opening, so its kind is asked first.
            require_regular(path)
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self.size = os.fstat(self._fd).st_size
        self._lock = threading.Lock()
        if self.size == 0:
            self.close()
            raise InputError(f"{path}: the file is empty", hint="copy or scan it again")

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset`."""
        if offset < 0 or count < 0 or offset + count > self.size:
            raise InputError(
                f"{self.path}: truncated: {count} bytes at {offset} are wanted of {self.size}",
                hint=TRUNCATED_HINT,
            )
        with reading(self.path):
            data = self._pread(offset, count)
        if len(data) != count:
            raise InputError(
                f"{self.path}: the file became shorter while it was read", hint=TRUNCATED_HINT
            )
        return data

    def head(self, count: int) -> bytes:
        """At most `count` bytes from the start."""
        return self.read(0, min(count, self.size))

    def _pread(self, offset: int, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = pread(self._fd, count, offset, self._lock)
            if not part:
                break
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pread(fd: int, count: int, offset: int, lock: threading.Lock) -> bytes:
    """`os.pread` where the platform has it, else seek and read under the lock."""
    if hasattr(os, "pread"):
        return os.pread(fd, min(count, 1 << 30), offset)
    with lock:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, min(count, 1 << 30))


def require_regular(path: Path) -> None:
    """Refuse folders, pipes and devices."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder, not a scan", hint="name the files in it")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is not a regular file", hint="save the scan to a file first")


@contextmanager
def reading(path: Path, what: str = "file") -> Iterator[None]:
    """Turn whatever a library raises while reading `path` into an InputError.

    Our own errors pass unchanged; KeyboardInterrupt and its like are not caught.
    """
    try:
        yield
    except DarkroomError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file", hint="check the name") from error
    except PermissionError as error:
        raise InputError(
            f"{path}: no permission to read it", hint="check the file's permissions"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            raise InputError(
                f"{path}: no space left for temporary data", hint="set TMPDIR to a larger disk"
            ) from error
        raise InputError(f"{path}: cannot be read: {reason}") from error
    except MemoryError as error:
        raise InputError(
            f"{path}: decoding it needs more memory than there is",
            hint="save the scan in strips or tiles",
        ) from error
    except Exception as error:
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"{path}: damaged or not a valid {what}: {detail}", hint=TRUNCATED_HINT
        ) from error


def check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Refuse images without pixels and images that are suspiciously large.

    Raises:
        InputError: if a side is zero, width x height exceeds `max_pixels`, or the image is a line.
    """
    if width < 1 or height < 1:
        raise InputError(f"{path}: the image is {width} x {height} pixels: nothing to clean")
    long, short = max(width, height), min(width, height)
    if long > LONGEST_SIDE and long > MOST_OBLONG * short:
        raise InputError(
            f"{path}: {width} x {height} pixels: no scan has this shape",
            hint="if the file is genuine, cut it into pieces",
        )
    if width * height > max_pixels:
        raise InputError(
            f"{path}: {width} x {height} pixels are more than the limit of "
            f"{max_pixels / 1e6:.0f} megapixels",
            hint="if the file is genuine, raise the limit with --max-pixels",
        )

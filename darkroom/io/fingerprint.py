"""What a file is and whether it stays so: its SHA-256 and what the system says of it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import InputError
from darkroom.io.files import reading, require_regular

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file's size and SHA-256.

    Attributes:
        bytes: its size.
        sha256: of all of it, in hexadecimal.
    """

    bytes: int
    sha256: str


def fingerprint(path: Path) -> Fingerprint:
    """Read a whole file.

    Raises:
        InputError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with reading(path):
        require_regular(path)
        with path.open("rb", buffering=0) as file:
            while block := file.read(CHUNK):
                digest.update(block)
                size += len(block)
    return Fingerprint(size, digest.hexdigest())


class Watched:
    """A file that must not change while it is worked on.

    Args:
        path: the file.

    Raises:
        InputError: it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._stamp = _stamp(path)

    def require_unchanged(self) -> None:
        """Refuse to go on with a file that another program has written to or replaced.

        Raises:
            InputError: it changed or is gone.
        """
        try:
            same = _stamp(self.path) == self._stamp
        except OSError:
            same = False
        if not same:
            raise InputError(
                f"{self.path}: changed while it was worked on; nothing was written",
                hint="Let the other program finish, then run this again.",
            )


def _stamp(path: Path) -> tuple[int, ...]:
    found = os.stat(path)  # noqa: PTH116  # follows links, as opening does
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

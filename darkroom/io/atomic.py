"""Outputs that appear under their name whole or not at all.

While a process writes a temporary file it holds a lock on it (`flock`), so that another process can
tell one that is being written from one that a killed process has left.
"""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from darkroom.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

ENDING = ".darkroom"
# A hidden file: the target's name, cut where it is long, a random number and our ending.
TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.darkroom")
LONGEST = 100  # bytes of the target's name in that of a temporary file

_unnamed: set[Path] = set()  # temporary files of this process that nobody has named or removed


def temporary_name(target: Path, ending: str = ENDING) -> Path:
    """A name of our own beside a file."""
    start = os.fsencode(target.name)[:LONGEST].decode("utf-8", "ignore") or "output"
    return target.with_name(f".{start}.{secrets.token_hex(6)}{ending}")


def lock(fd: int) -> bool:
    """Lock an open file for as long as it stays open; False if another process has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a disk without locks: nobody can have one
    return True


class AtomicFile:
    """A file written beside its target under a hidden name and renamed when complete.

    Used as a context manager it is thrown away unless `commit` was called.

    Args:
        target: the final name.
        overwrite: replace an existing file; otherwise its existence is an error, also when it
            comes into being while this one is written.

    Raises:
        OutputError: the target exists, or the folder is missing, not writable or full.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        self.target = target
        self.overwrite = overwrite
        if os.path.isdir(target):  # noqa: PTH112  # never raises
            raise OutputError(f"{target}: is a folder", hint="name a file")
        if not overwrite and os.path.lexists(target):
            raise _exists(target)
        self.temporary = temporary_name(target)
        self._done = False
        _unnamed.add(self.temporary)
        with writing(target):
            self.file: BinaryIO = self.temporary.open("x+b")
            # Stays open until the file has its name; closing the last one gives up the lock.
            self._lock = os.dup(self.file.fileno()) if fcntl is not None else -1
        if self._lock >= 0:
            lock(self._lock)

    def finish(self) -> Path:
        """Bring everything to the disk; returns the temporary file, complete but unnamed."""
        with writing(self.target):
            if not self.file.closed:
                self.file.flush()
                os.fsync(self.file.fileno())
                self.file.close()
        return self.temporary

    def commit(self) -> Path:
        """Flush to disk and take the final name; returns the target."""
        try:
            self.finish()
            with writing(self.target):
                give_name(self.temporary, self.target, overwrite=self.overwrite)
                self._done = True
                _unnamed.discard(self.temporary)
                sync_folder(self.target.parent)
        finally:
            if not self._done:
                self.abort()
            self._unlock()
        return self.target

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def abort(self) -> None:
        """Throw the file away; nothing appears under the target's name."""
        if self._done:
            return
        self._done = True
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self.temporary.unlink()
        _unnamed.discard(self.temporary)
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def remove_unnamed() -> None:
    """Remove what an interruption left before anybody could answer for it.

    A signal may come after a file is made and before the one who wants it holds it.
    """
    for temporary in tuple(_unnamed):
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _unnamed.discard(temporary)


def give_name(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished file its name; owner and mode of one that it replaces are kept.

    Raises:
        OutputError: the name is taken and must not be.
        OSError: the system refuses.
    """
    if overwrite:
        with suppress(OSError):
            old = target.stat()
            if (old.st_uid, old.st_gid) != (temporary.stat().st_uid, temporary.stat().st_gid):
                os.chown(temporary, old.st_uid, old.st_gid)
        with suppress(OSError):
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
        return
    try:
        # A link fails where the name is taken, which a rename would not.
        os.link(temporary, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # No hard links on this file system (FAT, some network shares).
        if os.path.lexists(target):
            raise _exists(target) from None
        temporary.rename(target)
        return
    temporary.unlink()


def write_atomic(target: Path, data: bytes, *, overwrite: bool = False) -> Path:
    """Write a small file in one go, whole or not at all; returns the target."""
    with AtomicFile(target, overwrite=overwrite) as atomic:
        with writing(target):
            atomic.file.write(data)
        return atomic.commit()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder while it is filled.

    Raises:
        OutputError: another process holds it.
    """
    fd = os.open(folder, os.O_RDONLY) if fcntl is not None else -1
    try:
        if fd >= 0 and not lock(fd):
            raise OutputError(
                f"{folder}: another process is writing into it",
                hint="Wait until it is done, or choose another name with -o.",
            )
        yield
    finally:
        if fd >= 0:
            os.close(fd)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn the operating system's refusals into an OutputError that names the cause."""
    try:
        yield
    except OSError as error:
        raise output_error(target, error) from error


def output_error(target: Path, error: OSError) -> OutputError:
    """The OutputError for an operating system error met while writing `target`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{target}: no space left on the disk", hint="free some space or write elsewhere (-o)"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"{target}: no permission to write into this folder", hint="write elsewhere (-o)"
        )
    if error.errno == errno.ENOENT:
        return OutputError(f"{target}: the folder does not exist", hint="create it first")
    if error.errno == errno.EFBIG:
        return OutputError(
            f"{target}: the file would be larger than this disk's file system allows",
            hint="write elsewhere (-o) or compress (--compression deflate)",
        )
    return OutputError(f"{target}: cannot be written: {error.strerror or error}")


def _exists(target: Path) -> OutputError:
    return OutputError(
        f"{target}: already exists", hint="use --overwrite to replace it or --skip-existing"
    )


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable; some systems cannot open folders, which is fine."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

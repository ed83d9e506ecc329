"""Outputs that appear under their name whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from darkroom.errors import OutputError


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
        if target.is_dir():
            raise OutputError(f"{target}: is a folder", hint="name a file")
        if not overwrite and os.path.lexists(target):
            raise _exists(target)
        self.temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
        self._done = False
        with writing(target):
            self.file: BinaryIO = self.temporary.open("x+b")

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
                self._rename()
                self._done = True
                _sync_folder(self.target.parent)
        finally:
            if not self._done:
                self.abort()
        return self.target

    def _rename(self) -> None:
        if self.overwrite:
            self._keep_mode()
            self.temporary.replace(self.target)
            return
        try:
            # A link fails where the name is taken, which a rename would not.
            os.link(self.temporary, self.target)
        except FileExistsError:
            raise _exists(self.target) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            # No hard links on this file system (FAT, some network shares).
            if os.path.lexists(self.target):
                raise _exists(self.target) from None
            self.temporary.rename(self.target)
            return
        self.temporary.unlink()

    def _keep_mode(self) -> None:
        with suppress(OSError):
            self.temporary.chmod(self.target.stat().st_mode & 0o7777)

    def abort(self) -> None:
        """Throw the file away; nothing appears under the target's name."""
        if self._done:
            return
        self._done = True
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self.temporary.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def write_atomic(target: Path, data: bytes, *, overwrite: bool = False) -> Path:
    """Write a small file in one go, whole or not at all; returns the target."""
    with AtomicFile(target, overwrite=overwrite) as atomic:
        with writing(target):
            atomic.file.write(data)
        return atomic.commit()


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


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; some systems cannot open folders, which is fine."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

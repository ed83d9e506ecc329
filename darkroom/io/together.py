"""Outputs that belong together get their names as one, and what was left behind is put right.

No system renames several files in one step. So a journal is written first, beside them, that says
which finished temporary file gets which name; it is removed when all have theirs. A process that
is killed in between leaves the journal, and the next run into that folder finishes the work.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from darkroom.errors import OutputError
from darkroom.interrupts import held
from darkroom.io.atomic import (
    TEMPORARY,
    give_name,
    lock,
    sync_folder,
    temporary_name,
    write_atomic,
)

JOURNAL_ENDING = ".darkroom-journal"


class Output(Protocol):
    """A file on its way: finished under a temporary name, then given its own."""

    overwrite: bool

    @property
    def target(self) -> Path:
        """The final name."""

    def finish(self) -> Path:
        """Complete the file under its temporary name, which is returned."""

    def commit(self) -> Path:
        """Give it its name."""


def commit_together(outputs: Sequence[Output]) -> None:
    """Finish all outputs, then give them their names, the first one last.

    Args:
        outputs: the first is the one that the others are about.

    Raises:
        OutputError: one cannot be finished or named; then none that was new has a name.
    """
    parts = [(output.finish(), output) for output in outputs]
    if len(parts) == 1:
        outputs[0].commit()
        return
    for _, output in parts:
        if not output.overwrite and os.path.lexists(output.target):
            output.commit()  # says so
    renames = [[str(t.absolute()), str(o.target.absolute()), o.overwrite] for t, o in parts]
    first = outputs[0].target
    with held(), _journal(temporary_name(first, JOURNAL_ENDING), renames):
        named: list[Output] = []
        try:
            for _, output in reversed(parts):
                output.commit()
                named.append(output)
        except BaseException:
            for output in named:
                if not output.overwrite:
                    with suppress(OSError):
                        output.target.unlink()
            raise


@contextmanager
def _journal(path: Path, renames: list[list[Any]]) -> Iterator[None]:
    """The journal, locked, for as long as names are given."""
    write_atomic(path, json.dumps({"renames": renames}).encode())
    fd = os.open(path, os.O_RDONLY)
    try:
        lock(fd)
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(fd)


def put_right(folder: Path) -> list[str]:
    """Finish what a killed run had begun to name in a folder, and remove its temporary files.

    Nothing that another process is writing is touched.

    Returns:
        What was done, one sentence each.
    """
    done: list[str] = []
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  # by names alone, in large folders too
    except OSError:
        return done
    for name in names:
        if name.startswith(".") and name.endswith(JOURNAL_ENDING):
            done += _replay(folder / name)
    for name in names:
        if TEMPORARY.fullmatch(name) and _abandoned(folder / name):
            with suppress(OSError):
                (folder / name).unlink()
                done.append(f"{folder / name}: removed; a run that was killed had left it")
    return done


def _abandoned(path: Path) -> bool:
    """Whether a file of ours is there and no process works on it."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return lock(fd)
    finally:
        os.close(fd)


def _replay(journal: Path) -> list[str]:
    """Give the files of a journal their names; nothing else than that can be asked of us."""
    done: list[str] = []
    if not _abandoned(journal):
        return done
    try:
        renames = json.loads(journal.read_text("utf-8"))["renames"]
        steps = [(Path(old), Path(new), bool(overwrite)) for old, new, overwrite in renames]
    except (OSError, ValueError, KeyError, TypeError):
        steps = []  # cut short: not one of its files has been named
    for old, new, overwrite in reversed(steps):
        # The folder may have been moved since.
        old, new = (journal.parent / p.name if not old.exists() else p for p in (old, new))
        fits = TEMPORARY.fullmatch(old.name)
        ours = fits is not None and new.name.startswith(fits["name"]) and old.parent == new.parent
        if not ours or not _abandoned(old):
            continue
        with suppress(OutputError, OSError):
            give_name(old, new, overwrite=overwrite)
            done.append(f"{new}: finished; a run that was killed had written it")
    with suppress(OSError):
        journal.unlink()
        sync_folder(journal.parent)
    return done

"""Outputs that belong together get their names as one, and what was left behind is put right.

No system renames several files in one step. So a journal is written first, beside them, that says
which finished temporary file gets which name; it is removed when all have theirs. A process that
is killed in between leaves the journal, and the next run into that folder finishes the work.
"""

import json
import os
import shutil
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
    writing,
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
        path = folder / name
        if not (TEMPORARY.fullmatch(name) and _abandoned(path)):
            continue
        with suppress(OSError):
            if not path.is_dir():
                path.unlink()
            elif _wanted(path):
                continue
            else:
                shutil.rmtree(path)
            done.append(f"{path}: removed; a run that was killed had left it")
    return done


def _abandoned(path: Path) -> bool:
    """Whether a file or folder of ours is there and no process works on it."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return lock(fd)
    finally:
        os.close(fd)


def _wanted(work: Path) -> bool:
    """Whether a journal that could not be replayed still speaks of a folder."""
    journals = work.parent.glob(f".*{JOURNAL_ENDING}")
    return any(work.name in journal.read_text("utf-8", "replace") for journal in journals)


def replace_folder(work: Path, root: Path) -> None:
    """Give a finished folder its name, and remove the one that had it.

    A process that is killed meanwhile leaves one of the two under the name, or a journal by which
    the next run (`put_right`) finishes: at no moment is either lost.

    Args:
        work: a folder of a temporary name beside `root`, locked by this process.
        root: the name; what bears it is replaced.

    Raises:
        OutputError: the system refuses; then what was there is there again.
    """
    old = temporary_name(root)
    renames = [[str(work.absolute()), str(root.absolute()), False]]
    with held(), writing(root), _journal(temporary_name(root, JOURNAL_ENDING), renames):
        root.rename(old)
        try:
            work.rename(root)
        except OSError:
            old.rename(root)
            raise
    sync_folder(root.parent)
    shutil.rmtree(old, ignore_errors=True)


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
        try:
            if not old.is_dir():
                give_name(old, new, overwrite=overwrite)
            elif not os.path.lexists(new):
                old.rename(new)
            else:
                continue  # the old folder still has its name
        except OSError:
            if old.is_dir():
                return done  # the journal stays, and with it what it speaks of
            continue
        except OutputError:
            continue
        done.append(f"{new}: finished; a run that was killed had written it")
    with suppress(OSError):
        journal.unlink()
        sync_folder(journal.parent)
    return done

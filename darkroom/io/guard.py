"""No output may be written over what a run reads, however its name is spelt."""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from darkroom.errors import DarkroomWarning, OutputError
from darkroom.io.together import put_right


class Inputs:
    """Files that a run reads.

    A name stands for one of them if the system says that it leads to the same file: by another
    spelling, a symbolic or hard link, a mounted folder, or in another case where case is ignored.

    Args:
        paths: the files; those that do not exist are known by their resolved names.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._known: dict[object, Path] = {}
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> None:
        """One more file."""
        for key in _identities(path):
            self._known.setdefault(key, path)

    def find(self, path: Path) -> Path | None:
        """The input that a name leads to, or None."""
        keys = _identities(path)
        return next((self._known[key] for key in keys if key in self._known), None)

    def refuse_inside(self, folder: Path) -> None:
        """Refuse to make or replace a folder in which an input lies.

        Raises:
            OutputError: one does.
        """
        top = os.path.realpath(folder)
        for path in self._known.values():
            if os.path.realpath(path).startswith(os.path.join(top, "")):  # noqa: PTH118
                raise OutputError(
                    f"{folder}: holds {path}, which is an input of this run",
                    hint="Choose another folder with -o.",
                )

    def refuse(self, *outputs: Path) -> None:
        """Refuse names of outputs that lead to an input.

        Raises:
            OutputError: one does.
        """
        for path in outputs:
            found = self.find(path)
            if found is not None:
                which = "" if found == path else f" ({found})"
                raise OutputError(
                    f"{path}: is an input of this run{which} and is never written to",
                    hint="Choose another name or folder with -o.",
                )


def prepare(outputs: Sequence[Path], inputs: Iterable[Path] = ()) -> None:
    """What every command does before its first write.

    Refuses outputs that lead to an input, and puts right what killed runs left in their folders,
    with a `DarkroomWarning` for each thing done.

    Args:
        outputs: files or folders that are going to be written.
        inputs: all files that the run reads.

    Raises:
        OutputError: an output leads to an input.
    """
    Inputs(inputs).refuse(*outputs)
    for folder in dict.fromkeys(path.parent for path in outputs):
        for text in put_right(folder):
            warnings.warn(text, DarkroomWarning, stacklevel=3)


def _identities(path: Path) -> list[object]:
    """What tells a file from all others: its number on its disk, and its resolved name."""
    keys: list[object] = [os.path.realpath(path)]
    try:
        found = os.stat(path)  # noqa: PTH116  # follows links
    except (OSError, ValueError):
        return keys
    if found.st_ino:  # some network disks number nothing
        keys.append((found.st_dev, found.st_ino))
    return keys

"""Which scans files, folders and patterns on the command line stand for."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.errors import DarkroomError, InputError
from darkroom.io.beside import FOREIGN_FOLDERS
from darkroom.io.infrared import SIDECAR_ENDINGS
from darkroom.io.registry import all_readers, scan_suffixes
from darkroom.pipeline.decisions import MASK_ENDING as REVIEW_MASK_ENDING
from darkroom.pipeline.job import MASK_ENDING
from darkroom.pipeline.receipt import receipt_path
from darkroom.plugins.manager import Plugins

OWN_ENDINGS = ("_clean", "_mask")


@dataclass(slots=True)
class Item:
    """A file of a batch.

    Attributes:
        source: the file.
        folder: its folder below the folder that was given, to be kept under an output folder.
        target: the file to write, or None.
        notes: what the user should know beforehand.
        error: why it cannot be done at all.
    """

    source: Path
    folder: Path = Path()
    target: Path | None = None
    notes: list[str] = field(default_factory=list)
    error: DarkroomError | None = None


def find_scans(
    given: Sequence[str | Path],
    *,
    recursive: bool = False,
    plugins: Plugins | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Item]:
    """The scans that files, folders and patterns stand for, each once, in the order given.

    A folder stands for the scans in it, less what darkroom itself wrote (`NAME_clean.tif`, masks,
    whatever has a receipt beside it), infrared beside its scan (`NAME_IR.tif`), and what systems
    keep beside files (`._NAME`, `@eaDir`). What is missing or cannot be read becomes an item with
    an error, so that the rest is done.

    Args:
        given: as the user typed them.
        recursive: look into folders inside folders.
        plugins: whose readers count; the installed ones by default.
        note: told of what is passed over in folders.
    """
    suffixes = scan_suffixes(all_readers(plugins))
    items: dict[str, Item] = {}
    for text in given:
        for item in _expand(str(text), recursive, suffixes, note or (lambda _: None)):
            items.setdefault(os.path.realpath(item.source), item)
    return list(items.values())


def _expand(
    text: str, recursive: bool, suffixes: frozenset[str], note: Callable[[str], None]
) -> Iterator[Item]:
    path = Path(text)
    if os.path.isdir(path):  # noqa: PTH112  # never raises
        yield from _folder(path, recursive, suffixes, note)
    elif os.path.lexists(path) or not glob.has_magic(text):
        yield Item(path)  # whether it can be read is found out when its turn comes
    else:
        matches = _matches(text)
        if not matches:
            yield Item(path, error=InputError(f"{text}: no file matches this pattern"))
        for match in map(Path, matches):
            if os.path.isdir(match):  # noqa: PTH112
                yield from _inside(match, recursive, suffixes, note)
            elif match.suffix.lower() in suffixes:
                yield Item(match)


def _matches(pattern: str) -> list[str]:
    """Files of a pattern; brackets in names that exist, or that match nothing, are brackets."""
    parts = Path(pattern).parts
    literal = Path()
    for part in parts:
        if not os.path.lexists(literal / part):
            break
        literal /= part
    rest = os.path.join(*parts[len(literal.parts) :])  # noqa: PTH118
    start = glob.escape(str(literal)) if literal.parts else ""
    for tried in (rest, rest.replace("[", "[[]")):
        found = glob.glob(os.path.join(start, tried), recursive=True)  # noqa: PTH118, PTH207
        if found:
            return sorted(found)
    return []


def _folder(
    folder: Path, recursive: bool, suffixes: frozenset[str], note: Callable[[str], None]
) -> Iterator[Item]:
    found = list(_inside(folder, recursive, suffixes, note))
    if not found:
        hint = None if recursive else "Use --recursive to look into the folders inside it."
        found = [Item(folder, error=InputError(f"{folder}: no scans in this folder", hint=hint))]
    yield from found


def _inside(
    folder: Path, recursive: bool, suffixes: frozenset[str], note: Callable[[str], None]
) -> Iterator[Item]:
    passed: Counter[str] = Counter()
    unreadable: list[OSError] = []
    for here, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = _entered(Path(here), sorted(folders), recursive, passed)
        yield from _scans(Path(here), folder, sorted(names), suffixes, passed)
        while unreadable:
            yield _unreadable(unreadable.pop())
    while unreadable:
        yield _unreadable(unreadable.pop())
    if passed:
        note(f"{folder}: passed over {', '.join(f'{n} {what}' for what, n in passed.items())}")


def _unreadable(error: OSError) -> Item:
    path = Path(str(error.filename))
    reason = error.strerror or str(error)
    return Item(path, error=InputError(f"{path}: this folder cannot be read: {reason}"))


def _entered(here: Path, folders: list[str], recursive: bool, passed: Counter[str]) -> list[str]:
    """The folders to look into."""
    if not recursive:
        return []
    entered = []
    for name in folders:
        if name in FOREIGN_FOLDERS or name.startswith("."):
            passed["folders of other programs"] += 1
        elif os.path.islink(here / name):  # noqa: PTH114  # never raises
            passed["links to folders"] += 1
        else:
            entered.append(name)
    return entered


def _scans(
    here: Path, top: Path, names: list[str], suffixes: frozenset[str], passed: Counter[str]
) -> Iterator[Item]:
    paths = [here / name for name in names if Path(name).suffix.lower() in suffixes]
    there, stems = set(names), {path.with_suffix("") for path in paths}
    for path in paths:
        if path.name.startswith("."):
            passed["hidden files"] += 1
        elif _is_own(path, there, stems):
            passed["files that darkroom made"] += 1
        elif _has_ending(path, stems, SIDECAR_ENDINGS):
            passed["infrared files of other scans"] += 1
        else:
            yield Item(path, here.relative_to(top))


def _is_own(path: Path, names: set[str], stems: set[Path]) -> bool:
    """Whether darkroom made this file."""
    return (
        receipt_path(path).name in names
        or path.name.endswith((MASK_ENDING, REVIEW_MASK_ENDING))
        or _has_ending(path, stems, OWN_ENDINGS)
    )


def _has_ending(path: Path, stems: set[Path], endings: Sequence[str]) -> bool:
    """Whether a file is called like another beside it with one of these endings."""
    return any(
        path.stem.endswith(end) and path.with_name(path.stem.removesuffix(end)) in stems
        for end in endings
        if path.stem != end
    )

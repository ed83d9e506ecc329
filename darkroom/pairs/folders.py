"""Folders of pictures: which files count, and how published data sets lie in theirs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import InputError
from darkroom.io import scan_suffixes
from darkroom.io.beside import FOREIGN_FOLDERS, RECEIPT_ENDING
from darkroom.io.infrared import SIDECAR_ENDINGS
from darkroom.pairs.manifest import NAME as MANIFEST
from darkroom.pairs.split import SPLITS

MADE_HERE = (MANIFEST, "metrics.json")  # folders of data sets and of reports


@dataclass(frozen=True, slots=True)
class Layout:
    """One part of a published data set: its name, and its folders."""

    part: str
    scans: Path
    truths: Path | None
    masks: Path | None


def published(root: Path) -> list[Layout]:
    """The parts of a published layout; empty where there is none."""
    for base in (root, root / "FilmArtefac"):
        plain = [("", base), *((part, base / part) for part in SPLITS)]
        found = [
            Layout(part, at / "scan", _folder(at / "gt"), _folder(at / "mask"))
            for part, at in plain
            if (at / "scan").is_dir()
        ]
        found += [
            Layout(part, base / "train" / part, base / "GT" / part, None)
            for part in SPLITS
            if (base / "train" / part).is_dir() and (base / "GT" / part).is_dir()
        ]
        if found:
            return found
    return []


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


def pictures(folder: Path, also: Sequence[str] = ()) -> Iterator[Path]:
    """The pictures in a folder and the folders in it, sorted; `also` names further suffixes.

    Left out are hidden files, folders of other programs, infrared beside its scan, what darkroom
    cleaned (which has a receipt beside it), and folders that hold a data set or a report.

    Raises:
        InputError: a folder cannot be read.
    """
    suffixes = scan_suffixes() | set(also)
    entries = _entries(folder)
    names, stems = {path.name for path in entries}, {path.stem for path in entries}
    for path in entries:
        if path.name.startswith(".") or path.name in FOREIGN_FOLDERS:
            continue
        if path.is_dir():
            if not any((path / name).is_file() for name in MADE_HERE):
                yield from pictures(path, also)
        elif path.suffix.lower() in suffixes:
            cleaned = path.name + RECEIPT_ENDING in names
            scan = next((e for e in SIDECAR_ENDINGS if path.stem.endswith(e)), None)
            if not cleaned and (scan is None or path.stem.removesuffix(scan) not in stems):
                yield path


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error

"""From pairs of scans and retouched scans to tiles: register, correct tones, cut, split.

Pairs are read window by window; nothing is ever held whole. A pair that is finished leaves a record
in `.parts/`, so that a killed build goes on where it stopped; a pair whose files have changed since
is cut anew.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from darkroom.dataset.align import Aligned
from darkroom.dataset.crew import in_order
from darkroom.dataset.encoded import as_seen
from darkroom.dataset.folder import (
    PARTS,
    Splitting,
    assign,
    guard_folder,
    new_folder,
    remove_unlisted,
)
from darkroom.errors import DarkroomError, DarkroomWarning, InputError, OutputError, UsageError
from darkroom.geometry import Window
from darkroom.io import open_scan
from darkroom.io.atomic import locked, write_atomic
from darkroom.pairs.find import Pair
from darkroom.pairs.manifest import (
    NAME,
    SIDES,
    Manifest,
    PairRecord,
    TileRecord,
    source_hashes,
    tile_record,
)
from darkroom.pairs.split import families, merge_families
from darkroom.pairs.tiles import store_tile
from darkroom.pipeline.workers import ALONE, Crew
from darkroom.scan import Scan

SAME_PHOTO_BITS = 6  # perceptual hashes of 64 bits that differ in no more: one photograph
CUTTING = ("size", "stride", "grey", "max_empty", "seed", "labels")  # what tiles depend on

Advance: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of a build; see `darkroom dataset build --help`."""

    size: int = 256
    stride: int | None = None
    grey: bool = False
    max_empty: float | None = None
    group_by: str | None = None
    split: str = "family"
    val: float = 0.2
    test: float = 0.2
    seed: int = 0
    labels: str = "retouched"
    cache_bytes: int = 64 << 20

    def check(self) -> None:
        """A UsageError for what makes no sense."""
        if self.size < 16 or (self.stride is not None and self.stride < 1):
            raise UsageError(f"tiles of {self.size} pixels every {self.stride}: too small")
        if self.split not in ("family", "paper"):
            raise UsageError(f"no split named {self.split!r}", hint="one of: family, paper")
        if self.max_empty is not None and not 0 <= self.max_empty < 1:
            raise UsageError(f"--max-empty {self.max_empty} is not a share below 1")

    def table(self) -> dict[str, Any]:
        """As JSON values, without what changes no byte."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k != "cache_bytes"}


# A scan, its ground truth, and its mask where that is not to be told from the two.
Opened: TypeAlias = tuple[Scan, Scan, Scan | None]
Opener: TypeAlias = Callable[[Pair, Settings], AbstractContextManager[Opened]]


@contextmanager
def open_pair(pair: Pair, settings: Settings) -> Iterator[Opened]:
    """The files of a pair, as backends see them."""
    if pair.truth is None:
        raise InputError(f"{pair.scan}: no ground truth for it")
    cache = settings.cache_bytes
    with (
        open_scan(pair.scan, cache_bytes=cache) as scan,
        open_scan(pair.truth, cache_bytes=cache) as truth,
        open_scan(pair.mask, cache_bytes=cache) if pair.mask else nullcontext() as mask,
    ):
        yield as_seen(scan), as_seen(truth), mask


def build(
    pairs: Sequence[Pair],
    root: Path,
    settings: Settings,
    *,
    opener: Opener = open_pair,
    overwrite: bool = False,
    advance: Advance = lambda photo, done, total: None,
    crew: Crew = ALONE,
) -> tuple[Manifest, list[DarkroomError]]:
    """Build a data set, or go on with one that was interrupted.

    Args:
        pairs: see `find_pairs`.
        root: the data set's folder: new, empty, or left by a killed build of the same settings.
        settings: options.
        opener: opens a pair; it travels to the processes of a crew, so it must be picklable then.
        overwrite: replace a data set that is there.
        advance: told the photograph, and the pixels done and in all.
        crew: who cuts; what comes of it is the same.

    Returns:
        The manifest, written, and the pairs that failed, each with why.

    Raises:
        OutputError: if the folder holds something else or cannot be written.
        InputError: if no pair is usable, or a tile stands in two splits.
        UsageError: for impossible settings.
    """
    settings.check()
    how = Splitting(settings.split, settings.val, settings.test, settings.seed)
    sources = [path for pair in pairs for path in pair.files]
    if settings.group_by is not None:
        sources.append(Path(settings.group_by))
    with _folder(root, sources, settings, overwrite) as work:
        _name_removed(work, pairs)
        parts, wrong = list[dict[str, Any]](), list[DarkroomError]()
        cutting = Cutting(work, settings, opener, advance if crew.alone else None)
        for pair, (part, error) in zip(pairs, in_order(crew, cutting, pairs, advance), strict=True):
            if isinstance(error, OutputError):
                raise error
            if part is not None:
                parts.append(part)
            elif error is not None:
                named = str(error) if pair.scan.name in str(error) else f"{pair.scan}: {error}"
                wrong.append(InputError(named, hint=error.hint))
        tiles = [tile_record(values) for part in parts for values in part["tiles"]]
        if not tiles:
            shutil.rmtree(work, ignore_errors=True)
            raise wrong[0] if wrong else InputError("no tile could be cut")
        records = [PairRecord(**part["pair"]) for part in parts]
        hashes = {part["pair"]["photo"]: part["hash"] for part in parts}
        placed = assign(tiles, _families(pairs, hashes, settings.group_by), how)
        manifest = Manifest("build", settings.table(), placed, tuple(records), work)
        if (twins := manifest.duplicates()) and settings.split == "family":
            a, b = twins[0]
            raise InputError(
                f"{a} and {b} are the same tile in different splits ({len(twins)} such pairs)",
                hint="name their photographs one family with --group-by",
            )
        remove_unlisted(work, placed)
        manifest.save()
        shutil.rmtree(work / PARTS, ignore_errors=True)
    return dataclasses.replace(manifest, root=root), wrong


@dataclass(frozen=True, slots=True)
class Cutting:
    """What a process needs to cut pairs; called, it gives what cuts one.

    Attributes:
        root: the folder to work in.
        settings: options.
        opener: opens a pair.
        advance: told how far a pair is, or None in another process.
    """

    root: Path
    settings: Settings
    opener: Opener
    advance: Advance | None

    def __call__(self) -> Callable[[Pair], dict[str, Any]]:
        """What cuts a pair and gives its records."""
        advance = self.advance or (lambda photo, done, total: None)
        return lambda pair: _part(pair, self.root, self.settings, self.opener, advance)


@contextmanager
def _folder(
    root: Path, inputs: Sequence[Path], settings: Settings, overwrite: bool
) -> Iterator[Path]:
    """The folder to work in: made, or as an interrupted build of the same tiles left it."""
    table = settings.table()
    text = json.dumps({name: table[name] for name in CUTTING}, sort_keys=True)
    stamp = root / PARTS / "settings.json"
    if stamp.is_file() and not (root / NAME).exists():
        if stamp.read_text("utf-8") == text:
            guard_folder(root, inputs)
            with locked(root):
                yield root
            return
        if not overwrite:
            raise OutputError(
                f"{root}: holds an unfinished build with other settings",
                hint="repeat it with the same options, or use --overwrite",
            )
    with new_folder(root, inputs, overwrite=overwrite, resumable=True) as work:
        stamp = work / PARTS / "settings.json"
        stamp.parent.mkdir()
        write_atomic(stamp, text.encode())
        yield work


def _families(
    pairs: Sequence[Pair], hashes: dict[str, str], group_by: str | None
) -> dict[str, str]:
    """The family of every photograph that was cut: as told, and of those that look alike."""
    told = {pair.photo: pair.family for pair in pairs if pair.photo in hashes}
    if group_by is not None:
        told = families(told, group_by)
    alike = (
        (a, b)
        for (a, x), (b, y) in combinations(sorted(hashes.items()), 2)
        if (int(x, 16) ^ int(y, 16)).bit_count() <= SAME_PHOTO_BITS
    )
    return merge_families(told, alike)


def _record_file(root: Path, name: str) -> Path:
    return root / PARTS / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"


def _name_removed(root: Path, pairs: Sequence[Pair]) -> None:
    """Forget pairs of an interrupted build that are no longer among the pairs, and say so."""
    wanted = {_record_file(root, pair.name) for pair in pairs}
    for path in sorted((root / PARTS).glob("*.json")):
        if path not in wanted and path.name != "settings.json":
            name = json.loads(path.read_text("utf-8"))["name"]
            warnings.warn(
                f"{name}: no longer among the pairs; what was cut from it is removed",
                DarkroomWarning,
                stacklevel=3,
            )
            path.unlink()


def _part(
    pair: Pair, root: Path, settings: Settings, opener: Opener, advance: Advance
) -> dict[str, Any]:
    """The records of one pair: from an earlier run if its files are the same, or made now."""
    kept = _record_file(root, pair.name)
    sources = source_hashes(pair.scan, pair.truth or pair.scan)
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        if found["pair"]["sha256"] == sources:
            return found
        kept.unlink()
    with opener(pair, settings) as (scan, truth, mask):
        aligned = Aligned(scan, truth, settings.grey, same_tone=settings.labels != "retouched")
        record = PairRecord(
            pair.photo,
            Path(os.path.relpath(pair.scan, root)).as_posix(),
            Path(os.path.relpath(pair.truth or pair.scan, root)).as_posix(),
            scan.info.width,
            scan.info.height,
            aligned.registration.record(),
            aligned.tone.record(),
            sources,
        )
        tiles = _cut(aligned, pair, root, settings, advance, mask)
        part = {
            "name": pair.name,
            "pair": dataclasses.asdict(record),
            "tiles": [dataclasses.asdict(t) for t in tiles],
            "hash": aligned.thumbnail_hash(),
        }
    write_atomic(kept, json.dumps(part).encode())
    return part


def _cut(
    aligned: Aligned,
    pair: Pair,
    root: Path,
    settings: Settings,
    advance: Advance,
    mask: Scan | None,
) -> list[TileRecord]:
    info, size = aligned.scan.info, settings.size
    if min(info.width, info.height) < size:
        raise InputError(f"{info.path}: {info.width} x {info.height} is less than a tile of {size}")
    step = settings.stride or size
    found: list[TileRecord] = []
    for y in range(0, info.height - size + 1, step):
        for x in range(0, info.width - size + 1, step):
            window = Window(x, y, size, size)
            if aligned.covers(window):
                marked = None if mask is None else mask.read(window)[..., 0] > 0
                pixels = aligned.read(window)
                found.append(store_tile(root, pair.name, window, *pixels, mask=marked))
        advance(pair.name, (y + size) * info.width, info.height * info.width)
    return [dataclasses.replace(t, photo=pair.photo) for t in _without_empty(found, root, settings)]


def _without_empty(found: list[TileRecord], root: Path, settings: Settings) -> list[TileRecord]:
    """Tiles without the empty ones beyond the share `max_empty` of the result."""
    if settings.max_empty is None:
        return found
    empty = [t for t in found if not t.artefacts]
    share = settings.max_empty
    allowed = int((len(found) - len(empty)) * share / (1 - share))
    order = np.random.default_rng(settings.seed).permutation(len(empty))
    dropped = {empty[i].name for i in order[allowed:]}
    for name in dropped:
        for side in SIDES:
            (root / side / name).unlink()
    return [t for t in found if t.name not in dropped]

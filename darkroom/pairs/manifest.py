"""The manifest of a data set: what every tile is, where it came from, and its hashes."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from darkroom.errors import InputError
from darkroom.io.atomic import write_atomic
from darkroom.io.files import reading
from darkroom.pairs.split import leaks
from darkroom.values import read_json, typed

VERSION = 2
READABLE = (1, 2)  # the first had no hashes of sources
NAME = "manifest.json"
SIDES = ("scan", "gt", "mask")


@dataclass(frozen=True, slots=True)
class TileRecord:
    """One tile.

    Attributes:
        name: path below `scan/`, `gt/` and `mask/`.
        photo: identity of the photograph it was cut from, see `darkroom.pairs.find.Pair`.
        family: photographs that are versions of one another share it.
        split: train, val or test.
        window: x, y, width, height in the photograph, or grid indices where only those are known.
        sha256: of the three files, by side.
        artefacts: number by shape: speck, hair, scratch, blob.
        damaged: share of the pixels in the mask.
        changed: share of the pixels that differ at all, tone corrected.
        mse: mean squared error of doing nothing, in 8-bit levels squared.
        flags: why a trainer may want to leave it out.
        published: the split that the source had it in, if any.
    """

    name: str
    photo: str
    family: str
    split: str
    window: tuple[int, int, int, int]
    sha256: dict[str, str]
    artefacts: dict[str, int]
    damaged: float
    changed: float
    mse: float
    flags: tuple[str, ...] = ()
    published: str | None = None


@dataclass(frozen=True, slots=True)
class PairRecord:
    """Where tiles came from: a scan and its ground truth.

    Attributes:
        photo: identity of the photograph.
        scan: path of the scan from the data set's folder.
        gt: likewise of the ground truth; the scan itself where there was no other.
        width: of the scan.
        height: of the scan.
        registration: how the two were aligned.
        tone: how their tones differed.
        sha256: of the two files, by side.
    """

    photo: str
    scan: str
    gt: str
    width: int
    height: int
    registration: dict[str, Any] = field(default_factory=dict)
    tone: dict[str, float] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A data set: the settings it was made with, its pairs and its tiles, in order of name."""

    kind: str
    settings: dict[str, Any]
    tiles: tuple[TileRecord, ...]
    pairs: tuple[PairRecord, ...] = ()
    root: Path = field(default=Path(), compare=False)

    def save(self, *, overwrite: bool = False) -> Path:
        """Write `manifest.json` into the root."""
        body = {
            "version": VERSION,
            "kind": self.kind,
            "settings": self.settings,
            "pairs": [dataclasses.asdict(p) for p in self.pairs],
            "tiles": [dataclasses.asdict(t) for t in self.tiles],
        }
        text = json.dumps(body, indent=1, sort_keys=True) + "\n"
        return write_atomic(self.root / NAME, text.encode(), overwrite=overwrite)

    @classmethod
    def load(cls, root: Path) -> "Manifest":
        """The manifest of a data set.

        Raises:
            InputError: if there is none, or it is damaged or of a later version.
        """
        path = root / NAME
        if not path.exists():
            raise InputError(
                f"{root}: no data set here ({NAME} is missing)",
                hint="make one with darkroom dataset build or import",
            )
        try:
            body = read_json(path)
            version = body["version"]
            if version not in READABLE:
                raise InputError(
                    f"{path}: version {version} of the manifest is not known",
                    hint="a newer darkroom made it",
                )
            tiles = tuple(tile_record(values, path) for values in body["tiles"])
            pairs = tuple(typed(PairRecord, values, path) for values in body["pairs"])
            kind, settings = typed(str, body["kind"], path), typed(dict, body["settings"], path)
            return cls(kind, settings, tiles, pairs, root)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged manifest: {error!r}") from error

    def files(self) -> Iterator[Path]:
        """The manifest and every file of a tile."""
        yield self.root / NAME
        for tile in self.tiles:
            yield from (self.path(tile, side) for side in SIDES)

    def path(self, tile: TileRecord, side: str) -> Path:
        """The file of one side of a tile."""
        return self.root / side / tile.name

    def of(self, split: str) -> tuple[TileRecord, ...]:
        """The tiles of a split."""
        return tuple(t for t in self.tiles if t.split == split)

    def leaks(self) -> dict[str, int]:
        """Tiles outside train that share a family with train, by split."""
        return leaks((t.family, t.split) for t in self.tiles)

    def duplicates(self) -> list[tuple[str, str]]:
        """Pairs of tiles with the very same scan in different splits."""
        first: dict[str, TileRecord] = {}
        found = []
        for tile in self.tiles:
            twin = first.setdefault(tile.sha256.get("scan", tile.name), tile)
            if twin.split != tile.split:
                found.append((twin.name, tile.name))
        return found

    def summary(self) -> dict[str, dict[str, float]]:
        """Figures by split: tiles, photographs, families, flagged, artefacts, mse."""
        table: dict[str, dict[str, float]] = {}
        for split in sorted({t.split for t in self.tiles}):
            tiles = self.of(split)
            shapes: Counter[str] = Counter()
            for tile in tiles:
                shapes.update(tile.artefacts)
            table[split] = {
                "tiles": len(tiles),
                "photographs": len({t.photo for t in tiles}),
                "families": len({t.family for t in tiles}),
                "flagged": sum(bool(t.flags) for t in tiles),
                "artefacts": sum(shapes.values()),
                "damaged": sum(t.damaged for t in tiles) / len(tiles),
                "mse": sum(t.mse for t in tiles) / len(tiles),
            }
        return table


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits.

    Raises:
        InputError: it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tile_record(values: dict[str, Any], origin: object = NAME) -> TileRecord:
    """A record from its JSON values.

    Raises:
        InputError: they are damaged; the message begins with `origin`.
    """
    record = typed(TileRecord, values, origin)
    place = PurePosixPath(record.name)
    if place.is_absolute() or ".." in place.parts or not place.name:
        raise InputError(f"{origin}: {record.name!r} is no name of a tile")
    return record


def source_hashes(scan: Path, truth: Path) -> dict[str, str]:
    """SHA-256 of a scan and its ground truth, by side.

    Raises:
        InputError: one cannot be read.
    """
    return {"scan": digest(scan), "gt": digest(truth) if truth != scan else digest(scan)}


def verify(
    manifest: Manifest, advance: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[Path, str]]:
    """What is wrong with a data set: (path, "missing", "changed", "unlisted" or the like).

    Tiles are compared with their hashes, and so are the scans and truths that they were cut from.
    Sources are allowed to be absent all together, as where a data set was copied to another
    machine.
    """
    for tile in manifest.tiles:
        for side in SIDES:
            path = manifest.path(tile, side)
            if not path.is_file():
                yield path, "missing"
            elif digest(path) != tile.sha256.get(side):
                yield path, "changed"
        advance(1)
    listed = {t.name for t in manifest.tiles}
    for side in SIDES:
        folder = manifest.root / side
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            if path.relative_to(folder).as_posix() not in listed:
                yield path, "unlisted"
    yield from _changed_sources(manifest)


def _changed_sources(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    sources = {
        manifest.root / name: pair.sha256.get(side)
        for pair in manifest.pairs
        for side, name in (("scan", pair.scan), ("gt", pair.gt))
        if pair.sha256
    }
    if not any(path.is_file() for path in sources):
        return
    for path, known in sources.items():
        if not path.is_file():
            yield path, "removed since tiles were cut from it"
        elif digest(path) != known:
            yield path, "changed since tiles were cut from it"

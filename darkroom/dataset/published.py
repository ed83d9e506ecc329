"""The data set as the paper's authors published it, taken in and split anew by photograph.

Tiles are named PHOTOX-Y.png with X the column, one digit, and Y the row. The published split is at
random over tiles, so that nearly every validation tile has neighbours of the same photograph in
training; it is kept as `published`, to measure that.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from darkroom.errors import DarkroomError, InputError, OutputError, UsageError
from darkroom.io.atomic import writing
from darkroom.pairs.manifest import Manifest, TileRecord
from darkroom.pairs.split import merge_families, split_at_random, split_families
from darkroom.pairs.tiles import encode, measure, read_tile, write_tile

NAMED = re.compile(r"(?P<photo>.+)(?P<x>\d)-(?P<y>\d+)$")


class Source(NamedTuple):
    """A pair of files of the published set."""

    scan: Path
    gt: Path
    published: str
    photo: str
    x: int
    y: int


def find_pairs(folder: Path) -> tuple[list[Source], list[DarkroomError]]:
    """The pairs below a folder in either published layout, and what lacks a partner.

    `{train,val}/{scan,gt}`, or ground truth in `GT/{train,val}` and scans in `train/{train,val}`
    (also below `FilmArtefac/`).

    Raises:
        InputError: if the folder has neither layout.
    """
    for base in (folder, folder / "FilmArtefac"):
        plain = [(s, base / s / "scan", base / s / "gt") for s in ("train", "val")]
        other = [(s, base / "train" / s, base / "GT" / s) for s in ("train", "val")]
        for layout in (plain, other):
            present = [entry for entry in layout if entry[1].is_dir() and entry[2].is_dir()]
            if present:
                return _match(present)
    raise InputError(
        f"{folder}: not the published layout",
        hint="wanted are train/scan and train/gt (and val), or GT/train and train/train",
    )


def _match(layout: list[tuple[str, Path, Path]]) -> tuple[list[Source], list[DarkroomError]]:
    found, wrong = [], list[DarkroomError]()
    for split, scans, truths in layout:
        names = {p.name for p in scans.glob("*.png")}
        others = {p.name for p in truths.glob("*.png")}
        for name in sorted(names ^ others):
            side, lacking = (scans, "ground truth") if name in names else (truths, "scan")
            wrong.append(InputError(f"{side / name}: no {lacking} of this name"))
        for name in sorted(names & others):
            match = NAMED.fullmatch(name[:-4])
            if match is None:
                wrong.append(InputError(f"{scans / name}: not named PHOTOX-Y.png"))
                continue
            at = int(match["x"]), int(match["y"])
            found.append(Source(scans / name, truths / name, split, match["photo"], *at))
    return found, wrong


def group(photos: set[str], group_by: str | None) -> dict[str, str]:
    """The family of every photograph.

    Args:
        photos: their names.
        group_by: a table (CSV or TSV with columns photo and family), or a regular expression whose
            first group is the family; None makes every photograph a family.

    Raises:
        UsageError: if it is neither.
    """
    if group_by is None:
        return {photo: photo for photo in photos}
    path = Path(group_by)
    if path.is_file():
        text = path.read_text("utf-8").splitlines()
        table = list(csv.DictReader(text, delimiter="\t" if "\t" in text[0] else ","))
        if not table or not {"photo", "family"} <= table[0].keys():
            raise UsageError(f"{path}: no columns photo and family")
        known = {row["photo"]: row["family"] for row in table}
        return {photo: known.get(photo, photo) for photo in photos}
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UsageError(f"--group-by {group_by}: no such file, and no pattern: {error}") from error
    if not pattern.groups:
        raise UsageError(f"--group-by {group_by}: no such file, and a pattern without a group")
    return {p: (m[1] if (m := pattern.search(p)) else p) for p in photos}


def import_published(
    folder: Path,
    root: Path,
    *,
    group_by: str | None = None,
    split: str = "family",
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Manifest, list[DarkroomError]]:
    """Take the published data set in: tiles copied, masks made, families kept together.

    Photographs with a ground-truth tile in common are made one family, besides what `group_by`
    says.

    Args:
        folder: the published set.
        root: the data set to make; must not exist.
        group_by: see `group`.
        split: "family", "paper" (2/3 : 1/3 of the tiles at random) or "published" (as it came).
        val: share of tiles for validation.
        test: share of tiles for testing.
        seed: of the split.
        advance: told the number of tiles done and of all.

    Returns:
        The manifest, written, and what was left out and why.

    Raises:
        InputError: if the folder has neither layout or no usable pair.
        OutputError: if `root` exists or cannot be written.
        UsageError: for an unknown split.
    """
    if split not in ("family", "paper", "published"):
        raise UsageError(f"no split named {split!r}", hint="one of: family, paper, published")
    sources, wrong = find_pairs(folder)
    fresh_folder(root)
    tiles: list[tuple[Source, TileRecord]] = []
    for source in sources:
        try:
            tiles.append((source, _take(source, root)))
        except InputError as error:
            wrong.append(error)
        advance(len(tiles), len(sources))
    if not tiles:
        raise InputError(f"{folder}: no usable pair in it")
    families = merge_families(group({s.photo for s, _ in tiles}, group_by), _twins(tiles))
    records = assign(
        [record for _, record in tiles], families, split=split, val=val, test=test, seed=seed
    )
    settings = {"split": split, "val": val, "test": test, "seed": seed}
    manifest = Manifest("import", settings, tuple(records), root=root)
    manifest.save()
    return manifest, wrong


def fresh_folder(root: Path) -> None:
    """Make the folders of a new data set; an OutputError if it exists and is not empty."""
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise OutputError(f"{root}: already exists", hint="name another folder or remove it")
    with writing(root):
        for side in ("scan", "gt", "mask"):
            (root / side).mkdir(parents=True, exist_ok=True)


def _take(source: Source, root: Path) -> TileRecord:
    scan, gt = read_tile(source.scan), read_tile(source.gt)
    if scan.shape != gt.shape or scan.dtype != gt.dtype:
        raise InputError(
            f"{source.scan}: {scan.shape} {scan.dtype}, its ground truth {gt.shape} {gt.dtype}"
        )
    measured = measure(scan, gt)
    name = source.scan.name
    sha = {
        "scan": write_tile(root / "scan" / name, source.scan.read_bytes()),
        "gt": write_tile(root / "gt" / name, source.gt.read_bytes()),
        "mask": write_tile(root / "mask" / name, encode(measured.mask)),
    }
    return TileRecord(
        name=name,
        photo=source.photo,
        family=source.photo,
        split=source.published,
        window=(source.x, source.y, 1, 1),
        sha256=sha,
        artefacts=measured.artefacts,
        damaged=measured.damaged,
        changed=measured.changed,
        mse=measured.mse,
        flags=measured.flags,
        published=source.published,
    )


def _twins(tiles: list[tuple[Source, TileRecord]]) -> Iterator[tuple[str, str]]:
    """Pairs of photographs that share a tile of ground truth."""
    owners: dict[str, set[str]] = defaultdict(set)
    for source, record in tiles:
        owners[record.sha256["gt"]].add(source.photo)
    for photos in owners.values():
        yield from pairwise(sorted(photos))


def assign(
    tiles: list[TileRecord],
    families: dict[str, str],
    *,
    split: str,
    val: float,
    test: float,
    seed: int,
) -> list[TileRecord]:
    """The tiles, sorted by name, with family and split filled in."""
    from dataclasses import replace

    tiles = sorted(tiles, key=lambda t: t.name)
    tiles = [replace(t, family=families[t.photo]) for t in tiles]
    if split == "published":
        return tiles
    if split == "paper":
        drawn = split_at_random([t.name for t in tiles], seed=seed)
        return [replace(t, split=s) for t, s in zip(tiles, drawn, strict=True)]
    counts = Counter(t.family for t in tiles)
    chosen = split_families(counts, val=val, test=test, seed=seed)
    return [replace(t, split=chosen[t.family]) for t in tiles]

"""Patches that others cut and published, taken in and split anew by photograph.

The patches of the paper's authors are named PHOTOX-Y.png with X the column, one digit, and Y the
row. Their split is at random over patches, so that nearly every one in validation has neighbours
of the same photograph in training; it is kept as `published`, to measure that.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from darkroom.dataset.folder import Splitting, assign, new_folder
from darkroom.errors import DarkroomError, InputError
from darkroom.pairs.find import Pair, find_pairs
from darkroom.pairs.manifest import Manifest, TileRecord
from darkroom.pairs.read import read_mask, read_tile
from darkroom.pairs.split import PATCH, merge_families
from darkroom.pairs.tiles import encode, measure, suffix, write_tile
from darkroom.scan import Pixels


def import_published(
    folder: Path,
    root: Path,
    *,
    group_by: str | None = None,
    how: Splitting | None = None,
    overwrite: bool = False,
    advance: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[Manifest, list[DarkroomError]]:
    """Take patches in: files copied, masks made, families kept together.

    Photographs with a ground-truth patch in common are made one family, besides what `group_by`
    says. A patch whose name stands in several parts keeps the part in its name.

    Args:
        folder: a published layout, see `find_pairs`.
        root: the data set to make.
        group_by: see `darkroom.pairs.split.families`.
        how: how to split.
        overwrite: replace a data set that is there.
        advance: told the number of patches done and of all.

    Returns:
        The manifest, written, and what was left out and why.

    Raises:
        InputError: if the folder has no such layout or no usable pair.
        OutputError: if `root` exists or cannot be written.
    """
    how = how or Splitting()
    found = find_pairs(folder, group_by=group_by)
    if all(pair.truth is None for pair in found.pairs):
        raise InputError(
            f"{folder}: not a published layout",
            hint="wanted are train/scan and train/gt (and val), or GT/train and train/train",
        )
    wrong: list[DarkroomError] = list(found.wrong)
    short = [pair.name.removeprefix(f"{pair.split}/") for pair in found.pairs]
    shared = {name for name, count in Counter(short).items() if count > 1}
    tiles: list[TileRecord] = []
    inputs = [path for pair in found.pairs for path in pair.files]
    if group_by is not None:
        inputs.append(Path(group_by))
    with new_folder(root, inputs, overwrite=overwrite) as work:
        for pair, name in zip(found.pairs, short, strict=True):
            try:
                tiles.append(_take(pair, pair.name if name in shared else name, work))
            except InputError as error:
                wrong.append(error)
            advance("tiles", len(tiles), len(short))
        if not tiles:
            raise InputError(f"{folder}: no usable pair in it", hint=str(wrong[0]))
        told = {tile.photo: tile.family for tile in tiles}
        placed = assign(tiles, merge_families(told, _twins(tiles)), how)
        settings = {"split": how.by, "val": how.val, "test": how.test, "seed": how.seed}
        manifest = Manifest("import", settings, placed, root=work)
        manifest.save()
    return replace(manifest, root=root), wrong


def _take(pair: Pair, name: str, root: Path) -> TileRecord:
    if pair.truth is None:
        raise InputError(f"{pair.scan}: no ground truth for it")
    scan, gt = read_tile(pair.scan), read_tile(pair.truth)
    if scan.shape != gt.shape or scan.dtype != gt.dtype:
        raise InputError(
            f"{pair.scan}: {scan.shape} {scan.dtype}, its ground truth {gt.shape} {gt.dtype}"
        )
    measured = measure(scan, gt, read_mask(pair.mask) if pair.mask else None)
    place = PATCH.fullmatch(PurePosixPath(name).name)
    file = f"{name}{suffix(scan.dtype)}"
    return TileRecord(
        name=file,
        photo=pair.photo,
        family=pair.family,
        split=pair.split or "train",
        window=(int(place["x"]), int(place["y"]), 1, 1) if place else (0, 0, 1, 1),
        sha256={
            "scan": write_tile(root / "scan" / file, _bytes(pair.scan, scan)),
            "gt": write_tile(root / "gt" / file, _bytes(pair.truth, gt)),
            "mask": write_tile(root / "mask" / file, encode(measured.mask)),
        },
        artefacts=measured.artefacts,
        damaged=measured.damaged,
        changed=measured.changed,
        mse=measured.mse,
        flags=measured.flags,
        published=pair.split,
    )


def _bytes(path: Path, pixels: Pixels) -> bytes:
    """A picture's file as it is if it is a PNG, otherwise made one."""
    return path.read_bytes() if path.suffix.lower() == ".png" else encode(pixels)


def _twins(tiles: Iterable[TileRecord]) -> Iterator[tuple[str, str]]:
    """Pairs of photographs that share a tile of ground truth."""
    owners: dict[str, set[str]] = defaultdict(set)
    for tile in tiles:
        owners[tile.sha256["gt"]].add(tile.photo)
    for photos in owners.values():
        yield from pairwise(sorted(photos))

"""Data sets made by damaging clean photographs: by the model, or with real residues moved over."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import EIGHT
from darkroom.damage.model import DamageModel, apply
from darkroom.dataset.published import assign, fresh_folder
from darkroom.errors import DarkroomError, InputError
from darkroom.geometry import Window
from darkroom.io import open_scan, scan_suffixes
from darkroom.pairs.manifest import Manifest, TileRecord
from darkroom.pairs.tiles import level, read_tile, store_tile

Array = NDArray[Any]
Float = NDArray[np.float32]
MAX_DONORS = 4000


def photographs(folder: Path) -> list[Path]:
    """The scans in a folder, or the one file.

    Raises:
        InputError: if there is none.
    """
    if folder.is_file():
        return [folder]
    known = set(scan_suffixes())
    found = (
        sorted(p for p in folder.iterdir() if p.suffix.lower() in known) if folder.is_dir() else []
    )
    if not found:
        raise InputError(f"{folder}: no photograph in it")
    return found


def synthesise(
    photos: Sequence[Path],
    root: Path,
    model: DamageModel,
    *,
    dpi: float | None = None,
    size: int = 256,
    donors: Manifest | None = None,
    per_tile: float = 6.0,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    advance: Callable[[str, int, int], None] = lambda photo, done, total: None,
) -> tuple[Manifest, list[DarkroomError]]:
    """Damage clean photographs and cut them into tiles.

    Args:
        photos: files; each is a family of its own.
        root: the data set to make; must not exist.
        model: statistics of the damage; its amount varies from photograph to photograph.
        dpi: resolution; the file's own if None.
        size: side of a tile.
        donors: transplant residues of this data set's training tiles instead of using the model.
        per_tile: mean number of residues transplanted to a tile.
        val: share of tiles for validation.
        test: share of tiles for testing.
        seed: of damage and split.
        advance: told the photograph, and its rows done and in all.

    Returns:
        The manifest, written, and the photographs that failed, each with why.
    """
    fresh_folder(root)
    patches = list(residues(donors, seed)) if donors is not None else []
    if donors is not None and not patches:
        raise InputError(f"{donors.root}: no residue in its training tiles to transplant")
    tiles: list[TileRecord] = []
    wrong: list[DarkroomError] = []
    for path in photos:
        try:
            for tile in _tiles(path, root, model, dpi, size, patches, per_tile, seed, advance):
                tiles.append(tile)
        except InputError as error:
            wrong.append(error)
    if not tiles:
        raise wrong[0] if wrong else InputError("no tile could be cut")
    families = {t.photo: t.photo for t in tiles}
    placed = assign(tiles, families, split="family", val=val, test=test, seed=seed)
    settings = {
        "dpi": dpi,
        "size": size,
        "amount": model.amount,
        "polarity": model.polarity,
        "transplant": donors is not None,
        "val": val,
        "test": test,
        "seed": seed,
    }
    manifest = Manifest("synth", settings, tuple(placed), root=root)
    manifest.save()
    return manifest, wrong


def _tiles(
    path: Path,
    root: Path,
    model: DamageModel,
    dpi: float | None,
    size: int,
    patches: Sequence[Float],
    per_tile: float,
    seed: int,
    advance: Callable[[str, int, int], None],
) -> Iterator[TileRecord]:
    own = int(hashlib.sha256(f"{seed}:{path.stem}".encode()).hexdigest()[:15], 16)
    rng = np.random.default_rng(own)
    with open_scan(path) as scan:
        info = scan.info
        if dpi is None and info.resolution is None and not patches:
            raise InputError(f"{path}: says no resolution", hint="give one with --dpi")
        if min(info.width, info.height) < size:
            raise InputError(f"{path}: smaller than a tile of {size} pixels")
        resolution = dpi or (info.resolution or (2000.0,))[0]
        artefacts = (
            []
            if patches
            else model.draw_amount(rng).sample(info.width, info.height, resolution, own)
        )
        for y in range(0, info.height - size + 1, size):
            for x in range(0, info.width - size + 1, size):
                window = Window(x, y, size, size)
                truth = scan.read(window)[..., : info.channels]
                unit = np.float32(level(info.dtype) * 255)
                clean = truth.astype(np.float32) / unit
                if patches:
                    damaged = transplant(clean, patches, int(rng.poisson(per_tile)), rng)
                else:
                    damaged, _ = apply(clean, artefacts, window)
                yield _write(root, path.stem, window, truth, clean, damaged, unit)
            advance(path.name, y + size, info.height)


def _write(
    root: Path,
    photo: str,
    window: Window,
    truth: Array,
    clean: Float,
    damaged: Float,
    unit: np.float32,
) -> TileRecord:
    scan = truth.copy()
    touched = np.abs(damaged - clean).max(axis=2) > 0
    values = damaged[touched] * unit
    if truth.dtype.kind != "f":
        values = np.rint(np.clip(values, 0, np.iinfo(truth.dtype).max))
    scan[touched] = values.astype(truth.dtype)
    return store_tile(root, photo, window, scan, truth, judged=False)


def residues(manifest: Manifest, seed: int = 0) -> Iterator[Float]:
    """What artefacts added to their tiles: float32 (h, w, C) in [-1, 1], zero outside each.

    Only unflagged training tiles give; artefacts cut by a tile's edge do not.
    """
    tiles = [t for t in manifest.of("train") if t.artefacts and not t.flags]
    order = np.random.default_rng(seed).permutation(len(tiles))
    given = 0
    for index in order:
        tile = tiles[index]
        scan, gt, mask = (read_tile(manifest.path(tile, s)) for s in ("scan", "gt", "mask"))
        unit = level(scan.dtype) * 255
        difference = np.atleast_3d((scan.astype(np.float32) - gt.astype(np.float32)) / unit)
        labels, _ = ndi.label(mask > 0, EIGHT)
        height, width = labels.shape
        for number, (rows, columns) in enumerate(ndi.find_objects(labels), 1):
            inside = rows.start > 0 and columns.start > 0
            if not (inside and rows.stop < height and columns.stop < width):
                continue
            part = labels[rows, columns] == number
            yield np.where(part[..., None], difference[rows, columns], 0).astype(np.float32)
            given += 1
            if given == MAX_DONORS:
                return


def transplant(
    clean: Float, patches: Sequence[Float], count: int, rng: np.random.Generator
) -> Float:
    """A tile with `count` residues, turned and mirrored at random, added at random places."""
    damaged = clean.copy()
    height, width, channels = clean.shape
    for _ in range(count):
        patch = np.rot90(patches[int(rng.integers(len(patches)))], int(rng.integers(4)))
        patch = patch[:, ::-1] if rng.random() < 0.5 else patch
        h, w = patch.shape[:2]
        if h >= height or w >= width:
            continue
        y, x = int(rng.integers(height - h)), int(rng.integers(width - w))
        if patch.shape[2] != channels:
            patch = np.repeat(patch.mean(axis=2, keepdims=True), channels, axis=2)
        damaged[y : y + h, x : x + w] += patch
    clipped: Float = np.clip(damaged, 0, 1)
    return clipped


def shape_counts(tiles: Sequence[TileRecord]) -> dict[str, int]:
    """Artefacts by shape over many tiles."""
    total: Counter[str] = Counter()
    for tile in tiles:
        total.update(tile.artefacts)
    return dict(sorted(total.items()))

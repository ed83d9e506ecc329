"""Data sets made by damaging clean photographs: by the model, or with real residues moved over."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.damage.difference import CLEAN, DAMAGED, LEVELS
from darkroom.damage.model import DamageModel, apply
from darkroom.damage.transplant import Residue, lift
from darkroom.dataset.crew import Advance, in_order
from darkroom.dataset.encoded import as_seen
from darkroom.dataset.folder import Splitting, assign, new_folder
from darkroom.errors import BackendError, DarkroomError, InputError, UsageError
from darkroom.geometry import Window
from darkroom.io import open_scan
from darkroom.pairs.find import Pair, find_pairs
from darkroom.pairs.manifest import Manifest, PairRecord, TileRecord, source_hashes
from darkroom.pairs.read import load_picture
from darkroom.pairs.tiles import level, store_tile
from darkroom.pipeline.workers import ALONE, Crew
from darkroom.scan import Float, Scan

MAX_DONORS = 4000


@dataclass(frozen=True, slots=True)
class Damaging:
    """How photographs are damaged.

    Attributes:
        model: statistics of the damage; its amount varies from photograph to photograph.
        donors: a data set whose training pairs give residues to transplant instead, or None.
        dpi: resolution; the file's own if None.
        size: side of a tile.
        per_tile: mean number of residues transplanted to a tile.
        seed: of the damage.
        model_file: where the model is from, if it is not one of ours.
    """

    model: DamageModel
    donors: Path | None = None
    dpi: float | None = None
    size: int = 256
    per_tile: float = 6.0
    seed: int = 0
    model_file: Path | None = None

    def __post_init__(self) -> None:
        if self.size < 16:
            raise UsageError(f"tiles of {self.size} pixels: too small")
        if self.dpi is not None and not self.dpi > 0:
            raise UsageError(f"--dpi {self.dpi:g}: a resolution must be above 0")

    def table(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "dpi": self.dpi,
            "size": self.size,
            "amount": self.model.amount,
            "polarity": self.model.polarity,
            "transplant": self.donors is not None,
            "seed": self.seed,
        }


def synthesise(
    photos: Path,
    root: Path,
    damaging: Damaging,
    how: Splitting | None = None,
    *,
    overwrite: bool = False,
    advance: Callable[[str, int, int], None] = lambda photo, done, total: None,
    crew: Crew = ALONE,
) -> tuple[Manifest, list[DarkroomError]]:
    """Damage clean photographs and cut them into tiles.

    Args:
        photos: a photograph or a folder of them; each is a family of its own.
        root: the data set to make.
        damaging: how they are damaged.
        how: how tiles are split.
        overwrite: replace a data set that is there.
        advance: told the photograph, and its rows done and in all.
        crew: who works; what comes of it is the same.

    Returns:
        The manifest, written, and the photographs that failed, each with why.

    Raises:
        InputError: no photograph is usable, or the donors have no residue.
        OutputError: if `root` exists or cannot be written.
    """
    how = how or Splitting(seed=damaging.seed)
    pairs = find_pairs(photos).pairs
    tiles, records = list[TileRecord](), list[PairRecord]()
    wrong: list[DarkroomError] = []
    inputs = [path for pair in pairs for path in pair.files]
    if damaging.donors is not None:
        inputs += [path for pair in find_pairs(damaging.donors).pairs for path in pair.files]
    if damaging.model_file is not None:
        inputs.append(damaging.model_file)
    with new_folder(root, inputs, overwrite=overwrite) as work:
        damager = Damager(work, damaging, advance if crew.alone else None)
        for part, error in in_order(crew, damager, pairs, advance):
            if part is not None:
                tiles += part[0]
                records.append(part[1])
            elif isinstance(error, InputError | BackendError):
                wrong.append(error)
            elif error is not None:
                raise error
        if not tiles:
            raise wrong[0] if wrong else InputError("no tile could be cut")
        placed = assign(tiles, {t.photo: t.photo for t in tiles}, how)
        settings = damaging.table() | {"val": how.val, "test": how.test}
        manifest = Manifest("synth", settings, placed, tuple(records), work)
        manifest.save()
    return replace(manifest, root=root), wrong


@dataclass(frozen=True, slots=True)
class Damager:
    """What a process needs to damage photographs; called, it gives what damages one.

    Attributes:
        root: the folder to work in.
        damaging: how they are damaged.
        advance: told how far a photograph is, or None in another process.
    """

    root: Path
    damaging: Damaging
    advance: Advance | None

    def __call__(self) -> Callable[[Pair], tuple[list[TileRecord], PairRecord]]:
        """What damages a photograph and gives its records."""
        how = self.damaging
        lifted = residues(how.donors, how.seed) if how.donors else []
        advance = self.advance or (lambda photo, done, total: None)

        def damage(pair: Pair) -> tuple[list[TileRecord], PairRecord]:
            return list(_tiles(pair, self.root, how, lifted, advance)), _record(pair, self.root)

        return damage


def _record(pair: Pair, root: Path) -> PairRecord:
    with open_scan(pair.scan) as scan:
        width, height = scan.info.width, scan.info.height
    path = Path(os.path.relpath(pair.scan, root)).as_posix()
    hashes = source_hashes(pair.scan, pair.scan)
    return PairRecord(pair.name, path, path, width, height, sha256=hashes)


def _tiles(
    pair: Pair,
    root: Path,
    how: Damaging,
    lifted: Sequence[Residue],
    advance: Callable[[str, int, int], None],
) -> Iterator[TileRecord]:
    own = int(hashlib.sha256(f"{how.seed}:{pair.name}".encode()).hexdigest()[:15], 16)
    rng, size = np.random.default_rng(own), how.size
    with open_scan(pair.scan) as file:
        scan = as_seen(file)
        info = scan.info
        if how.dpi is None and info.resolution is None and not lifted:
            raise InputError(
                f"{pair.scan}: does not state its resolution", hint="give one with --dpi"
            )
        if min(info.width, info.height) < size:
            raise InputError(f"{pair.scan}: smaller than a tile of {size} pixels")
        dpi = how.dpi or (info.resolution or (2000.0,))[0]
        model = how.model.draw_amount(rng)
        artefacts = [] if lifted else model.sample(info.width, info.height, dpi, own)
        for y in range(0, info.height - size + 1, size):
            for x in range(0, info.width - size + 1, size):
                window = Window(x, y, size, size)
                truth, clean = _truth(scan, window)
                if lifted:
                    damaged = transplant(clean, lifted, int(rng.poisson(how.per_tile)), rng)
                else:
                    damaged, _ = apply(clean, artefacts, window)
                spoilt = _in_type(truth, clean, damaged)
                yield store_tile(root, pair.name, window, spoilt, truth, judged=False)
            advance(pair.name, y + size, info.height)


def _truth(scan: Scan, window: Window) -> tuple[NDArray[Any], Float]:
    """A window as it is, and in [0, 1]."""
    truth = scan.read(window)[..., : scan.info.channels]
    return truth, truth.astype(np.float32) / np.float32(level(truth.dtype) * LEVELS)


def _in_type(truth: NDArray[Any], clean: Float, damaged: Float) -> NDArray[Any]:
    """The damaged picture in the truth's own type, the very same where nothing was done."""
    scan = truth.copy()
    touched = np.abs(damaged - clean).max(axis=2) > 0
    values = damaged[touched] * np.float32(level(truth.dtype) * LEVELS)
    if truth.dtype.kind != "f":
        values = np.rint(np.clip(values, 0, np.iinfo(truth.dtype).max))
    scan[touched] = values.astype(truth.dtype)
    return scan


def residues(root: Path, seed: int = 0) -> list[Residue]:
    """Residues of a data set's training pairs that are not flagged, in random order.

    Raises:
        InputError: there is none.
    """
    pairs = [pair for pair in find_pairs(root, part="train").complete() if not pair.flags]
    found: list[Residue] = []
    for index in np.random.default_rng(seed).permutation(len(pairs)):
        picture = load_picture(pairs[index], channels=None)
        found += lift(picture.scan, picture.truth, picture.state == DAMAGED)
        if len(found) >= MAX_DONORS:
            break
    if not found:
        raise InputError(f"{root}: no residue in its training tiles to transplant")
    return found[:MAX_DONORS]


def transplant(
    clean: Float, lifted: Sequence[Residue], count: int, rng: np.random.Generator
) -> Float:
    """A picture (H, W, C) in [0, 1] with up to `count` residues laid over it anywhere."""
    scan = clean * np.float32(LEVELS)
    state = np.full(scan.shape[:2], CLEAN, np.uint8)
    for _ in range(count):
        residue = lifted[int(rng.integers(len(lifted)))].turned(int(rng.integers(8)))
        residue.in_channels(scan.shape[2]).layer(rng).lay(scan, state, rng)
    untouched = (state == CLEAN)[..., None]
    return np.asarray(np.where(untouched, clean, scan / np.float32(LEVELS)), np.float32)


def shape_counts(tiles: Sequence[TileRecord]) -> dict[str, int]:
    """Artefacts by shape over many tiles."""
    total: Counter[str] = Counter()
    for tile in tiles:
        total.update(tile.artefacts)
    return dict(sorted(total.items()))

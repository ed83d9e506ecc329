"""From folders of scans and retouched scans to tiles: pair, register, correct tones, cut, split.

Pairs are read window by window; nothing is ever held whole. A pair that is finished leaves a record
in `.parts/`, so that a killed build goes on where it stopped.
"""

import csv
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.dataset.published import assign, fresh_folder, group
from darkroom.dataset.register import Reader, Registration, reduced, register, warp
from darkroom.dataset.tone import Tone, fit_tone
from darkroom.errors import DarkroomError, InputError, OutputError, UsageError
from darkroom.geometry import Window
from darkroom.io import open_scan, scan_suffixes
from darkroom.io.atomic import write_atomic
from darkroom.pairs.manifest import NAME, Manifest, PairRecord, TileRecord
from darkroom.pairs.split import merge_families
from darkroom.pairs.tiles import level, store_tile
from darkroom.scan import Scan

Array = NDArray[Any]
SUFFIXES = ("_gt", "_clean", "_retouched")
PARTS = ".parts"
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
SAME_PHOTO_BITS = 6  # perceptual hashes of 64 bits that differ in no more: one photograph
TONE_SAMPLES = 24


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of a build; see `darkroom dataset build --help`."""

    size: int = 256
    stride: int | None = None
    grey: bool = False
    pair_suffix: str | None = None
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


# A scan, its ground truth, and its mask where that is not to be told from the two.
Opened: TypeAlias = tuple[Scan, Scan, Scan | None]
Opener: TypeAlias = Callable[[Path, Path, Settings], AbstractContextManager[Opened]]


@contextmanager
def open_pair(scan: Path, truth: Path, settings: Settings) -> Iterator[Opened]:
    """A pair of files as they are."""
    with (
        open_scan(scan, cache_bytes=settings.cache_bytes) as a,
        open_scan(truth, cache_bytes=settings.cache_bytes) as b,
    ):
        yield a, b, None


def find_pairs(
    scans: Path, truths: Path | None = None, pair_suffix: str | None = None
) -> tuple[list[tuple[Path, Path]], list[DarkroomError]]:
    """Pairs by stem, or the rows of a CSV file of pairs (scan, gt), and what has no partner.

    Raises:
        InputError: if a folder is missing or no pair is found.
    """
    if truths is None:
        pairs = _listed(scans)
        return pairs, []
    for folder in (scans, truths):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    endings = (pair_suffix,) if pair_suffix else SUFFIXES
    known = set(scan_suffixes())
    left = {p.stem: p for p in sorted(scans.iterdir()) if p.suffix.lower() in known}
    right: dict[str, Path] = {}
    for path in sorted(truths.iterdir()):
        if path.suffix.lower() in known:
            stem = next(
                (path.stem.removesuffix(e) for e in endings if path.stem.endswith(e)), path.stem
            )
            right[path.stem if path.stem in left and scans != truths else stem] = path
    if scans == truths:
        left = {s: p for s, p in left.items() if not s.endswith(endings)}
        right = {s: p for s, p in right.items() if p.stem.endswith(endings)}
    wrong: list[DarkroomError] = [
        InputError(f"{left[s]}: no ground truth of this name") for s in sorted(left.keys() - right)
    ]
    wrong += [InputError(f"{right[s]}: no scan of this name") for s in sorted(right.keys() - left)]
    pairs = [(left[s], right[s]) for s in sorted(left.keys() & right)]
    if not pairs:
        raise InputError(
            f"{scans}, {truths}: no pair in them", hint="names must match; see --pair-suffix"
        )
    return pairs, wrong


def _listed(table: Path) -> list[tuple[Path, Path]]:
    if not table.is_file():
        raise InputError(f"{table}: no such table of pairs")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"scan", "gt"} <= rows[0].keys():
        raise InputError(f"{table}: no columns scan and gt")
    return [(table.parent / row["scan"], table.parent / row["gt"]) for row in rows]


class Pair:
    """A scan and its ground truth, opened, registered and, unless both have one, matched in tone.

    Raises:
        InputError: if one cannot be read, their kinds differ, or they do not align.
    """

    def __init__(self, scan: Scan, truth: Scan, grey: bool, same_tone: bool = False) -> None:
        self.scan, self.truth, self.same_tone = scan, truth, same_tone
        self.grey = grey or scan.info.channels == 1
        a, b = scan.info, truth.info
        if a.dtype != b.dtype or a.channels != b.channels:
            raise InputError(
                f"{b.path}: {b.channels} x {b.dtype}, but its scan is {a.channels} x {a.dtype}",
                hint="save both with the same bit depth and channels",
            )
        self.scale = level(a.dtype)
        self.registration: Registration = register(
            self._luminance(scan),
            (a.width, a.height),
            self._luminance(truth),
            (b.width, b.height),
        )
        self.tone: Tone = fit_tone(self._samples(), self.scale)

    def _luminance(self, scan: Scan) -> Reader:
        channels = scan.info.channels

        def read(window: Window) -> NDArray[np.float32]:
            pixels = scan.read(window)[..., :channels].astype(np.float32)
            plane = pixels @ LUMINANCE if channels == 3 else pixels[..., 0]
            return np.ascontiguousarray(plane / np.float32(self.scale))

        return read

    def _samples(self) -> Iterator[tuple[Array, Array]]:
        info = self.scan.info
        side = min(128, info.width, info.height)
        for window in _spread(info.width, info.height, side, TONE_SAMPLES):
            if self.covers(window):
                yield self._raw(window)

    def _pixels(self, scan: Scan, window: Window) -> Array:
        pixels = scan.read(window)[..., : scan.info.channels]
        if not self.grey or pixels.shape[2] == 1:
            return pixels
        plane = pixels.astype(np.float32) @ LUMINANCE
        if pixels.dtype.kind != "f":
            plane = np.rint(plane)
        return np.asarray(plane[..., None].astype(pixels.dtype))

    def covers(self, window: Window) -> bool:
        """Whether the ground truth reaches all of a window of the scan."""
        corners = np.array(
            [[x, y] for x in (window.x, window.right) for y in (window.y, window.bottom)]
        )
        m = self.registration.matrix
        there = corners @ m[:, :2].T + m[:, 2]
        limit = (self.truth.info.width + 0.5, self.truth.info.height + 0.5)
        return bool((there >= -0.5).all() and (there <= limit).all())

    def _raw(self, window: Window) -> tuple[Array, Array]:
        scan = self._pixels(self.scan, window)
        if self.registration.model == "exact":
            return scan, self._pixels(self.truth, window)
        size = (self.truth.info.width, self.truth.info.height)
        planes = []
        for channel in range(scan.shape[2]):

            def read(w: Window, channel: int = channel) -> NDArray[np.float32]:
                plane = self._pixels(self.truth, w)[..., channel]
                return np.ascontiguousarray(plane, np.float32)

            planes.append(warp(read, size, self.registration.matrix, window))
        truth = np.stack(planes, axis=2)
        if scan.dtype.kind == "f":
            return scan, truth.astype(scan.dtype)
        return scan, np.rint(np.clip(truth, 0, np.iinfo(scan.dtype).max)).astype(scan.dtype)

    def read(self, window: Window) -> tuple[Array, Array]:
        """(scan, truth) under a window of the scan, (H, W, C) in the scan's type."""
        scan, truth = self._raw(window)
        return scan, truth if self.same_tone else self.tone.correct(truth, self.scale)

    def thumbnail_hash(self) -> str:
        """Perceptual hash of the truth: signs of the lowest 64 cosine coefficients but the mean."""
        import cv2

        info = self.truth.info
        size = (info.width, info.height)
        small = reduced(self._luminance(self.truth), size, max(1.0, min(size) / 64))
        small = np.asarray(cv2.resize(small, (32, 32), interpolation=cv2.INTER_AREA), np.float32)
        low = cv2.dct(small)[:8, :8].ravel()
        bits = low > np.median(low[1:])
        return f"{int(''.join('1' if b else '0' for b in bits), 2):016x}"


def _spread(width: int, height: int, side: int, count: int) -> Iterator[Window]:
    across = max(1, round(count**0.5))
    for y in np.linspace(0, height - side, across):
        for x in np.linspace(0, width - side, across):
            yield Window(int(x), int(y), side, side)


def build(
    pairs: Sequence[tuple[Path, Path]],
    root: Path,
    settings: Settings,
    *,
    opener: Opener = open_pair,
    advance: Callable[[str, int, int], None] = lambda photo, done, total: None,
) -> tuple[Manifest, list[DarkroomError]]:
    """Build a data set, or go on with one that was interrupted.

    Args:
        pairs: (scan, ground truth) files, see `find_pairs`.
        root: the data set's folder: new, empty, or left by a killed build of the same settings.
        settings: options.
        opener: opens a pair.
        advance: told the photograph, and the pixels done and in all.

    Returns:
        The manifest, written, and the pairs that failed, each with why.

    Raises:
        OutputError: if the folder holds something else or cannot be written.
        InputError: if no pair is usable, or a tile stands in two splits.
        UsageError: for impossible settings.
    """
    settings.check()
    _prepare(root, settings)
    wrong: list[DarkroomError] = []
    tiles: list[TileRecord] = []
    records: list[PairRecord] = []
    hashes: dict[str, str] = {}
    for scan, truth in pairs:
        try:
            part = _part(scan, truth, root, settings, opener, advance)
        except OutputError:
            raise
        except DarkroomError as error:
            named = str(error) if str(scan.name) in str(error) else f"{scan}: {error}"
            wrong.append(InputError(named, hint=error.hint))
            continue
        tiles += [TileRecord(**{**t, "window": tuple(t["window"]), "flags": tuple(t["flags"])})
                  for t in part["tiles"]]  # fmt: skip
        records.append(PairRecord(**part["pair"]))
        hashes[records[-1].photo] = part["hash"]
    if not tiles:
        shutil.rmtree(root, ignore_errors=True)
        raise wrong[0] if wrong else InputError("no tile could be cut")
    families = merge_families(group(set(hashes), settings.group_by), _alike(hashes))
    placed = assign(
        tiles,
        families,
        split=settings.split,
        val=settings.val,
        test=settings.test,
        seed=settings.seed,
    )
    manifest = Manifest("build", _described(settings), tuple(placed), tuple(records), root)
    if (twins := manifest.duplicates()) and settings.split == "family":
        a, b = twins[0]
        raise InputError(
            f"{a} and {b} are the same tile in different splits ({len(twins)} such pairs)",
            hint="name their photographs one family with --group-by",
        )
    manifest.save()
    shutil.rmtree(root / PARTS, ignore_errors=True)
    return manifest, wrong


def _described(settings: Settings) -> dict[str, Any]:
    described = dataclasses.asdict(settings)
    described.pop("cache_bytes")  # changes no byte
    return described


def _prepare(root: Path, settings: Settings) -> None:
    text = json.dumps(_described(settings), sort_keys=True)
    stamp = root / PARTS / "settings.json"
    if stamp.is_file() and not (root / NAME).exists():
        if stamp.read_text("utf-8") == text:
            return
        raise OutputError(
            f"{root}: holds an unfinished build with other settings",
            hint="repeat it with the same options, or remove the folder",
        )
    fresh_folder(root)
    stamp.parent.mkdir()
    write_atomic(stamp, text.encode())


def _alike(hashes: dict[str, str]) -> Iterator[tuple[str, str]]:
    for (a, x), (b, y) in combinations(sorted(hashes.items()), 2):
        if (int(x, 16) ^ int(y, 16)).bit_count() <= SAME_PHOTO_BITS:
            yield a, b


def _part(
    scan: Path,
    truth: Path,
    root: Path,
    settings: Settings,
    opener: Opener,
    advance: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """The records of one pair: from an earlier run, or made now."""
    photo = scan.stem
    kept = root / PARTS / f"{hashlib.sha256(str(scan).encode()).hexdigest()[:16]}.json"
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        return found
    with opener(scan, truth, settings) as (a, b, mask):
        pair = Pair(a, b, settings.grey, same_tone=mask is not None)
        info = a.info
        record = PairRecord(
            photo,
            scan.name,
            truth.name,
            info.width,
            info.height,
            pair.registration.record(),
            pair.tone.record(),
        )
        tiles = _cut(pair, photo, root, settings, advance, mask)
        part = {
            "pair": dataclasses.asdict(record),
            "tiles": [dataclasses.asdict(t) for t in tiles],
            "hash": pair.thumbnail_hash(),
        }
    write_atomic(kept, json.dumps(part).encode())
    return part


def _cut(
    pair: Pair,
    photo: str,
    root: Path,
    settings: Settings,
    advance: Callable[[str, int, int], None],
    mask: Scan | None,
) -> list[TileRecord]:
    info, size = pair.scan.info, settings.size
    if min(info.width, info.height) < size:
        raise InputError(f"{info.path}: {info.width} x {info.height} is less than a tile of {size}")
    step = settings.stride or size
    rows = range(0, info.height - size + 1, step)
    columns = range(0, info.width - size + 1, step)
    found: list[TileRecord] = []
    for y in rows:
        for x in columns:
            window = Window(x, y, size, size)
            if pair.covers(window):
                marked = None if mask is None else mask.read(window)[..., 0] > 0
                found.append(store_tile(root, photo, window, *pair.read(window), mask=marked))
        advance(photo, (y + size) * info.width, info.height * info.width)
    return _without_empty(found, root, settings)


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
        for side in ("scan", "gt", "mask"):
            (root / side / name).unlink()
    return [t for t in found if t.name not in dropped]

"""Pairs for training, in memory, and the crops cut from them.

A crop is a window of a pair with more damage than the pair has: artefacts lifted from other
pictures (*transplants*: the difference of scan and truth under the mask, pasted elsewhere) and
drawn ones. Some crops are the truth itself, in which nothing may be found, some are cut from
photographs that were never on film, and some get highlights that belong to the picture. Everything
about a crop follows from (seed, rank, step), so a run that is resumed sees what it would have seen.
"""

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy import ndimage as ndi

from darkroom.damage.difference import EIGHT, artefact_mask, tone_corrected
from darkroom.damage.lookalikes import Photograph, add_grain, cut, lookalikes
from darkroom.damage.shapes import draw_artefact, draw_highlight, lit
from darkroom.errors import InputError
from darkroom.training.config import TrainConfig
from darkroom.training.trainable import CLEAN, DAMAGED, UNDECIDED, Batch

Plane: TypeAlias = NDArray[np.float32]
States: TypeAlias = NDArray[np.uint8]

SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg"})
PATCH = re.compile(r"(?P<photo>.+)\d-\d+")
LEVELS = 255.0
FAINT = 2.5  # levels; differences above it that are no artefact are left undecided
LARGEST = 3.0  # times that crops are enlarged
SHARP = 0.5  # share of those with an artefact that is as sharp as before
COVERED = 0.3  # share of the grain that shows through damage
HIGHLIGHTS = 6  # most that are drawn into a crop
BRIGHTEST = 12.0  # levels; artefacts that reach less are not transplanted


@dataclass(frozen=True, slots=True)
class Picture:
    """A pair, grey, in levels of 8 bits.

    Attributes:
        name: of its file.
        scan: float32-convertible (H, W), 0 to 255.
        truth: the same size, freed of a global shift against the scan.
        state: uint8 (H, W): CLEAN, DAMAGED, UNDECIDED.
        retouched: share of pixels that differ from the truth and are no damage.
    """

    name: str
    scan: Plane
    truth: Plane
    state: States
    retouched: float


@dataclass(frozen=True, slots=True)
class Residue:
    """An artefact lifted from its picture.

    Attributes:
        change: (h, w) levels it added, 0 outside it.
        under: (h, w) what lay beneath, in levels.
        pick: its share in the choice.
    """

    change: Plane
    under: Plane
    pick: float


def find_pairs(root: Path, part: str, split: Path | None = None) -> list[tuple[Path, Path]]:
    """(scan, truth) files of one part of a data set.

    Args:
        root: a folder in the published layout: `train/scan`, `train/gt`, `val/scan`, `val/gt`.
        part: "train", "val" or "test".
        split: a tab-separated file with columns `photo` and `split`. With it all folders are one
            pool, and a patch NAME<x>-<y> belongs where its photograph NAME does.

    Raises:
        InputError: nothing there, a scan without its truth, or a photograph not in `split`.
    """
    folders = sorted(p.parent for p in root.glob("*/scan")) if split else [root / part]
    where = read_split(split) if split else {}
    found = []
    for folder in folders:
        for scan in sorted((folder / "scan").glob("*")):
            if scan.suffix.lower() not in SUFFIXES:
                continue
            if split and where.get(_photo(scan.stem, split, where)) != part:
                continue
            truth = folder / "gt" / scan.name
            if not truth.is_file():
                raise InputError(f"{scan} has no ground truth {truth}")
            found.append((scan, truth))
    if not found:
        raise InputError(
            f"{root}: no pairs for {part!r}", hint="Expected PART/scan/NAME and PART/gt/NAME."
        )
    return found


def read_split(path: Path, column: str = "split", default: str | None = None) -> dict[str, str]:
    """photo -> part, or another column.

    Args:
        path: tab-separated, with a heading.
        column: which.
        default: column to take where that one is missing.

    Raises:
        InputError: the file cannot be read or lacks the columns.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t")
            if default and column not in (rows.fieldnames or ()):
                column = default
            return {row["photo"]: row[column] for row in rows}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: needs tab-separated columns photo and {column}") from error


def groups_of(stems: Sequence[str], split: Path | None = None) -> list[str]:
    """What each patch belongs together with: its family, where the table has that column.

    Args:
        stems: names of patches, NAME<x>-<y>.
        split: a tab-separated file with columns `photo` and perhaps `family`.

    Raises:
        InputError: the file cannot be read or lacks the columns.
    """
    matches = ((stem, PATCH.fullmatch(stem)) for stem in stems)
    photos = [match["photo"] if match else stem for stem, match in matches]
    family = read_split(split, "family", default="photo") if split else {}
    return [family.get(photo, photo) for photo in photos]


def _photo(stem: str, split: Path, where: dict[str, str]) -> str:
    match = PATCH.fullmatch(stem)
    photo = match["photo"] if match else stem
    if photo not in where:
        raise InputError(f"{split} does not say where {photo!r} belongs")
    return photo


def load_picture(scan: Path, truth: Path) -> Picture:
    """Read a pair and mark its damage.

    Raises:
        InputError: a file cannot be read, or their sizes differ.
    """
    seen, meant = _read_grey(scan), _read_grey(truth)
    if seen.shape != meant.shape:
        raise InputError(f"{scan} and {truth} differ in size")
    damaged = artefact_mask(seen, meant)
    difference = tone_corrected(seen, meant)
    departs = np.abs(difference) > FAINT
    state = np.full(seen.shape, CLEAN, np.uint8)
    state[ndi.binary_dilation(damaged, EIGHT, iterations=2) | departs] = UNDECIDED
    state[damaged] = DAMAGED
    edited = float((np.abs(difference) > 4).mean() - damaged.mean())
    return Picture(scan.stem, seen, seen - difference, state, edited)


def _read_grey(path: Path) -> Plane:
    try:
        with Image.open(path) as image:
            deep = image.mode.startswith(("I", "F"))
            pixels = np.asarray(image if deep else image.convert("L"), np.float32)
            return pixels / np.float32(257) if deep and image.mode != "F" else pixels
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: {error}") from error


def digest(pairs: Sequence[tuple[Path, Path]]) -> str:
    """SHA-256 over the names and bytes of the files: which data trained a network."""
    total = hashlib.sha256()
    for pair in pairs:
        for path in pair:
            total.update(f"{path.parent.name}/{path.name}|".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def lift_residues(pictures: Sequence[Picture], largest: int = 90) -> list[Residue]:
    """The artefacts of the pictures, each with its surroundings of one pixel.

    Those cut by the picture's edge, longer than `largest`, or hardly visible are left out.
    """
    found = []
    for picture in pictures:
        labels, _ = ndi.label(picture.state == DAMAGED, EIGHT)
        height, width = labels.shape
        for number, box in enumerate(ndi.find_objects(labels), start=1):
            rows, columns = box
            if min(rows.start, columns.start) < 2 or rows.stop > height - 2:
                continue
            sides = rows.stop - rows.start, columns.stop - columns.start
            if columns.stop > width - 2 or max(sides) > largest:
                continue
            wide = np.s_[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1]
            own = labels[wide] == number
            under = picture.truth[wide]
            change = (picture.scan[wide] - under) * ndi.binary_dilation(own, EIGHT)
            peak = float(np.abs(change).max())
            if peak >= BRIGHTEST:
                pick = min(peak, 60.0) * min(int(own.sum()), 400) ** 0.5
                found.append(Residue(change.astype(np.float32), under.astype(np.float32), pick))
    return found


def usable(pictures: Sequence[Picture], config: TrainConfig) -> list[Picture]:
    """Those large enough for a crop and without edits of tone."""
    return [
        p for p in pictures if p.retouched <= config.tone_limit and min(p.scan.shape) >= config.crop
    ]


class CropSource:
    """Batches of crops, each determined by its step.

    Args:
        pictures: the training part; those with edits of tone are left out here.
        config: what crops are made of.
        rank: of this process among several; each gets crops of its own.
        photographs: clean ones, for the share of crops that `config.photographs` says.
        world: how many processes there are.

    Raises:
        InputError: no picture is left, or none as large as a crop.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        config: TrainConfig,
        rank: int = 0,
        photographs: Sequence[Photograph] = (),
        world: int = 1,
    ) -> None:
        self.config, self.rank, self.photographs = config, rank, photographs
        self.world = world
        self.pictures = usable(pictures, config)
        if not self.pictures:
            raise InputError(f"no training picture is {config.crop} pixels wide and high")
        self.spots = [np.argwhere(p.state == DAMAGED) for p in self.pictures]
        self.lookalikes = (
            [lookalikes(p.scan, p.state == CLEAN) for p in self.pictures] if config.hard else []
        )
        self.residues = lift_residues(self.pictures)
        self._picture_cdf = _cdf([1 + min(len(s), 400) / 40 for s in self.spots])
        self._residue_cdf = _cdf([r.pick for r in self.residues])

    def batch(self, step: int) -> Batch:
        """The batch of a step, on the CPU, not augmented yet."""
        rng = np.random.default_rng((self.config.seed, self.rank, step))
        first = (step * self.world + self.rank) * self.config.batch
        crops = [self.crop(rng, first + i) for i in range(self.config.batch)]
        scan, truth, state = (
            torch.from_numpy(np.stack([c[i] for c in crops]).astype(np.float32))[:, None]
            for i in range(3)
        )
        scan, truth = (scan / LEVELS).clamp(0, 1), (truth / LEVELS).clamp(0, 1)
        return Batch(scan, truth, state, (scan - truth).abs())

    def augmented(self, step: int, batch: Batch) -> Batch:
        """The batch of a step with its augmentation, on the device it is on."""
        seed = int(np.random.default_rng((self.config.seed, self.rank, step, 1)).integers(2**62))
        return augment(batch, self.config, torch.Generator().manual_seed(seed))

    def crop(self, rng: np.random.Generator, number: int = 0) -> tuple[Plane, Plane, States]:
        """Scan, truth and state of one crop; `number` counts those of the whole run."""
        c = self.config
        enlarged = bool(c.enlarged) and rng.random() < c.enlarged
        side = round(c.crop / rng.uniform(1.2, LARGEST)) if enlarged else c.crop
        if self.photographs and rng.random() < c.photographs:
            truth = cut(self.photographs, side, rng)
            scan, state = truth.copy(), np.full(truth.shape, CLEAN, np.uint8)
        else:
            scan, truth, state = self._film(rng, number, side)
        if c.highlights and rng.random() < c.highlights:
            for _ in range(rng.integers(1, HIGHLIGHTS + 1)):
                self._light(scan, truth, state, rng)
        if c.transplants and rng.random() < 0.6:
            for _ in range(rng.integers(1, c.transplants + 1)):
                self._damage(scan, state, rng)
        if enlarged:
            scan, truth, state = enlarge(scan, truth, state, c.crop, rng)
            if rng.random() < SHARP:
                self._cover(scan, state, draw_artefact(rng, c.crop / side), LEVELS, rng)
        turn = int(rng.integers(8)) if c.turns else 0
        return _dihedral(scan, turn), _dihedral(truth, turn), _dihedral(state, turn)

    def _film(self, rng: np.random.Generator, count: int, side: int) -> tuple[Plane, Plane, States]:
        number = self._in_turn(count) if self.config.epochs else _draw(self._picture_cdf, rng)
        window = self._window(number, rng, side)
        picture = self.pictures[number]
        scan, truth = picture.scan[window].copy(), picture.truth[window].copy()
        state = picture.state[window].copy()
        if rng.random() < self.config.clean:
            scan, state = truth.copy(), np.zeros_like(state)
        return scan, truth, state

    def _in_turn(self, count: int) -> int:
        """The picture of a crop where every pass shows each of them once."""
        epoch, position = divmod(count, len(self.pictures))
        order = np.random.default_rng((self.config.seed, epoch)).permutation(len(self.pictures))
        return int(order[position])

    def _window(self, number: int, rng: np.random.Generator, side: int) -> tuple[slice, slice]:
        spots = self.spots[number]
        height, width = self.pictures[number].scan.shape
        centred = rng.random()
        if self.config.damaged <= centred < self.config.damaged + self.config.hard:
            spots = self.lookalikes[number]
        if len(spots) and centred < self.config.damaged + self.config.hard:
            margin = min(8, side // 4)
            y, x = spots[rng.integers(len(spots))] - rng.integers(margin, side - margin, 2)
        else:
            y, x = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        y, x = int(np.clip(y, 0, height - side)), int(np.clip(x, 0, width - side))
        return slice(y, y + side), slice(x, x + side)

    def _damage(self, scan: Plane, state: States, rng: np.random.Generator) -> None:
        """Add one artefact, in place, where none is yet."""
        drawn = not self.residues or rng.random() < self.config.synthetic
        plane, towards = self._drawn(rng) if drawn else self._transplant(rng)
        self._cover(scan, state, plane, towards, rng)

    def _cover(
        self,
        scan: Plane,
        state: States,
        plane: Plane,
        towards: float | None,
        rng: np.random.Generator,
    ) -> None:
        """Add levels, or an opacity in front of a level, somewhere nothing is yet."""
        place = _free(plane, state, rng)
        if place is None:
            return
        before = scan[place]
        after = before + (plane if towards is None else plane * (towards - before))
        after = np.clip(after, 0, LEVELS)
        moved = np.abs(after - before)
        if moved.max() < 10:
            return
        scan[place] = after
        hit = moved > 4
        rim = (moved > 1.5) | ndi.binary_dilation(hit, EIGHT)
        state[place][rim] = UNDECIDED
        state[place][hit] = DAMAGED

    def _light(self, scan: Plane, truth: Plane, state: States, rng: np.random.Generator) -> None:
        """Draw a highlight into scan and truth alike: it is the picture's."""
        opacity = draw_highlight(rng)
        place = _free(opacity, state, rng)
        if place is not None:
            level = rng.uniform(150, LEVELS)
            truth[place] = lit(truth[place], opacity, level)
            scan[place] = lit(scan[place], opacity, level)

    def _drawn(self, rng: np.random.Generator) -> tuple[Plane, float | None]:
        return draw_artefact(rng), LEVELS if rng.random() < 0.8 else 0.0

    def _transplant(self, rng: np.random.Generator) -> tuple[Plane, float | None]:
        """(levels to add, None), or (opacity, the level it covers with)."""
        residue = self.residues[_draw(self._residue_cdf, rng)]
        turn = int(rng.integers(8))
        change, under = _dihedral(residue.change, turn), _dihedral(residue.under, turn)
        brighter = change.sum() > 0
        if brighter and rng.random() < 0.5:
            return np.clip(change / np.maximum(LEVELS - under, 20), 0, 1), LEVELS
        if not brighter and rng.random() < 0.3:
            return np.clip(-change / np.maximum(under, 20), 0, 1), 0.0
        return change * np.float32(rng.uniform(0.5, 1.4)), None


def _free(plane: Plane, state: States, rng: np.random.Generator) -> tuple[slice, slice] | None:
    """A place of that size, somewhere; None where it is taken by damage or there is no room."""
    height, width = plane.shape
    if height >= state.shape[0] or width >= state.shape[1]:
        return None
    y, x = rng.integers(0, state.shape[0] - height), rng.integers(0, state.shape[1] - width)
    place = np.s_[y : y + height, x : x + width]
    return None if (state[place] == DAMAGED).any() else place


def enlarge(
    scan: Plane, truth: Plane, state: States, side: int, rng: np.random.Generator
) -> tuple[Plane, Plane, States]:
    """A crop as a finer scan of the same film would show it: larger, softer, with its own grain.

    Damage covers most of the grain below it.

    Args:
        scan: (h, w), as `truth` and `state`.
        truth: without damage.
        state: of each pixel.
        side: of the result.
        rng: draws the grain.
    """
    size = (side, side)
    scan, truth = (
        np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_CUBIC), np.float32)
        for p in (scan, truth)
    )
    state = np.asarray(cv2.resize(state, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    grain = add_grain(truth, rng) - truth
    covered = np.where(state == DAMAGED, np.float32(COVERED), np.float32(1))
    return scan + covered * grain, truth + grain, state


def augment(batch: Batch, config: TrainConfig, generator: torch.Generator) -> Batch:
    """Gamma, contrast, polarity and noise, the same for scan and truth, on the batch's device.

    Written out rather than taken from a library of augmentations, since scan and truth must get
    exactly the same change and the states must not be interpolated.
    """
    count = len(batch.scan)

    def uniform(low: float, high: float) -> torch.Tensor:
        drawn = torch.rand((count, 1, 1, 1), generator=generator)
        return (low + (high - low) * drawn).to(batch.scan.device)

    def sometimes(share: float, value: torch.Tensor, otherwise: float) -> torch.Tensor:
        return torch.where(uniform(0, 1) < share, value, torch.full_like(value, otherwise))

    gamma = sometimes(config.tone, uniform(-0.5, 0.5).exp(), 1.0)
    contrast = sometimes(config.tone, uniform(0.7, 1.0), 1.0)
    offset = uniform(0, 1) * (1 - contrast)
    inverted = uniform(0, 1) < config.negative
    spread = sometimes(0.3, uniform(0, config.noise), 0.0)
    noise = torch.randn(batch.scan.shape, generator=generator).to(batch.scan.device) * spread

    def change(plane: torch.Tensor) -> torch.Tensor:
        toned = plane.clamp_min(1e-4) ** gamma * contrast + offset
        return (torch.where(inverted, 1 - toned, toned) + noise).clamp(0, 1)

    return Batch(change(batch.scan), change(batch.truth), batch.state, batch.weight)


def _dihedral(plane: NDArray[Any], turn: int) -> NDArray[Any]:
    return np.ascontiguousarray(np.rot90(plane[::-1] if turn > 3 else plane, turn % 4))


def _cdf(weights: Sequence[float]) -> NDArray[np.float64]:
    sums = np.cumsum(np.asarray(weights, np.float64))
    return sums / sums[-1] if len(sums) else sums


def _draw(cdf: NDArray[np.float64], rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(cdf, rng.random(), side="right")), len(cdf) - 1)

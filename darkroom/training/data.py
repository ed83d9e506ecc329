"""The crops that a network is trained on, cut from pairs in memory.

A crop is a window of a pair with more damage than the pair has: artefacts lifted from other
pictures (*transplants*) and such as the fitted model draws. Some crops are the truth itself, in
which nothing may be found, some are cut from photographs that were never on film, and some get
highlights that belong to the picture. Everything about a crop follows from (seed, rank, step), so
a run that is resumed sees what it would have seen.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.damage.difference import CLEAN, DAMAGED, LEVELS, UNDECIDED, beyond_grain
from darkroom.damage.grain import add_grain
from darkroom.damage.lookalikes import Photograph, cut, draw_highlight, lit, lookalikes
from darkroom.damage.model import DamageModel
from darkroom.damage.transplant import Layer, Residue, draw, lift
from darkroom.errors import InputError
from darkroom.pairs.find import Pair
from darkroom.pairs.folders import pictures as picture_files
from darkroom.pairs.manifest import digest as file_digest
from darkroom.pairs.read import Picture, read_levels
from darkroom.pairs.torch import Augment
from darkroom.scan import Bytes, Float, luminance
from darkroom.training.config import TrainConfig
from darkroom.training.trainable import Batch

LARGEST = 3.0  # times that crops are enlarged
SHARP = 0.5  # share of those with an artefact that is as sharp as before
COVERED = 0.3  # share of the grain that shows through damage
HIGHLIGHTS = 6  # most that are drawn into a crop
BRIGHTEST = 12.0  # levels; artefacts that reach less are not transplanted
LONGEST = 90  # pixels; nor those that are longer
DAMAGED_CROPS = 0.6  # share of crops that get more damage
DPI = (1800.0, 5000.0)  # resolutions that drawn artefacts are drawn for


def digest(pairs: Sequence[Pair]) -> str:
    """SHA-256 over the names and bytes of the files: which data trained a network."""
    total = hashlib.sha256()
    for pair in pairs:
        for path in pair.files:
            total.update(f"{path.parent.name}/{path.name}|".encode())
            total.update(bytes.fromhex(file_digest(path)))
    return total.hexdigest()


def load_photographs(folder: Path, smallest: int, channels: int = 1) -> list[Photograph]:
    """All pictures of a folder and those in it.

    Args:
        folder: of undamaged photographs.
        smallest: pictures less wide or high than this are left out.
        channels: 1 for luminance, 3 for colour.

    Raises:
        InputError: no picture is large enough, or one cannot be read.
    """
    planes = (read_levels(path, channels) for path in picture_files(folder, also=(".webp",)))
    found = [Photograph(p, lookalikes(p)) for p in planes if min(p.shape[:2]) >= smallest]
    if not found:
        raise InputError(f"{folder}: no photograph of at least {smallest} x {smallest} pixels")
    return found


def lift_residues(pictures: Sequence[Picture]) -> list[Residue]:
    """Artefacts of the pictures that are worth transplanting: whole, visible and not too long."""
    return [
        residue
        for picture in pictures
        for residue in lift(picture.scan, picture.truth, picture.state == DAMAGED, largest=LONGEST)
        if residue.peak >= BRIGHTEST
    ]


def usable(pictures: Sequence[Picture], config: TrainConfig) -> list[Picture]:
    """Those large enough for a crop and without edits of tone."""
    return [
        p
        for p in pictures
        if p.retouched <= config.tone_limit and min(p.scan.shape[:2]) >= config.crop
    ]


def without_swapped_grain(picture: Picture) -> Picture:
    """The picture with what a retoucher's brush gave other grain, and no more, undecided."""
    damaged = picture.state == DAMAGED
    state = picture.state.copy()
    state[damaged & ~beyond_grain(picture.scan, picture.truth, damaged)] = UNDECIDED
    return replace(picture, state=state)


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
        if config.beyond_grain:
            self.pictures = [without_swapped_grain(p) for p in self.pictures]
        if not self.pictures:
            side = config.crop
            raise InputError(f"no training picture is {side} pixels wide and high, as crop asks")
        self.spots = [np.argwhere(p.state == DAMAGED) for p in self.pictures]
        self.lookalikes = (
            [lookalikes(p.scan, p.state == CLEAN) for p in self.pictures] if config.hard else []
        )
        self.residues = lift_residues(self.pictures)
        self.model = DamageModel.load()
        self.augment = Augment(
            turns=config.turns, tone=config.tone, negative=config.negative, noise=config.noise
        )
        self._picture_cdf = _cdf([1 + min(len(s), 400) / 40 for s in self.spots])
        self._residue_cdf = _cdf([r.pick for r in self.residues])

    def batch(self, step: int) -> Batch:
        """The batch of a step, on the CPU, not augmented yet."""
        rng = np.random.default_rng((self.config.seed, self.rank, step))
        first = (step * self.world + self.rank) * self.config.batch
        crops = [self.crop(rng, first + i) for i in range(self.config.batch)]
        scan, truth, state = (
            torch.from_numpy(np.stack([np.moveaxis(c[i], 2, 0) for c in crops]).astype(np.float32))
            for i in range(3)
        )
        scan, truth = (scan / LEVELS).clamp(0, 1), (truth / LEVELS).clamp(0, 1)
        return Batch(scan, truth, state, (scan - truth).abs().amax(1, keepdim=True))

    def augmented(self, step: int, batch: Batch) -> Batch:
        """The batch of a step with its augmentation, on the device it is on."""
        seed = int(np.random.default_rng((self.config.seed, self.rank, step, 1)).integers(2**62))
        planes = {"scan": batch.scan, "gt": batch.truth}
        planes |= {"state": batch.state, "weight": batch.weight}
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            out = self.augment(planes)
        return Batch(out["scan"], out["gt"], out["state"], out["weight"])

    def crop(self, rng: np.random.Generator, number: int = 0) -> tuple[Float, Float, Bytes]:
        """Scan, truth and state of one crop, (side, side, C); `number` counts all of the run."""
        c = self.config
        enlarged = bool(c.enlarged) and rng.random() < c.enlarged
        side = round(c.crop / rng.uniform(1.2, LARGEST)) if enlarged else c.crop
        if self.photographs and rng.random() < c.photographs:
            truth = np.atleast_3d(cut(self.photographs, side, rng))
            if truth.shape[2] > 1 and c.grey and rng.random() < c.grey:
                truth = np.repeat(luminance(truth)[..., None], truth.shape[2], axis=2)
            scan, state = truth.copy(), np.full((side, side), CLEAN, np.uint8)
        else:
            scan, truth, state = self._film(rng, number, side)
        if c.highlights and rng.random() < c.highlights:
            for _ in range(rng.integers(1, HIGHLIGHTS + 1)):
                _light(scan, truth, state, rng)
        if c.transplants and rng.random() < DAMAGED_CROPS:
            for _ in range(rng.integers(1, c.transplants + 1)):
                self._layer(scan, rng).lay(scan, state, rng)
        if enlarged:
            scan, truth, state = enlarge(scan, truth, state, c.crop, rng)
            if rng.random() < SHARP:
                self._drawn(scan, rng, c.crop / side).lay(scan, state, rng)
        return scan, truth, state[..., None]

    def _film(self, rng: np.random.Generator, count: int, side: int) -> tuple[Float, Float, Bytes]:
        number = self._in_turn(count) if self.config.epochs else _draw(self._picture_cdf, rng)
        window = self._window(number, rng, side)
        picture = self.pictures[number]
        scan, truth = (np.atleast_3d(p[window]).copy() for p in (picture.scan, picture.truth))
        state = picture.state[window].copy()
        if rng.random() < self.config.clean:
            scan, state = truth.copy(), np.full_like(state, CLEAN)
        return scan, truth, state

    def _in_turn(self, count: int) -> int:
        """The picture of a crop where every pass shows each of them once."""
        epoch, position = divmod(count, len(self.pictures))
        order = np.random.default_rng((self.config.seed, epoch)).permutation(len(self.pictures))
        return int(order[position])

    def _window(self, number: int, rng: np.random.Generator, side: int) -> tuple[slice, slice]:
        spots = self.spots[number]
        height, width = self.pictures[number].scan.shape[:2]
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

    def _layer(self, scan: Float, rng: np.random.Generator) -> Layer:
        """One artefact more, drawn or transplanted."""
        if not self.residues or rng.random() < self.config.synthetic:
            return self._drawn(scan, rng)
        residue = self.residues[_draw(self._residue_cdf, rng)]
        return residue.turned(int(rng.integers(8))).layer(rng)

    def _drawn(self, scan: Float, rng: np.random.Generator, size: float = 1.0) -> Layer:
        """An artefact of the model, as large as on film scanned so many times finer."""
        dpi = size * float(np.exp(rng.uniform(*np.log(DPI))))
        return draw(self.model, dpi, scan.shape[:2], scan.shape[2], rng)


def _light(scan: Float, truth: Float, state: Bytes, rng: np.random.Generator) -> None:
    """Draw a highlight into scan and truth alike: it is the picture's."""
    opacity = draw_highlight(rng)
    height, width = opacity.shape
    if height >= state.shape[0] or width >= state.shape[1]:
        return
    y, x = rng.integers(state.shape[0] - height), rng.integers(state.shape[1] - width)
    place = np.s_[y : y + height, x : x + width]
    if not (state[place] == DAMAGED).any():
        level = rng.uniform(150, LEVELS)
        truth[place] = lit(truth[place], opacity, level)
        scan[place] = lit(scan[place], opacity, level)


def enlarge(
    scan: Float, truth: Float, state: Bytes, side: int, rng: np.random.Generator
) -> tuple[Float, Float, Bytes]:
    """A crop as a finer scan of the same film would show it: larger, softer, with its own grain.

    Damage covers most of the grain below it.

    Args:
        scan: (h, w, C), as `truth`.
        truth: without damage.
        state: of each pixel, (h, w).
        side: of the result.
        rng: draws the grain.
    """
    size = (side, side)
    scan, truth = (
        np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_CUBIC), np.float32).reshape(
            side, side, -1
        )
        for p in (scan, truth)
    )
    state = np.asarray(cv2.resize(state, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    grain = add_grain(truth, rng) - truth
    covered = np.where(state == DAMAGED, np.float32(COVERED), np.float32(1))[..., None]
    return scan + covered * grain, truth + grain, state


def _cdf(weights: Sequence[float]) -> NDArray[np.float64]:
    sums = np.cumsum(np.asarray(weights, np.float64))
    return sums / sums[-1] if len(sums) else sums


def _draw(cdf: NDArray[np.float64], rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(cdf, rng.random(), side="right")), len(cdf) - 1)

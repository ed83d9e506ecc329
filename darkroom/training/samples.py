"""What a judge is fitted on: retouched film, and clean photographs with and without damage.

Film shows what retouchers remove, but few subjects, one polarity for most part, and specks that
they left. Clean photographs show what only looks like dust; with modelled damage on them they show
dark dust, colour and every kind of grain.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy import ndimage as ndi

from darkroom.damage.lookalikes import SUFFIXES
from darkroom.damage.model import DamageModel, apply
from darkroom.errors import InputError
from darkroom.scan import Float
from darkroom.training.data import LEVELS, Picture
from darkroom.training.trainable import DAMAGED

SIDE = 384
DPI = (1000.0, 1500.0, 2000.0, 2700.0, 3200.0, 4000.0)
SHARP_UP_TO = 2000.0  # pixels per inch; photographs are enlarged to look as finer scans do
GRAIN = (1.0, 10.0)  # levels, standard deviation in the mid-tones
GRAIN_SIZE = (0.4, 1.6)  # pixels, standard deviation of the blur that makes it
COMMON = 0.6  # share of the grain's standard deviation that all channels have in common
AMOUNT = 3.0  # times the damage of real frames
PLAIN = 4.0 / LEVELS  # what differs by more is damaged


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture whose damage is known.

    Attributes:
        name: for messages.
        group: what belongs together; a judge is tried on other groups than it was fitted on.
        scan: float32 (H, W, C), C = 1 or 3, gamma-encoded in [0, 1].
        truth: the same without damage.
        damaged: bool (H, W).
        dpi: pixels per inch, or None.
        clean: nothing of it is damaged, and all that is found is a false alarm.
    """

    name: str
    group: str
    scan: Float
    truth: Float
    damaged: NDArray[np.bool_]
    dpi: float | None = None
    clean: bool = False


def film_samples(pictures: Sequence[Picture], groups: Sequence[str]) -> Iterator[Sample]:
    """Hand-retouched film as samples."""
    for picture, group in zip(pictures, groups, strict=True):
        scan, truth = (
            np.ascontiguousarray(p[..., None] / LEVELS, np.float32)
            for p in (picture.scan, picture.truth)
        )
        yield Sample(picture.name, group, scan, truth, picture.state == DAMAGED)


def photograph_files(folder: Path, without: Sequence[str] = ()) -> list[Path]:
    """The pictures of a folder.

    Args:
        folder: searched without its subfolders.
        without: stems of files that are kept for measuring.

    Raises:
        InputError: there is none.
    """
    found = sorted(
        p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES and p.stem not in set(without)
    )
    if not found:
        raise InputError(f"{folder}: no photograph in it")
    return found


def photograph_samples(files: Sequence[Path], seed: int = 0) -> Iterator[Sample]:
    """Two samples of each photograph: a crop as it is, and one as a damaged scan.

    What becomes of a photograph follows from its name and the seed. Those smaller than `SIDE`
    pixels are left out.

    Raises:
        InputError: one cannot be read.
    """
    for path in files:
        digest = hashlib.sha256(f"{seed}:{path.name}".encode()).hexdigest()
        rng = np.random.default_rng(int(digest[:15], 16))
        picture = _read(path)
        if min(picture.shape[:2]) < SIDE:
            continue
        crop = _crop(picture, SIDE, rng)
        nothing = np.zeros(crop.shape[:2], bool)
        yield Sample(path.name, path.stem, crop, crop, nothing, clean=True)
        yield _damaged(path, picture, rng)


def _damaged(path: Path, picture: Float, rng: np.random.Generator) -> Sample:
    dpi = float(rng.choice(DPI))
    larger = max(1.0, dpi / SHARP_UP_TO)
    truth = _crop(picture, int(np.ceil(SIDE / larger)), rng)
    if larger > 1:
        truth = cv2.resize(truth, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    if rng.random() < 0.5:
        truth = truth.mean(axis=2, keepdims=True)
    truth = _grained(truth, rng)
    polarity = "bright" if rng.random() < 0.5 else "dark"
    model = DamageModel.load(polarity=polarity)
    model = DamageModel(model.table, AMOUNT, model.polarity).draw_amount(rng)
    damage = model.sample(SIDE, SIDE, dpi, int(rng.integers(2**31)))
    scan = np.clip(apply(truth, damage)[0], 0, 1).astype(np.float32)
    hit = np.abs(scan - truth).max(axis=2) > PLAIN
    return Sample(f"{path.name}, damaged", path.stem, scan, truth, hit, dpi)


def _grained(picture: Float, rng: np.random.Generator) -> Float:
    """With film grain, strongest in the mid-tones, partly common to all channels."""
    low, high = np.log(GRAIN)
    strength = np.exp(rng.uniform(low, high)) / LEVELS
    size = rng.uniform(*GRAIN_SIZE)
    noise = rng.standard_normal((*picture.shape[:2], picture.shape[2] + 1)).astype(np.float32)
    noise = ndi.gaussian_filter(noise, (size, size, 0))
    noise /= noise.std()
    own = np.sqrt(1 - COMMON**2) * noise[..., 1:]
    tone = 0.4 + 2.4 * picture * (1 - picture)
    grained = picture + strength * tone * (COMMON * noise[..., :1] + own)
    return np.clip(grained, 0, 1).astype(np.float32)


def _crop(picture: Float, side: int, rng: np.random.Generator) -> Float:
    y, x = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
    return np.ascontiguousarray(picture[y : y + side, x : x + side])


def _read(path: Path) -> Float:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), np.float32) / np.float32(LEVELS)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: {error}") from error

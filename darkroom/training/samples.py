"""What a judge is fitted on: retouched film, and clean photographs with and without damage.

Film shows what retouchers remove, but few subjects, one polarity for most part, and specks that
they left. Clean photographs show what only looks like dust; with modelled damage on them they show
dark dust, colour and every kind of grain.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy import ndimage as ndi

from darkroom.damage.difference import DAMAGED, LEVELS
from darkroom.damage.model import DamageModel, apply
from darkroom.errors import InputError
from darkroom.pairs.folders import pictures
from darkroom.pairs.read import Picture
from darkroom.scan import Float, luminance
from darkroom.values import read_text

SIDE = 384  # of the crops of photographs
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
        kind: "film", "modelled" (damage on a photograph) or "clean" (a photograph as it is, in
            which all that is found is a false alarm).
    """

    name: str
    group: str
    scan: Float
    truth: Float
    damaged: NDArray[np.bool_]
    dpi: float | None = None
    kind: str = "film"


Source: TypeAlias = Callable[[], Sample]
"""Makes a sample where it is needed; may be sent to another process."""


def film_sources(pictures: Sequence[Picture], groups: Sequence[str]) -> list[Source]:
    """Hand-retouched film as samples."""
    return [partial(_film, *pair) for pair in zip(pictures, groups, strict=True)]


def photograph_sources(files: Sequence[Path], seed: int = 0) -> list[Source]:
    """Two samples of each photograph: a crop as it is, and one as a damaged scan.

    What becomes of a photograph follows from its name and the seed. Making one raises `InputError`
    where the file cannot be read.
    """
    return [partial(make, path, seed) for path in files for make in (_clean, _damaged)]


def _film(picture: Picture, group: str) -> Sample:
    scan, truth = (
        np.ascontiguousarray(np.atleast_3d(p) / LEVELS, np.float32)
        for p in (picture.scan, picture.truth)
    )
    if (scan == scan[..., :1]).all() and (truth == truth[..., :1]).all():
        scan, truth = scan[..., :1], truth[..., :1]  # grey, shown to a network as colour
    return Sample(picture.name, group, scan, truth, picture.state == DAMAGED)


def photograph_files(folder: Path, without: Sequence[str] = ()) -> list[Path]:
    """The pictures of a folder.

    Args:
        folder: searched without its subfolders.
        without: stems of files that are kept for measuring.

    Raises:
        InputError: there is none.
    """
    left_out = set(without)
    found = [p for p in pictures(folder, also=(".webp",)) if p.stem not in left_out]
    if not found:
        raise InputError(f"{folder}: no photograph in it")
    return found


def read_names(path: Path) -> list[str]:
    """The names of a list, one a line.

    Raises:
        InputError: it cannot be read.
    """
    return read_text(path).split()


def _clean(path: Path, seed: int) -> Sample:
    rng = _rng(path, seed, "clean")
    crop = _crop(_read(path), SIDE, rng)
    if rng.random() < 0.5:  # or colour would tell photographs from film, which is grey
        crop = luminance(crop)[..., None]
    return Sample(path.name, path.stem, crop, crop, np.zeros(crop.shape[:2], bool), kind="clean")


def _damaged(path: Path, seed: int) -> Sample:
    rng = _rng(path, seed, "modelled")
    dpi = float(rng.choice(DPI))
    larger = max(1.0, dpi / SHARP_UP_TO)
    truth = _crop(_read(path), int(np.ceil(SIDE / larger)), rng)
    if larger > 1:
        size = tuple(min(SIDE, round(n * larger)) for n in truth.shape[1::-1])
        truth = cv2.resize(truth, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    if rng.random() < 0.5:
        truth = luminance(truth)[..., None]
    truth = _grained(truth, rng)
    model = DamageModel.load(polarity="bright" if rng.random() < 0.5 else "dark")
    model = replace(model, amount=AMOUNT).draw_amount(rng)
    height, width = truth.shape[:2]
    damage = model.sample(width, height, dpi, int(rng.integers(2**31)))
    scan = np.clip(apply(truth, damage)[0], 0, 1).astype(np.float32)
    hit = np.abs(scan - truth).max(axis=2) > PLAIN
    return Sample(f"{path.name}, damaged", path.stem, scan, truth, hit, dpi, "modelled")


def _rng(path: Path, seed: int, kind: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{kind}:{path.name}".encode()).hexdigest()
    return np.random.default_rng(int(digest[:15], 16))


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
    return np.asarray(np.clip(grained, 0, 1), np.float32)


def _crop(picture: Float, side: int, rng: np.random.Generator) -> Float:
    """A square of the picture, or as much as there is."""
    y, x = (int(rng.integers(0, max(n - side, 0) + 1)) for n in picture.shape[:2])
    return np.ascontiguousarray(picture[y : y + side, x : x + side])


def _read(path: Path) -> Float:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), np.float32) / np.float32(LEVELS)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: {error}") from error

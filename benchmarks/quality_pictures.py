"""The pictures that `quality.py` measures on: which photographs are held out, and modelled scans.

A modelled scan is a crop of a photograph at some resolution, with film grain, on which dirt lies:
outlines of artefacts from empty frames that were really scanned, and drawn shapes. Its clean twin
has the same grain, so that every difference is damage. All of it follows from the photograph's name
and its place among the held-out ones.
"""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage as ndi

HELD_OUT = 60
MEASURED_ON = ("scan-7.json", "scan-9.json")  # frames whose outlines measure and never train
SHAPE_EVERY = 5
FRAMES_DPI = {True: 3500.0, False: 2350.0}  # of a frame wider than 4000 pixels, and of others
DPI = (1000, 1500, 2000, 2700, 3200, 4000)
POLARITIES = ("bright", "dark", "both")
GRAIN = (1.0, 10.0)  # levels of 255, standard deviation in the mid-tones
GRAIN_SIZE = (0.4, 1.6)  # pixels, standard deviation of the blur that makes it
COMMON = 0.6  # share of the grain's standard deviation that all channels have in common
MOST_OUTLINES = 120
SHAPES = {"hair": 0.35, "hair-short": 0.25, "lint": 0.1, "scratches": 0.1}  # the rest evenly
SHAPE_SIDE = (12.0, 90.0)  # pixels at 2000 dpi
VISIBLE = 4.0  # levels from which a pixel counts as damaged


@dataclass(frozen=True)
class Photo:
    """A photograph of the folder: its file, number and kind."""

    path: Path
    number: str
    kind: str


@dataclass(frozen=True)
class Modelled:
    """What a modelled scan is made of: dots per inch, "bright", "dark" or "both", and its grain."""

    photo: Photo
    colour: bool
    dpi: int
    polarity: str
    grain: float
    grain_size: float


def photographs(folder):
    """All photographs that the folder's `photos.tsv` names."""
    with (folder / "photos.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [Photo(folder / f"{row['id']}.webp", row["id"], row["kind"]) for row in rows]


def order(photo):
    """A number that says nothing about the picture: SHA-256 of its file name."""
    return hashlib.sha256(photo.path.name.encode()).hexdigest()


def held_out(photos, count=HELD_OUT):
    """Photographs kept for measuring, by number: some of every kind, chosen by file name alone.

    Within each kind they are ranked by `order`; those of least rank / size of the kind are taken.
    """
    kinds = {}
    for photo in photos:
        kinds.setdefault(photo.kind, []).append(photo)
    ranked = [
        (rank / len(group), order(photo), photo)
        for group in kinds.values()
        for rank, photo in enumerate(sorted(group, key=order))
    ]
    chosen = [photo for *_, photo in sorted(ranked, key=lambda row: row[:2])[:count]]
    return sorted(chosen, key=lambda photo: photo.number)


def conditions(photos, seed=0):
    """What to make of each photograph: every resolution, polarity and grain equally often."""
    rng, n = np.random.default_rng(seed), len(photos)

    def spread(values):
        return [values[i * len(values) // n] for i in rng.permutation(n)]

    def between(low, high):
        return np.exp(np.log(low) + (rng.permutation(n) + 0.5) / n * np.log(high / low))

    columns = zip(
        *(photos, spread((False, True)), spread(DPI), spread(POLARITIES)),
        *(between(*GRAIN), between(*GRAIN_SIZE)),
        strict=True,
    )
    return [Modelled(*row) for row in columns]


class Dirt:
    """Outlines of real frames and drawn shapes, those kept for measuring or the others.

    Args:
        frames: folder of `scan-*.json`; `MEASURED_ON` are for measuring.
        shapes: folder of KIND/NNN.png; every `SHAPE_EVERY`th is for measuring.
        measuring: which of them.
    """

    def __init__(self, frames, shapes, measuring=True):
        self.frames = []
        for path in sorted(frames.glob("scan-*.json")):
            if (path.name in MEASURED_ON) != measuring:
                continue
            outlines = [np.array(a["points"], float) for a in json.loads(path.read_text())]
            size = np.concatenate(outlines).max(0) + 1
            if len(outlines) > 200:  # one frame was marked only in part
                self.frames.append((outlines, size, FRAMES_DPI[bool(size[0] > 4000)]))
        self.shapes = {}
        for folder in sorted(p for p in shapes.iterdir() if p.is_dir()):
            files = sorted(folder.glob("*.png"))
            every = set(files[::SHAPE_EVERY])
            self.shapes[folder.name] = [f for f in files if (f in every) == measuring]

    def alphas(self, side, dpi, rng):
        """(row, column, float32 alpha) of each artefact on a square of film of `side` pixels."""
        blur = rng.uniform(0.4, 1.2) * max(1.0, dpi / 2500)
        for outline in self._outlines(side, dpi, rng):
            yield place(outline, blur, rng)
        others = sorted(set(self.shapes) - set(SHAPES))
        kinds = [*SHAPES, *others]
        odds = [*SHAPES.values(), *[(1 - sum(SHAPES.values())) / len(others)] * len(others)]
        for _ in range(rng.integers(3, 9)):
            files = self.shapes[str(rng.choice(kinds, p=odds))]
            alpha = self._shape(files[rng.integers(len(files))], side, dpi, rng)
            y, x = (int(rng.integers(-n // 3, side - n // 2)) for n in alpha.shape)
            yield y, x, ndi.gaussian_filter(alpha, blur / 2)

    def _outlines(self, side, dpi, rng):
        outlines, size, own = self.frames[rng.integers(len(self.frames))]
        window = side * own / dpi
        corner = rng.uniform(0, np.maximum(size - window, 1))
        centres = np.array([(o.min(0) + o.max(0)) / 2 for o in outlines])
        inside = np.flatnonzero(((centres > corner) & (centres < corner + window)).all(1))
        rng.shuffle(inside)
        return [(outlines[i] - corner) * dpi / own for i in inside[:MOST_OUTLINES]]

    @staticmethod
    def _shape(path, side, dpi, rng):
        alpha = np.asarray(Image.open(path).convert("L"), np.float32) / 255
        longest = float(np.exp(rng.uniform(*np.log(SHAPE_SIDE)))) * dpi / 2000
        scale = min(longest, side / 2) / max(alpha.shape)
        size = tuple(max(3, round(n * scale)) for n in alpha.shape[::-1])
        small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
        small = np.pad(np.rot90(small, rng.integers(4)), 3)
        return small / max(float(small.max()), 1e-3)


def place(outline, blur, rng, fine=4):
    """(row, column, alpha) of a polygon of (x, y) points, with a soft edge."""
    margin = int(np.ceil(3 * blur)) + 1
    corner = np.floor(outline.min(0)).astype(int) - margin
    width, height = np.ceil(outline.max(0)).astype(int) + margin - corner
    large = np.zeros((height * fine, width * fine), np.uint8)
    points = np.rint((outline - corner) * fine).astype(np.int32)
    cv2.fillPoly(large, [points], 255)
    alpha = cv2.resize(large, (int(width), int(height)), interpolation=cv2.INTER_AREA) / 255.0
    alpha = ndi.gaussian_filter(alpha, blur)
    alpha *= rng.uniform(0.6, 1.0) / max(float(alpha.max()), 0.3)
    return int(corner[1]), int(corner[0]), alpha.astype(np.float32)


def make(modelled, dirt, side, seed=()):
    """(damaged, clean): uint16 (side, side) or (side, side, 3), gamma-encoded."""
    rng = np.random.default_rng((*seed, int(order(modelled.photo)[:15], 16)))
    clean = _film(modelled, side, rng)
    side = len(clean)  # of a small photograph
    damaged = clean.copy()
    for y, x, alpha in dirt.alphas(side, modelled.dpi, rng):
        bright = {"bright": True, "dark": False}.get(modelled.polarity, rng.random() < 0.5)
        level = rng.uniform(0.85, 1.0) if bright else rng.uniform(0.0, 0.12)
        colour = np.clip(level + rng.normal(0, 0.03, clean.shape[2]), 0, 1).astype(np.float32)
        top, left = max(y, 0), max(x, 0)
        part = (alpha * np.float32(rng.uniform(0.35, 1.0)))[top - y :, left - x :]
        part = part[: side - top, : side - left, None] if top < side and left < side else None
        if part is not None and part.size:
            at = np.s_[top : top + part.shape[0], left : left + part.shape[1]]
            damaged[at] += part * (colour - damaged[at])
    deep = [np.rint(p.clip(0, 1) * 65535).astype(np.uint16) for p in (damaged, clean)]
    return tuple(p if modelled.colour else p[..., 0] for p in deep)


def _film(modelled, side, rng):
    """The photograph on film: float32 (side, side, C) in [0, 1]."""
    larger = max(1.0, modelled.dpi / 2000)
    with Image.open(modelled.photo.path) as image:
        picture = np.asarray(image.convert("RGB" if modelled.colour else "L"), np.float32) / 255
    picture = picture[..., None] if picture.ndim == 2 else picture
    small = int(np.ceil(side / larger))
    y, x = (int(rng.integers(0, max(1, n - small + 1))) for n in picture.shape[:2])
    crop = picture[y : y + small, x : x + small]
    side = min(side, int(min(crop.shape[:2]) * larger))
    method = cv2.INTER_CUBIC if larger > 1 else cv2.INTER_AREA
    if larger > 1:
        size = [round(n * larger) for n in crop.shape[1::-1]]
        crop = cv2.resize(crop, size, interpolation=method)
        crop = crop[..., None] if crop.ndim == 2 else crop
    crop = crop[:side, :side]
    noise = rng.standard_normal((*crop.shape[:2], crop.shape[2] + 1)).astype(np.float32)
    noise = ndi.gaussian_filter(noise, (modelled.grain_size, modelled.grain_size, 0))
    noise /= noise.std()
    own = np.sqrt(1 - COMMON**2) * noise[..., 1:] if modelled.colour else 0.8 * noise[..., 1:]
    tone = 0.4 + 2.4 * crop * (1 - crop)
    grain = modelled.grain / 255 * tone * (COMMON * noise[..., :1] + own)
    return np.clip(crop + grain, 0, 1).astype(np.float32)

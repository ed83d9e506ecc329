"""Line scratches drawn on pictures, with the truth."""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SUFFIXES = (".webp", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
GRAIN = (0.012, 0.035)  # standard deviation of the grain, gamma-encoded


@dataclass(frozen=True)
class Line:
    """A scratch: its middle across (NaN where it is broken off) at each pixel along, its width."""

    upright: bool
    middle: np.ndarray
    width: float
    contrast: float
    kind: str


def photographs(folder, part, leave_out=()):
    """The files of a part: "dev" to choose and fit by, "report" for figures.

    Every second photograph of the folder belongs to each; those left out go to "report".
    """
    files = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in SUFFIXES)
    dev = [p for i, p in enumerate(files) if i % 2 and p.stem not in leave_out]
    return dev if part == "dev" else [p for p in files if p not in set(dev)]


def kinds(folder):
    """{stem: kind} from the folder's table, if it has one."""
    table = Path(folder) / "photos.tsv"
    if not table.exists():
        return {}
    rows = csv.DictReader(table.read_text("utf-8").splitlines(), delimiter="\t")
    return {row["id"]: row["kind"] for row in rows}


def photograph(path, side=None, rng=None):
    """A photograph as float32 (H, W, 3) in [0, 1]; a piece of at most `side` pixels square."""
    picture = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    if side is None:
        return picture
    height, width = picture.shape[:2]
    y = int(rng.integers(max(0, height - side) + 1))
    x = int(rng.integers(max(0, width - side) + 1))
    return picture[y : y + side, x : x + side]


def smooth(values, sigma):
    """A Gaussian mean of a series."""
    row = np.asarray(values, np.float64)[None]
    return cv2.GaussianBlur(row, (0, 1), sigmaX=sigma, sigmaY=0.1)[0]


def any_scratch(picture, sigma, rng, contrasts):
    """Draws one scratch of any kind into the picture, in place; returns the `Line`."""
    contrast = float(rng.choice(contrasts))
    chance = 0.8 if picture.mean() < 0.5 else 0.2
    kind = rng.choice(("plain", "plain", "rims", "layer", "opaque"))
    more = {}
    if kind == "rims":
        more["rims"] = True
    if kind == "layer":
        more["layer"] = int(rng.integers(3))
    if kind == "opaque":
        more["opaque"] = float(rng.uniform(0.1, 0.95))
    return draw(
        *(picture, sigma, rng),
        upright=bool(rng.random() < 0.5),
        contrast=contrast,
        width=float(rng.uniform(1, 12)),
        bright=bool(rng.random() < chance),
        **more,
    )


def grainy(picture, sigma, rng):
    """The picture (H, W, C) in [0, 1] with grain of a standard deviation."""
    noise = cv2.GaussianBlur(rng.standard_normal(picture.shape, np.float32), (0, 0), 0.7)
    return np.clip(picture + noise * (sigma / noise.std()), 0, 1).astype(np.float32)


def course(length, along, rng, *, waviness=None, broken=None):
    """The course of a line `length` pixels long through the frame, in pixels from its start."""
    s = np.arange(length)
    slope = rng.uniform(-0.006, 0.006)
    wave = rng.uniform(0, 2.5) if waviness is None else waviness
    period = rng.uniform(0.4, 2.0) * length
    middle = slope * s + wave * np.sin(2 * np.pi * (s / period + rng.random()))
    if broken or (broken is None and rng.random() < 0.35):
        gaps = rng.integers(1, 5)
        for _ in range(gaps):
            size = int(rng.uniform(0.04, 0.12) * length)
            start = rng.integers(0, length - size)
            middle[start : start + size] = np.nan
    return middle


def profile(distance, width, rims):
    """The cross-section of a scratch, at most 1, with soft edges."""
    soft = max(0.6, 0.18 * width)
    half = max(width / 2 - 0.4 * soft, 0.1)
    shape = 1 / (1 + np.exp(np.clip((np.abs(distance) - half) / (soft / 2.5), -40, 40)))
    shape = shape / max(shape.max(), 1e-6)
    if rims:
        ring = np.exp(-(((np.abs(distance) - width / 2 - 1.2 * soft) / (0.8 * soft + 0.5)) ** 2))
        shape = shape - 0.6 * ring
    return shape


def draw(
    picture,
    sigma,
    rng,
    *,
    upright,
    contrast,
    width,
    bright,
    rims=False,
    layer=None,
    opaque=None,
    waviness=None,
    broken=None,
    at=None,
):
    """Scratches the picture in place, a pair or more for a tramline; returns the `Line`.

    Args:
        picture: float32 (H, W, C).
        sigma: of its grain.
        rng: random numbers.
        upright: whether it runs from top to bottom.
        contrast: in standard deviations of the grain, at the middle of the line.
        width: pixels.
        bright: brighter than the picture.
        rims: with rims of the other sign.
        layer: the one channel it lies in, or None for all.
        opaque: share by which it covers the picture instead of adding to it, or None.
    """
    view = picture if upright else picture.transpose(1, 0, 2)
    length, across = view.shape[:2]
    middle = course(length, across, rng, waviness=waviness, broken=broken)
    if at is None:
        at = rng.uniform(0.06, 0.94) * across
    middle = np.clip(middle + at, 14, across - 15)
    reach = int(np.ceil(2 * width + 6))
    channels = range(view.shape[2]) if layer is None else (layer,)
    drift = smooth(rng.normal(size=length), length / 12)
    strength = contrast * sigma * (1 + 0.12 * drift / max(drift.std(), 1e-9))
    x0 = max(0, int(np.nanmin(middle)) - reach)
    x1 = min(across, int(np.nanmax(middle)) + reach + 1)
    distance = np.arange(x0, x1) - middle[:, None]
    shape = np.nan_to_num(profile(distance, width, rims) * ~np.isnan(middle)[:, None])
    before = view[:, x0:x1].copy()
    for c in channels:
        part = view[:, x0:x1, c]
        if opaque is None:
            part += (strength[:, None] * shape * (1 if bright else -1)).astype(np.float32)
        else:
            target = 1.0 if bright else 0.0
            part += (opaque * shape * (target - part)).astype(np.float32)
    np.clip(view, 0, 1, out=view)
    # Where the picture was white or black already, nobody sees a scratch.
    change = np.abs(view[:, x0:x1] - before).max(axis=2)
    seen = smooth(change.max(axis=1), 8) > 0.5 * contrast * sigma
    middle = np.where(seen, middle, np.nan)
    kind = "rims" if rims else "layer" if layer is not None else "bright" if bright else "dark"
    return Line(upright, middle, width, contrast, kind)

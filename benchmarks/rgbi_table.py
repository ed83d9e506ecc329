"""Small modelled RGBI scans for the table of `infrared_quality.py`, one for each of its cells.

A cell is a size, a sharpness, a polarity, a strength and a registration. Film, dyes, grain and
scanner noise are those of `rgbi.py`; the dust is drawn here, so that every property is known.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from rgbi import _dyes as dyes
from rgbi import as_seen

HEIGHT, WIDTH = 480, 640
# Radius in pixels, and how many to a frame; the flake covers 5 % of it.
SIZES = {
    "1 px": (0.5, 50),
    "5 px": (2.5, 40),
    "12 px": (6.0, 16),
    "30 px": (15.0, 5),
    "hair": (1.2, 9),
    "5 % of frame": (70.0, 1),
}
SHARPNESS = {"sharp": 0.0, "soft": 1.2}  # sigma in pixels, of the picture
# What the core keeps of infrared light, and the exponent of the picture's light for dark dust and
# for dust that lets film show through.
STRENGTHS = {"0.20": (0.2, 2.0, 0.5), "0.62": (0.62, 7.0, 1.5), "0.92": (0.92, 7.0, 3.0)}
POLARITIES = ("dark", "bright", "half")
BRIGHT = 0.9  # linear light of bright dust
# The largest shift is 5 % of the longer side.
REGISTRATIONS = {
    "aligned": {},
    "0.6, -0.4 px": {"shift": (0.6, -0.4)},
    "5 % shift": {"shift": (31.3, -22.7)},
    "1 degree": {"angle": 1.0, "shift": (3.0, 2.0)},
    "1 % scale": {"scale": 1.01},
    "slowly varying": {"wave": 2.0, "shift": (4.2, -3.1)},
    "half size": {"half": True},
    "vignette 70 %": {"vignette": 0.7},
    "out of focus": {"focus": 1.5},
    "inverted": {"inverted": True},
}
CYAN, MAGENTA, YELLOW = 0.06, 0.02, 0.01  # density in infrared for each density of dye
SCANNER_NOISE, PICTURE_NOISE = 0.003, 0.0015
INFRARED_WHITE = 0.8


@dataclass(frozen=True)
class Cell:
    """One cell of the table; the fields are keys of the tables above."""

    size: str = "5 px"
    sharpness: str = "soft"
    polarity: str = "dark"
    strength: str = "0.62"
    registration: str = "aligned"


@dataclass(frozen=True)
class Modelled:
    """A scan with linear samples, its infrared, and its clean twin.

    Attributes:
        damaged: uint16 (H, W, 3).
        clean: the same without damage.
        infrared: uint16 (H', W').
        cover: float (H, W), 0 where there is no dust to 1 where it lies full.
    """

    damaged: np.ndarray
    clean: np.ndarray
    infrared: np.ndarray
    cover: np.ndarray


def cells(registrations: tuple[str, ...] = ("aligned",)) -> list[Cell]:
    """Every size, sharpness, polarity and strength under some registrations."""
    return [
        Cell(*values) for values in product(SIZES, SHARPNESS, POLARITIES, STRENGTHS, registrations)
    ]


def photographs(folder: Path | None, names: list[str] | None = None) -> dict[str, np.ndarray]:
    """uint8 (HEIGHT, WIDTH, 3) from the middle of photographs of a folder, else bundled ones."""
    if folder is None:
        from rgbi import REPORTED, bundled_photos

        found = bundled_photos(REPORTED)
        return {name: _cut(photo) for name, photo in found.items()}
    files = sorted(p for p in folder.iterdir() if p.suffix in (".webp", ".png", ".jpg"))
    if names is not None:
        files = [p for p in files if p.stem in names]
    return {p.stem: _cut(cv2.imread(str(p), cv2.IMREAD_COLOR)[..., ::-1]) for p in files}


def _cut(photo: np.ndarray) -> np.ndarray:
    scale = max(HEIGHT / photo.shape[0], WIDTH / photo.shape[1], 0.75)
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = ((n - m) // 2 for n, m in zip(photo.shape[:2], (HEIGHT, WIDTH), strict=True))
    return np.ascontiguousarray(photo[top : top + HEIGHT, left : left + WIDTH])


def cover(size: str, rng: np.random.Generator) -> np.ndarray:
    """Dust with hard edges, drawn at four times the resolution: float32 (H, W) in [0, 1]."""
    radius, count = SIZES[size]
    over = 4
    drawn = np.zeros((HEIGHT * over, WIDTH * over), np.uint8)
    margin = int(radius) + 8
    for _ in range(count):
        x = rng.integers(margin, WIDTH - margin) * over
        y = rng.integers(margin, HEIGHT - margin) * over
        if size == "hair":
            turns = np.cumsum(rng.normal(0, 0.12, 60)) + rng.uniform(0, 2 * np.pi)
            steps = np.stack([np.cos(turns), np.sin(turns)], 1) * over * rng.uniform(0.5, 1.5)
            points = np.array([x, y]) + np.cumsum(steps, axis=0)
            line = np.rint(points).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(drawn, [line], False, 255, round(2 * radius * over))
            continue
        turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        waves = sum(
            rng.normal(0, 0.25 / k) * np.cos(k * turn + rng.uniform(0, 6.3)) for k in range(2, 6)
        )
        ring = radius * over * np.clip(1 + waves, 0.5, 1.5)
        if size == "1 px":
            ring = np.full_like(turn, radius * over)
        points = np.stack([x + ring * np.cos(turn), y + ring * np.sin(turn)], 1)
        cv2.fillPoly(drawn, [np.rint(points).astype(np.int32)], 255)
    small = cv2.resize(drawn.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return small / 255


def make(photo: np.ndarray, cell: Cell, seed: int) -> Modelled:
    """The scan of a cell: linear light, cyan, magenta and yellow dye, grain, dust, noise."""
    rng = np.random.default_rng([seed, 7])
    density = dyes(photo, 1.0, rng)
    how = REGISTRATIONS[cell.registration]
    focus = how.get("focus", 0.5)
    heat = cv2.GaussianBlur(10.0 ** -(density @ np.array([CYAN, MAGENTA, YELLOW])), (0, 0), focus)
    light = cv2.GaussianBlur(10.0**-density, (0, 0), 0.5)
    dust = cover(cell.size, rng)
    blur = SHARPNESS[cell.sharpness]
    seen = cv2.GaussianBlur(dust, (0, 0), blur) if blur else dust
    kept, dark, half = STRENGTHS[cell.strength]
    if cell.size == "1 px":
        # A speck of a pixel keeps its depth when blurred by being deeper: the lens spreads it.
        seen = np.clip(seen * (1 + 4 * blur), 0, 1)
    # What lies on the film dims by a power of its cover; infrared sees it at its own focus.
    shadow = cv2.GaussianBlur(seen, (0, 0), focus)
    infrared = heat * kept**shadow
    if cell.polarity == "bright":
        veil = (1 - max(kept**dark, 0.02)) * seen[..., None]
        damaged = light * (1 - veil) + BRIGHT * veil
    else:
        power = half if cell.polarity == "half" else dark
        damaged = light * kept ** (power * seen[..., None])
    infrared = _laid(infrared, how) * INFRARED_WHITE
    noise = rng.standard_normal((HEIGHT, WIDTH, 3))
    pictures = [
        np.rint(np.clip(p + PICTURE_NOISE * np.sqrt(0.05 + p) * noise, 0, 1) * 65535)
        for p in (damaged, light)
    ]
    infrared = infrared + SCANNER_NOISE * np.sqrt(0.05 + infrared) * rng.standard_normal(
        infrared.shape
    )
    stored = np.rint(np.clip(infrared, 0, 1) * 65535).astype(np.uint16)
    if how.get("inverted"):
        stored = 65535 - stored
    return Modelled(pictures[0].astype(np.uint16), pictures[1].astype(np.uint16), stored, seen)


def _laid(infrared: np.ndarray, how: dict) -> np.ndarray:
    """The plane as a pass of its own would have it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    if how.get("vignette"):
        far = ((x / WIDTH - 0.75) ** 2 + (y / HEIGHT - 0.3) ** 2) / (0.75**2 + 0.7**2)
        infrared = infrared * (1 - how["vignette"] * far)
    if how.get("half"):
        return cv2.resize(infrared, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    if not {"shift", "angle", "scale", "wave"} & set(how):
        return infrared
    dx, dy = how.get("shift", (0.0, 0.0))
    turn, scale = np.deg2rad(how.get("angle", 0.0)), how.get("scale", 1.0)
    u, v = x - WIDTH / 2, y - HEIGHT / 2
    # What the picture has at x, y lies at the place forward(x, y); here the inverse is needed.
    a, b = np.cos(turn) / scale, np.sin(turn) / scale
    back_x = a * (u - dx) + b * (v - dy) + WIDTH / 2
    back_y = -b * (u - dx) + a * (v - dy) + HEIGHT / 2
    wave = how.get("wave", 0.0)
    back_x -= wave * np.sin(2 * np.pi * y / HEIGHT * 0.5)
    back_y -= 0.5 * wave * np.cos(2 * np.pi * x / WIDTH * 0.5)
    return cv2.remap(
        infrared.astype(np.float32),
        *(back_x.astype(np.float32), back_y.astype(np.float32)),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float64)


def figures(scan: Modelled, image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Squared errors as people see them, before, after, and added where there is no dust."""
    before, after, truth = (as_seen(p, False) for p in (scan.damaged, image, scan.clean))
    was, left = (((p - truth) ** 2).sum(axis=2) for p in (before, after))
    clean = scan.cover < 0.02
    return {
        "error": float(was.sum()),
        "left": float(left.sum()),
        "harm": float((left - was)[clean].sum()),
        "found": float((mask > 0)[scan.cover > 0.5 * scan.cover.max()].mean()),
        "outside": int((scan.damaged != image)[mask == 0].sum()),
    }

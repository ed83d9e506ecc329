"""Makes the pictures of docs/rolls.md: a scratched frame and a roll's map, all drawn here.

python docs/roll_pictures.py
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "benchmarks"))

import roll_model as model  # noqa: E402
import scratch_model  # noqa: E402

from darkroom.geometry import Window  # noqa: E402
from darkroom.options import CleanOptions  # noqa: E402
from darkroom.pipeline.memory import clean_array  # noqa: E402
from darkroom.roll.fixed import NOTHING, RollMap  # noqa: E402
from darkroom.roll.gather import Gathered  # noqa: E402
from darkroom.roll.places import find_places  # noqa: E402
from darkroom.roll.plane import log_plane  # noqa: E402

GRAIN = 0.015
HEIGHT, WIDTH = 820, 1200


def hills(rng, height, width):
    """A sky over rows of hills, float32 (H, W, 3)."""
    y, x = np.mgrid[:height, :width] / float(height)
    sky = np.array((0.55, 0.68, 0.82)) * (1.1 - 0.35 * y[..., None])
    image = sky + 0.05 * rng.normal(size=3)
    for row in range(4):
        waves = [rng.uniform(0.01, 0.06) * np.sin(x * f + rng.uniform(0, 6)) for f in (3, 7, 17)]
        edge = 0.35 + 0.16 * row + rng.uniform(-0.1, 0.1) + sum(waves)
        shade = np.array((0.24, 0.34, 0.22)) * (1.5 - 0.28 * row) + 0.06 * rng.normal(size=3)
        image = np.where((y > edge)[..., None], shade, image)
    image = cv2.GaussianBlur(image, (0, 0), 1.0) * rng.uniform(0.75, 1.1)
    return np.clip(image, 0.03, 0.97).astype(np.float32)


def save(name, pixels):
    """An 8-bit picture among the images of the documentation."""
    Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(
        DOCS / "images" / name, optimize=True
    )


def strip():
    """A frame with a tramline, before and after, side by side."""
    rng = np.random.default_rng(4)
    image = scratch_model.grainy(hills(rng, HEIGHT, WIDTH), GRAIN, rng)
    for at in (420, 445, 700):
        scratch_model.draw(
            *(image, GRAIN, rng), upright=True, contrast=9, width=4, bright=True, at=at
        )
    scan = np.rint(image * 65535).astype(np.uint16)
    done = clean_array(scan, CleanOptions(backend="classical")).image
    crop = np.s_[200:620, 300:780]
    gap = np.ones((420, 12, 3))
    save("scratches.png", np.hstack([scan[crop] / 65535, gap, done[crop] / 65535]))


def roll():
    """A frame of a roll as it is, cleaned by the map of the roll, and that map."""
    rng = np.random.default_rng(7)
    size = (model.HEIGHT, model.WIDTH)
    dirt = [model.fixed(kind, rng) for kind in ("speck",) * 6 + ("shadow",) * 6 + ("hair",) * 3]
    light = np.prod([each.gain for each in dirt], axis=0)[..., None].astype(np.float32)
    frames = [scratch_model.grainy(hills(rng, *size) * light, GRAIN, rng) for _ in range(12)]
    together = Gathered(*size)
    for frame in frames:
        together.add(log_plane(lambda window, f=frame: f[window.slices], size[1], size[0]))
    found = RollMap.enlarged(find_places(together), 1, size[1], size[0])
    scan = np.rint(frames[0] * 65535).astype(np.uint16)
    done = clean_array(scan, CleanOptions(backend="classical"), roll=found).image
    chart = np.repeat(found.rows(Window(0, 0, size[1], size[0]))[..., None], 3, axis=2)
    gap = np.ones((size[0], 16, 3))
    wide = np.hstack([scan / 65535, gap, chart / (2 * NOTHING), gap, done / 65535])
    save("roll-map.png", cv2.resize(wide, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    strip()
    roll()

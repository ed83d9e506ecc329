"""Pictures for docs/model-card-unet.md: photographs with real dust moved onto them, cleaned.

    python benchmarks/unet_pictures.py DATA SPLIT.tsv docs/images/unet.png [--weights FILE]

Photographs in the public domain (NASA's of Eileen Collins and of a rocket, which scikit-image
bundles; the US Navy's of Grace Hopper, which matplotlib bundles), at twice their size, get film
grain and artefacts lifted from the test part of a data set, and are cleaned.
Each row shows a window at 100 %: before, what was changed, after. The error left in the whole
photograph is printed.
"""

import argparse
from pathlib import Path

import matplotlib.cbook
import numpy as np
import skimage.data
from PIL import Image

from darkroom.damage.grain import add_grain
from darkroom.dataset.synthetic import transplant
from darkroom.options import CleanOptions, MachineOptions
from darkroom.pairs.find import find_parts
from darkroom.pairs.read import load_picture
from darkroom.pipeline.engine import load_engine
from darkroom.pipeline.memory import clean_array
from darkroom.plugins.manager import installed
from darkroom.training.data import lift_residues

SIDE = 240  # of a window
DENSITY = 150  # artefacts a megapixel
MARK = np.array([255, 60, 0])


def photographs():
    """(name, uint8 (H, W, 3), windows shown as (row, column)) of each."""
    hopper = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    shown = (
        ("Eileen Collins", Image.fromarray(skimage.data.astronaut()), ((80, 330), (560, 40))),
        ("Grace Hopper", Image.open(hopper).convert("RGB"), ((190, 380), (720, 540))),
        ("rocket", Image.fromarray(skimage.data.rocket()), ((60, 100),)),
    )
    for name, image, windows in shown:
        larger = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
        yield name, np.asarray(larger), windows


def dirty(photograph, residues, rng):
    """(clean, damaged), float32 in levels; damage is added to all channels alike."""
    noise = add_grain(np.full(photograph.shape[:2], 127, np.float32), rng) - 127
    clean = np.clip(photograph + noise[..., None], 0, 255).astype(np.float32)
    count = round(DENSITY * noise.size / 1e6)
    shares = np.array([r.pick for r in residues])
    drawn = rng.choice(len(residues), count, p=shares / shares.sum())
    chosen = [residues[i] for i in drawn]
    return clean, 255 * transplant(clean / 255, chosen, count, rng)


def main():
    """Damage, clean, and lay the pictures out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("split_file", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--weights", default="")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    pairs = find_parts(args.data, ["test"], args.split_file)["test"]
    residues = lift_residues([load_picture(pair) for pair in pairs])
    options = CleanOptions(backend="unet", options={"unet": {"weights": args.weights}})
    engine = load_engine(options, "auto", installed())
    rows = []
    for name, photograph, windows in photographs():
        clean, damaged = (np.rint(p) for p in dirty(photograph, residues, rng))
        scan = damaged.astype(np.uint8)
        done = clean_array(scan, options, engine=engine, machine=MachineOptions(jobs=1))
        before, after = (float(((p - clean) ** 2).sum()) for p in (damaged, done.image))
        spoilt = int((done.image != scan)[done.mask == 0].sum())
        print(f"{name}: error left {after / before:.3f} of doing nothing,")
        print(f"  {done.artefacts} places repaired, {spoilt} samples changed outside them")
        marked = np.where(done.mask[..., None] > 0, MARK, scan * 0.5).astype(np.uint8)
        for y, x in windows:
            window = np.s_[y : y + SIDE, x : x + SIDE]
            views = [np.pad(p[window], ((2, 2), (2, 2), (0, 0)), constant_values=255)
                     for p in (scan, marked, done.image)]  # fmt: skip
            rows.append(np.hstack(views))
    Image.fromarray(np.vstack(rows)).save(args.output, optimize=True)


if __name__ == "__main__":
    main()

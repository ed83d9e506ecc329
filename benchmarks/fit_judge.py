"""Fit the judge of a network on all that `quality.py` does not measure on.

    python benchmarks/fit_judge.py FILE -o OUT --film DS --photos PHOTOS --frames FRAMES \\
        --shapes SHAPES [--steps N] [--folds FOLDER]

Film is a data set (`darkroom dataset import`), all of its parts; each photograph that is not held
out gives clean crops, crops with drawn damage, and crops with the outlines and shapes that are not
for measuring. `darkroom weights calibrate` does the same with film and photographs alone.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import quality_pictures as pictures

from darkroom.plugins.manager import installed
from darkroom.training import calibrate as work
from darkroom.training.samples import PLAIN, SIDE, Sample, photograph_sources

SEEDS = (7, 8)


def dirty(photo, folders, seed):
    """A sample: a crop of a photograph on film, with the dirt of real frames and drawn shapes."""
    rng = np.random.default_rng((seed, int(pictures.order(photo)[:12], 16)))
    between = [np.exp(rng.uniform(*np.log(r))) for r in (pictures.GRAIN, pictures.GRAIN_SIZE)]
    made = pictures.Modelled(
        photo,
        bool(rng.random() < 0.5),
        int(rng.choice(pictures.DPI)),
        str(rng.choice(pictures.POLARITIES)),
        *map(float, between),
    )
    dirt = pictures.Dirt(*folders, measuring=False)
    scan, truth = (
        np.atleast_3d(p).astype(np.float32) / 65535
        for p in pictures.make(made, dirt, SIDE, (seed,))
    )
    hit = np.abs(scan - truth).max(2) > PLAIN
    return Sample(f"{photo.path.name}, dirty", photo.number, scan, truth, hit, made.dpi, "modelled")


def main():
    """Fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    for name in ("film", "photos", "frames", "shapes"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--parts", nargs="*", default=["train", "val", "test"])
    parser.add_argument("--steps", type=int, default=0, help="of a network that sees; 0 for trees")
    parser.add_argument("--folds", type=Path, help="folder for judges without a fifth each")
    parser.add_argument("--workers", type=int, default=2)
    settings = parser.parse_args()
    photos = pictures.photographs(settings.photos)
    held = {photo.number for photo in pictures.held_out(photos)}
    photos = [photo for photo in photos if photo.number not in held]
    folders = settings.frames, settings.shapes
    files = [photo.path for photo in photos]
    more = [source for seed in SEEDS[1:] for source in photograph_sources(files, seed)]
    more += [partial(dirty, photo, folders, seed) for photo in photos for seed in SEEDS]
    plugins = installed()
    _, trainable = work.load_trainable(settings.weights, plugins)
    film = work.load_pictures(settings.film, settings.parts, None, trainable)
    done = work.calibrate(
        *(settings.weights, settings.output, film, plugins, work.groups_of(film, None)),
        photographs=files,
        more=more,
        folds=settings.folds,
        steps=settings.steps,
        workers=settings.workers,
        advance=lambda n, total: print(f"{n} of {total}", flush=True) if n % 100 == 0 else None,
    )
    for name, figures in done.sweep.items():
        print(name, *(f"{k} {v:.3f}" for k, v in figures.items()))


if __name__ == "__main__":
    main()

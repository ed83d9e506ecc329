"""Dirt that stays in place over a roll: how much of it is found, what is taken for it, and what is

left of it on the frames.

    python benchmarks/rolls.py PHOTOS [--frames 12 36] [--rolls N] [--backend classical] [--dev]
        [--clean N] [--json FILE]

PHOTOS is a folder of clean photographs of 1000 x 680 pixels or more; every second one is left for
choosing (`--dev`), figures are of the others. Each roll is of as many different photographs with
grain and dirt of their own. On `--rolls` of them dirt stays in place: specks, soft shadows, hairs
and a column of the sensor, which take 3 to 98 % of the light; on `--clean` rolls none does, and
letterboxes, date stamps, film borders and holders are drawn in turn; a tripod's roll has one
picture on all frames. A place is found if two fifths of it are in the map. Contrast is in standard
deviations of the grain on middle grey. Error left is the squared error on the pixels that dirt
stays on, after cleaning, with the frame without it as 0 and doing nothing as 1.
"""

import argparse
import json
import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import roll_model as model
from PIL import Image
from scratch_model import GRAIN, photographs

from darkroom.geometry import Window
from darkroom.options import CleanOptions, MachineOptions
from darkroom.pipeline.engine import load_engine
from darkroom.pipeline.memory import clean_array
from darkroom.plugins.manager import installed
from darkroom.roll.fixed import RollMap
from darkroom.roll.gather import Gathered
from darkroom.roll.places import find_places
from darkroom.roll.plane import log_plane

KINDS = ("speck",) * 8 + ("shadow",) * 6 + ("hair",) * 4 + ("column",)
CLEANED = 4  # frames of each roll that are cleaned
BANDS = ((0, 1.5), (1.5, 3), (3, 99))


@cache
def engine(backend):
    """The backend, loaded once a process."""
    return load_engine(CleanOptions(backend=backend), "cpu", installed())


def large(folder, part):
    """The photographs that a frame can be cut from."""
    found = []
    for path in photographs(folder, part):
        with Image.open(path) as picture:
            if max(picture.size) >= model.WIDTH and min(picture.size) >= model.HEIGHT:
                found.append(path)
    return found


def map_of(frames):
    """The map of frames in memory."""
    roll = Gathered(model.HEIGHT, model.WIDTH)
    for frame in frames:
        roll.add(log_plane(lambda w, f=frame: f[w.slices] / np.float32(65535), *frame.shape[1::-1]))
    made = {"pictures": roll.pictures, "frames": roll.seen}
    return RollMap.enlarged(find_places(roll), 1, model.WIDTH, model.HEIGHT, **made)


def measure(job):
    """The figures of one roll."""
    files, count, number, dirty, backend = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng([number, count, dirty])
    still = not dirty and number % 7 == 6
    chosen = [files[i] for i in rng.choice(len(files), count, replace=False)]
    dirt = [model.fixed(kind, rng) for kind in KINDS] if dirty else []
    fixtures = "none" if dirty else model.FIXTURES[number % len(model.FIXTURES)]
    sigma = rng.uniform(*GRAIN)
    pairs = list(model.roll(chosen, rng, dirt, still, fixtures, sigma))
    found = map_of(frame for frame, _ in pairs)
    whole = Window(0, 0, model.WIDTH, model.HEIGHT)
    mask = found.rows(whole) != 32768
    touched = np.zeros(mask.shape, bool)
    for each in dirt:
        touched |= np.abs(each.gain - 1) > 0.005
    wrong = [place for place in found.places if not touched[place.window.slices][place.mask].any()]
    row = {"frames": count, "dirty": dirty, "fixtures": "still" if still else fixtures}
    row |= {"false": len(wrong), "places": []}
    for each in dirt:
        seen = float(mask[each.mask].mean())
        contrast = each.contrast(sigma)
        row["places"].append({"kind": each.kind, "contrast": contrast, "seen": seen})
    if dirty and backend:
        row["errors"] = errors(pairs[:CLEANED], touched, found, backend)
    return row


def errors(pairs, touched, found, backend):
    """Squared error on the dirt before, after cleaning without the map, and with it."""
    options = CleanOptions(backend=backend)
    sums = np.zeros(3)
    for frame, bare in pairs:
        after = [
            clean_array(
                *(frame, options), engine=engine(backend), machine=MachineOptions(jobs=1), roll=roll
            ).image
            for roll in (None, found)
        ]
        for i, image in enumerate((frame, *after)):
            off = (image.astype(np.float64) - bare)[touched] / 65535
            sums[i] += float((off**2).sum())
    return sums.tolist()


def main():
    """Measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", default=[12, 36])
    parser.add_argument("--rolls", type=int, default=10)
    parser.add_argument("--clean", type=int, default=20)
    parser.add_argument("--backend", default="", help="also clean frames of dirty rolls by it")
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    files = large(given.photos, "dev" if given.dev else "report")
    jobs = [
        (files, count, number, dirty, given.backend)
        for count in given.frames
        for dirty in (True, False)
        for number in range(given.rolls if dirty else given.clean)
    ]
    with ProcessPoolExecutor(given.jobs) as pool:
        rows = list(pool.map(measure, jobs))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{len(files)} photographs")
    for count in given.frames:
        report([row for row in rows if row["frames"] == count], count)


def report(rows, count):
    """Print the figures of rolls of one length."""
    clean = [row for row in rows if not row["dirty"]]
    dirty = [row for row in rows if row["dirty"]]
    print(f"{count} frames, {len(clean)} rolls without: {sum(r['false'] for r in clean)} places")
    by = defaultdict(int)
    for row in clean:
        by[row["fixtures"]] += row["false"]
    print("  " + ", ".join(f"{name} {number}" for name, number in by.items()))
    print(f"{count} frames, {len(dirty)} rolls with: {sum(r['false'] for r in dirty)} false places")
    for kind in (*model.KINDS, "all"):
        cells = []
        for low, high in BANDS:
            seen = [
                place["seen"] >= 0.4
                for row in dirty
                for place in row["places"]
                if low <= place["contrast"] < high and kind in (place["kind"], "all")
            ]
            cells.append(f"{np.mean(seen):.2f} ({len(seen)})" if seen else "-")
        print(f"  {kind:7} recall {'  '.join(cells)}   at contrast below 1.5, to 3, above")
    sums = np.sum([row["errors"] for row in dirty if "errors" in row] or [[0, 0, 0]], axis=0)
    if sums[0]:
        print(
            f"  error left: {sums[1] / sums[0]:.3f} without the map, {sums[2] / sums[0]:.3f} with"
        )


if __name__ == "__main__":
    main()

"""Fits the judge of line scratches: photographs with drawn scratches, and the lines they have.

    python benchmarks/fit_scratches.py PHOTOS [--leave-out FILE] [--collect TABLE] [--fit TABLE]

PHOTOS is a folder of clean photographs; only those of the part "dev" are looked at
(`scratch_model.photographs`), the others are left for `line_scratches.py` to report on. `--collect`
writes what was measured of each candidate, `--fit` only fits to such a file. Writes
darkroom/scratches/judge.json and prints what cross-validation by photograph says.
"""

import argparse
import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scratch_model as model
from scipy.optimize import minimize

from darkroom.geometry import Window
from darkroom.scratches.find import MOST_LINES, candidates
from darkroom.scratches.judge import RANGES, TABLE, vector

DRAWN = 3  # scratches for each photograph, one at a time
SIDE = 720  # pixels of the pieces that scratches are drawn on
CONTRASTS = (2, 3, 3, 4, 6, 10)
FOLDS, RIDGE = 5, 10.0
LINES_OF_ONE = 8  # all negatives of one frame and direction weigh at most as much as so many


def noise(picture):
    """As the survey measures it."""
    grey = picture.mean(axis=2)
    rows = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    both = rows[:-2] - 2 * rows[1:-1] + rows[2:]
    return 1.4826 * float(np.median(np.abs(both))) / 6


def look(picture):
    """All candidates of a picture in memory."""
    height, width = picture.shape[:2]
    frame = Window(0, 0, width, height)
    return candidates(lambda w: picture[w.slices], frame, noise(picture))


def collect(path):
    """What is measured of the candidates of one photograph, clean and scratched."""
    rng = np.random.default_rng(int.from_bytes(path.stem.encode()[-6:], "little"))
    clean = model.photograph(path)
    sigma = rng.uniform(*model.GRAIN)
    found = []
    for name, picture in (("clean", clean), ("grain", model.grainy(clean, sigma, rng))):
        for track, seen, _ in look(picture):
            row = {"photo": path.stem, "frame": name, "upright": track.upright, "scratch": False}
            found.append(row | {"features": seen.features})
    for _ in range(DRAWN):
        sigma = rng.uniform(*model.GRAIN)
        picture = model.grainy(model.photograph(path, SIDE, rng), sigma, rng)
        line = model.any_scratch(picture, sigma, rng, CONTRASTS)
        if np.isnan(line.middle).mean() > 0.7:
            continue
        row = {"photo": path.stem, "frame": line.kind, "scratch": True, "contrast": line.contrast}
        row |= {"width": line.width, "features": None}
        for track, seen, _ in look(picture):
            if track.upright == line.upright and near(track, line):
                row["features"] = seen.features
                break
        found.append(row)
    return found


def near(track, line):
    """Whether a course follows a drawn line."""
    drawn = line.middle[16::32][: len(track.middle)]
    there = ~np.isnan(drawn)
    close = np.abs(track.middle[: len(drawn)] - drawn)[there] < max(4, line.width / 2)
    return bool(there.any() and close.mean() > 0.7)


def fit(design, truth, weight):
    """Weights of the columns, the first of which is constant, by ridge logistic regression."""

    def loss(c):
        side = np.where(truth, -1.0, 1.0)
        t = side * (design @ c)
        ridge = np.r_[0.0, c[1:]]
        value = (weight * np.logaddexp(0, t)).sum() + RIDGE * (ridge**2).sum() / 2
        slope = design.T @ (weight * side / (1 + np.exp(-t))) + RIDGE * ridge
        return value, slope

    start = np.zeros(design.shape[1])
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x


def main():
    """Collect, fit, report, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--leave-out", type=Path, help="file of stems that are not to be used")
    parser.add_argument("--collect", type=Path, help="also write the measured candidates here")
    parser.add_argument("--fit", type=Path, help="fit to candidates collected before")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    left = given.leave_out.read_text().split() if given.leave_out else ()
    if given.fit:
        rows = [json.loads(line) for line in given.fit.read_text().splitlines()]
    else:
        rows = []
        with ProcessPoolExecutor(given.jobs) as pool:
            for found in pool.map(collect, model.photographs(given.photos, "dev", left)):
                rows += found
                if given.collect:
                    with given.collect.open("a") as file:
                        file.writelines(json.dumps(row) + "\n" for row in found)
    missed = [row for row in rows if row["features"] is None]
    rows = [row for row in rows if row["features"] is not None]
    truth = np.array([row["scratch"] for row in rows])
    photos = sorted({row["photo"] for row in rows})
    fold = np.array([photos.index(row["photo"]) % FOLDS for row in rows])
    values = np.array([vector(row["features"]) for row in rows])
    mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-9
    z = (values - mean) / scale
    design = np.c_[np.ones(len(z)), z, z**2 - 1]
    frames = [(row["photo"], row["frame"], row.get("upright")) for row in rows]
    count = Counter(frames)
    weight = np.array(
        [
            1.0 if t else min(1.0, LINES_OF_ONE / count[f])
            for t, f in zip(truth, frames, strict=True)
        ]
    )
    odds = np.zeros(len(rows))
    for i in range(FOLDS):
        out = fold == i
        odds[out] = design[out] @ fit(design[~out], truth[~out], weight[~out])
    report(rows, frames, truth, odds, missed, len(photos))
    c = fit(design, truth, weight)
    half = len(RANGES)
    table = {"features": list(RANGES), "mean": mean, "scale": scale}
    table |= {"linear": c[1 : half + 1], "square": c[half + 1 :]}
    table = {
        k: [v if isinstance(v, str) else round(float(v), 5) for v in vs] for k, vs in table.items()
    }
    table["base"] = round(float(c[0]), 5)
    target = Path(__file__).parent.parent / "darkroom" / "scratches" / TABLE
    target.write_text(json.dumps(table, indent=1) + "\n")


def report(rows, frames, truth, odds, missed, photos):
    """Print recall and false lines at several bars, from cross-validation."""
    clear = np.array([row["scratch"] and row["contrast"] >= 3 for row in rows])
    total = clear.sum() + sum(row["contrast"] >= 3 for row in missed)
    print(
        f"{photos} photographs, {len(missed)} of {truth.sum() + len(missed)} scratches no candidate"
    )
    for bar in (-1, 0, 0.5, 1, 1.5, 2, 3):
        passing = (odds >= bar) & ~truth
        many = Counter(frame for frame, passes in zip(frames, passing, strict=True) if passes)
        false = Counter()
        for (_, frame, _), n in many.items():
            false[frame] += n if n <= MOST_LINES else 0
        recall = (odds[clear] >= bar).sum() / total
        print(
            f"bar {bar:4}: recall of contrast >= 3 {recall:.3f}, false lines a frame "
            f"{false['clean'] / photos:.3f} clean, {false['grain'] / photos:.3f} with grain"
        )


if __name__ == "__main__":
    main()

"""Fit the judge of the classical backend on hand-retouched film.

    python benchmarks/fit_classical.py DATA SPLIT.tsv OUT.json [--cache FILE.npz]

DATA is the folder with `train/` and `val/`, each with `scan/` and `gt/` of equally named 8-bit
grey patches; SPLIT.tsv has the columns photo, family, split. Candidates are found and measured by
the backend itself; each counts by how much repairing it lowers or raises the squared error. Trees
are fitted on the families of `train`, as they are and enlarged as a finer scan would show them, the
second half of them with the damage of darkroom's own model added to the retouched patch; the bars
of the sensitivities are read off `val`, as it is. Needs scikit-learn, which darkroom itself does
not.
"""

import argparse
import csv
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

LOWEST_PEAK = 5.5  # deviations; candidates fainter than at any sensitivity are not collected
FIT_PEAK = 6.0
TONE_EDIT = 0.20  # patches that differ in more pixels than this were not only retouched
BIG, SMALLEST = 8, 4  # levels and pixels of a change that counts as a false alarm
SEVERE, MILD = 0.7, 0.5  # a candidate's weight is its error lost (gained) to this power
FALSE_ALARM, BASE_WEIGHT = 20.0, 2.0
LARGEST_ERROR = 4e5
DEPTH, TREES, RATE, LEAF, RIDGE = 4, 200, 0.05, 40, 5.0
ENLARGE = (1.3, 3.0)  # range of the enlargement of training patches
GRAIN = (0.004, 0.016)  # range of the grain added to them
DAMAGE_DPI, DAMAGE_AMOUNT = (2400, 7200), 6.0
# False alarms per megapixel allowed on `val` at each sensitivity
ALLOWED = {0: 0.1, 25: 0.7, 50: 2.0, 75: 4.5, 100: 9.0}


def photo_of(name):
    """The photograph that patch NAME.png belongs to."""
    return name[:-4].rsplit("-", 1)[0][:-1]


def stats_of(pixels):
    """The survey of an array."""
    from darkroom.codec import Codec
    from darkroom.pipeline.memory import ArrayScan
    from darkroom.pipeline.survey import survey

    source = ArrayScan(pixels)
    return survey(source, Codec.of(source.info))


def candidates(scan, stats):
    """(peak, window of the padded patch, crop, mask) of each candidate of a patch."""
    import cv2
    from darkroom_backends.classical.detector import HALO, ClassicalDetector, deviation
    from darkroom_backends.classical.options import ClassicalOptions

    margin = ClassicalDetector.margin
    padded = np.pad(scan.astype(np.float32) / 255, HALO, mode="reflect")
    z = deviation(padded, stats.noise)
    z[:HALO], z[-HALO:], z[:, :HALO], z[:, -HALO:] = 0, 0, 0, 0
    body = (z >= ClassicalOptions().body).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(body, connectivity=8)
    peaks = np.zeros(count)
    np.maximum.at(peaks, labels.ravel(), z.ravel())
    for i in range(1, count):
        x, y, width, height, area = boxes[i]
        if peaks[i] >= LOWEST_PEAK and area > 1:
            window = np.s_[y - margin : y + height + margin, x - margin : x + width + margin]
            mask = (labels[window] == i).astype(np.uint8) * 255
            yield peaks[i], window, padded[window], mask


def measure(job):
    """One patch: rows of (features…, peak, error lost, false alarm), and its squared error."""
    import cv2
    from darkroom_backends.classical.detector import HALO
    from darkroom_backends.classical.features import features
    from darkroom_backends.classical.inpaint import NavierStokes
    from darkroom_backends.classical.refine import refine_mask

    from darkroom.damage.difference import artefact_mask
    from darkroom.geometry import Window
    from darkroom.scan import Tile

    cv2.setNumThreads(1)
    scan, gt = job[:2] if job[3] is None else enlarged(*job[:2], job[3])
    stats = job[2] or stats_of(scan)
    before, truth = scan.astype(np.float32), gt.astype(np.float32)
    error = float(((before - truth) ** 2).sum())
    damaged = artefact_mask(before, truth).astype(np.uint8)
    near = np.pad(cv2.dilate(damaged, np.ones((9, 9), np.uint8)) > 0, HALO)
    valid = np.pad(np.ones(scan.shape, bool), HALO)
    before, truth = np.pad(before, HALO), np.pad(truth, HALO)
    inpainter, rows = NavierStokes(), []
    for peak, window, image, mask in candidates(scan, stats):
        grown = refine_mask(image, mask, stats.noise)
        whole = Window(0, 0, image.shape[1], image.shape[0])
        after = inpainter.fill(Tile(whole, whole, image[..., None], grown))[..., 0]
        changed = valid[window] & (grown > 0)
        old, new, true = (a[changed] for a in (before[window], np.rint(after * 255), truth[window]))
        big = np.abs(new - old) >= BIG
        false = big.sum() >= SMALLEST and not near[window][changed][big].any()
        gain = ((old - true) ** 2).sum() - ((new - true) ** 2).sum()
        rows.append((*features(image, mask, stats), peak, gain, false))
    return np.array(rows, np.float32), error, (scan != gt).mean() > TONE_EDIT


def enlarged(scan, gt, number):
    """A part of a pair as a finer scan shows it; with odd numbers the model damages it instead."""
    import cv2

    from darkroom.damage.model import DamageModel, apply

    rng = np.random.default_rng(number)
    side = int(len(scan) / rng.uniform(*ENLARGE))
    y, x = rng.integers(0, len(scan) - side + 1, 2)
    pair = []
    for picture in (scan, gt):
        part = picture[y : y + side, x : x + side].astype(np.float32) / 255
        pair.append(cv2.resize(part, scan.shape[::-1], interpolation=cv2.INTER_CUBIC))
    grain = cv2.GaussianBlur(
        rng.standard_normal(scan.shape).astype(np.float32), (0, 0), rng.uniform(0.5, 1.2)
    )
    pair = [p + grain * np.float32(rng.uniform(*GRAIN) / grain.std()) for p in pair]
    if number % 2:
        model = DamageModel.load()
        model = DamageModel(model.table, DAMAGE_AMOUNT)
        dpi = rng.uniform(*DAMAGE_DPI)
        found = model.sample(*scan.shape[::-1], dpi, int(rng.integers(2**31)))
        pair[0] = apply(pair[1][..., None], found)[0][..., 0]
    return tuple((np.clip(p, 0, 1) * 255 + 0.5).astype(np.uint8) for p in pair)


def collect(data, split):
    """Every candidate of every patch: dict of arrays, one row a candidate.

    Every other patch is measured with the statistics of its whole photograph, the rest with their
    own, so that the judge serves whole scans and small pieces alike.
    """
    from PIL import Image

    photos = {}
    for path in sorted(data.glob("*/scan/*.png")):
        if split.get(photo_of(path.name), {"split": "test"})["split"] != "test":
            photos.setdefault(photo_of(path.name), []).append(path)
    jobs, owner = [], []
    for photo, paths in photos.items():
        whole = stats_of(np.vstack([np.asarray(Image.open(p).convert("L")) for p in paths]))
        for number, path in enumerate(paths):
            gt = path.parent.parent / "gt" / path.name
            pair = [np.asarray(Image.open(p).convert("L")) for p in (path, gt)]
            jobs.append((*pair, whole if number % 2 else None, None))
            owner.append(split[photo])
            if split[photo]["split"] == "train":
                jobs.append((*pair, None, 2 * len(jobs) + number % 2))
                owner.append({**split[photo], "family": f"enlarged {split[photo]['family']}"})
    with ProcessPoolExecutor() as pool:
        results = list(pool.map(measure, jobs, chunksize=8))
    used = [
        (o, rows, error)
        for o, (rows, error, tone) in zip(owner, results, strict=True)
        if not (tone and o["split"] == "train")
    ]
    table = np.concatenate([rows for _, rows, _ in used if len(rows)])
    repeat = [len(rows) for _, rows, _ in used]
    val = [error for o, _, error in used if o["split"] == "val"]
    return {
        "x": table[:, :-3],
        "peak": table[:, -3],
        "gain": table[:, -2].astype(float),
        "false": table[:, -1] > 0,
        "family": np.repeat([o["family"] for o, _, _ in used], repeat),
        "split": np.repeat([o["split"] for o, _, _ in used], repeat),
        "val_error": np.float64(sum(val)),
        "val_megapixels": np.float64(len(val) * 0.065536),
    }


def weights(found, chosen):
    """What each candidate counts; heavy families are held back by the root of their total."""
    size = np.minimum(np.abs(found["gain"]), LARGEST_ERROR)
    weight = np.where(found["gain"] < 0, size**SEVERE, size**MILD)
    weight += FALSE_ALARM * found["false"] + BASE_WEIGHT
    for family in np.unique(found["family"][chosen]):
        of = chosen & (found["family"] == family)
        weight[of] /= np.sqrt(weight[of].sum())
    return weight / weight[chosen].mean()


def fit(found):
    """The boosted trees, fitted on the families of `train`."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    chosen = (found["split"] == "train") & (found["peak"] >= FIT_PEAK)
    better = (found["gain"] > 0) & ~found["false"]
    model = HistGradientBoostingClassifier(
        max_depth=DEPTH,
        max_leaf_nodes=None,
        learning_rate=RATE,
        max_iter=TREES,
        min_samples_leaf=LEAF,
        l2_regularization=RIDGE,
        max_features=0.3,
        max_bins=64,
        early_stopping=False,
        random_state=0,
    )
    return model.fit(found["x"][chosen], better[chosen], weights(found, chosen)[chosen])


def complete(nodes):
    """One fitted tree as complete level-order tables; a leaf too early is repeated below."""
    inner = 2**DEPTH - 1
    feature, threshold, leaf = [0] * inner, [0.0] * inner, [0.0] * (inner + 1)

    def walk(node, place):
        item = nodes[node]
        if place >= inner:
            leaf[place - inner] = round(float(item["value"]), 5)
            return
        left = right = node
        if not item["is_leaf"]:
            feature[place] = int(item["feature_idx"])
            threshold[place] = float(np.float32(item["num_threshold"]))
            left, right = int(item["left"]), int(item["right"])
        walk(left, 2 * place + 1)
        walk(right, 2 * place + 2)

    walk(0, 0)
    return feature, threshold, leaf


def bars(found, score):
    """The log-odds at which `val` has the allowed false alarms, for each sensitivity."""
    from darkroom_backends.classical.detector import Z_MAX, ClassicalDetector

    out = []
    for sensitivity, allowed in ALLOWED.items():
        peak = ClassicalDetector().thresholds(sensitivity)[1] * Z_MAX
        chosen = (found["split"] == "val") & (found["peak"] >= peak)
        order = np.argsort(-score[chosen])
        false = np.cumsum(found["false"][chosen][order]) / found["val_megapixels"]
        gain = np.cumsum(found["gain"][chosen][order]) / found["val_error"]
        at = min(int(np.searchsorted(false, allowed)), len(order) - 1)
        out.append(round(float(score[chosen][order][at]), 3))
        print(
            f"sensitivity {sensitivity:3}: bar {out[-1]:+.2f}, val false/MP {false[at]:.2f}, "
            f"sse_ratio about {1 - gain[at]:.3f}"
        )
    return out


def main():
    """Collect, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path, help="keep or reuse the measured candidates")
    args = parser.parse_args()
    from darkroom_backends.classical.features import NAMES
    from darkroom_backends.classical.judge import caution

    if args.cache and args.cache.is_file():
        found = dict(np.load(args.cache))
    else:
        with args.split.open() as stream:
            split = {row["photo"]: row for row in csv.DictReader(stream, delimiter="\t")}
        found = collect(args.data, split)
        if args.cache:
            np.savez(args.cache, **found)
    model = fit(found)
    trees = [complete(group[0].nodes) for group in model._predictors]
    feature, threshold, leaf = (list(part) for part in zip(*trees, strict=True))
    table = {
        "features": list(NAMES),
        "depth": DEPTH,
        "base": float(np.ravel(model._baseline_prediction)[0]),
        "sensitivity": list(ALLOWED),
        "bar": bars(found, model.decision_function(found["x"]) - caution(found["x"])),
        "feature": feature,
        "threshold": threshold,
        "leaf": leaf,
    }
    args.out.write_text(json.dumps(table, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

"""How many line scratches are found and how well they are repaired, and how many lines of the

picture are taken for scratches.

    python benchmarks/line_scratches.py PHOTOS [--leave-out FILE] [--every N] [--json FILE]

PHOTOS is a folder of clean photographs; those that the judge was fitted to (`fit_scratches.py`) are
left out. False lines are counted on the photographs as they are and with grain. Scratches are drawn
one at a time on the grainy photograph (`scratch_model.any_scratch`): 1 to 12 pixels wide, straight
and wavy, whole and broken, bright, dark, with rims, in one layer, covering; contrast is in standard
deviations of the grain. Length recall is the share of the drawn length whose middle is under the
mask. Error left is the squared error within 16 pixels of the scratch after the repair, without
scratch and grain as 0 and doing nothing as 1; grain that was taken away or invented counts.
"""

import argparse
import json
import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scratch_model as model
from fit_scratches import noise

from darkroom.geometry import Window
from darkroom.pipeline.lines import BARS, LEAST_SIDE
from darkroom.scan import Tile
from darkroom.scratches.find import find_scratches
from darkroom.scratches.lines import LineRepair, united

CONTRASTS = (1.5, 2, 3, 4.5, 6, 10)
DRAWN = 3  # scratches for each photograph, one at a time
NEAR = 16  # pixels from a scratch within which the repair is judged


def find(picture):
    """The scratches of a picture in memory, as `--scratches auto` finds them on large frames."""
    height, width = picture.shape[:2]
    frame = Window(0, 0, width, height)
    return find_scratches(lambda w: picture[w.slices], frame, noise(picture), bar=BARS[1])


def repaired(picture, lines):
    """The picture without the lines, and their mask."""
    height, width = picture.shape[:2]
    whole = Window(0, 0, width, height)
    mask = united(lines, whole)
    tile = Tile(whole, whole, picture, mask)
    taken, _, image = LineRepair(tuple(lines)).repair(tile)
    assert ((mask > 0) == taken).all()
    return image, mask


def measure(path, kind):
    """The figures of one photograph."""
    rng = np.random.default_rng(int.from_bytes(path.stem.encode()[-6:], "little") + 1)
    clean = model.photograph(path)
    sigma = rng.uniform(*model.GRAIN)
    grain = model.grainy(clean, sigma, rng)
    out = {"photo": path.stem, "kind": kind, "scratches": [], "side": min(clean.shape[:2])}
    out["false"] = {"clean": len(find(clean)), "grain": len(find(grain))}
    for _ in range(DRAWN):
        picture = grain.copy()
        line = model.any_scratch(picture, sigma, rng, CONTRASTS)
        there = ~np.isnan(line.middle)
        if there.mean() < 0.3:
            continue
        found = find(picture)
        after, mask = repaired(picture, found)
        view = mask if line.upright else mask.T
        along = np.flatnonzero(there)
        under = view[along, np.rint(line.middle[along]).astype(int)] > 0
        about = np.zeros(view.shape, bool)
        steps = np.arange(-NEAR, NEAR + 1)
        middle = np.rint(line.middle[along]).astype(int)
        places = np.clip(middle[:, None] + steps, 0, view.shape[1] - 1)
        about[along[:, None], places] = True
        about = about if line.upright else about.T
        before_error = float(((picture - grain)[about] ** 2).sum())
        error = float(((after - grain)[about] ** 2).sum())
        covered = float((mask > 0).sum())
        row = {"kind": line.kind, "contrast": line.contrast, "width": line.width}
        row |= {"length": int(there.sum()), "found": int(under.sum())}
        row |= {"before": before_error, "after": error, "masked": covered}
        out["scratches"].append(row)
    return out


def main():
    """Measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--leave-out", type=Path, help="stems that the judge was not fitted to")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth photograph")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    left = given.leave_out.read_text().split() if given.leave_out else ()
    files = model.photographs(given.photos, "report", left)[:: given.every]
    kinds = model.kinds(given.photos)
    with ProcessPoolExecutor(given.jobs) as pool:
        rows = list(pool.map(measure, files, [kinds.get(p.stem, "") for p in files]))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    report(rows)


def report(rows):
    """Print the figures."""
    print(f"{len(rows)} photographs")
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row)
        by_kind["all"].append(row)
        if row["side"] >= LEAST_SIDE:
            by_kind["large frames"].append(row)
    print("false lines a frame: as they are, with grain")
    for kind, some in sorted(by_kind.items()):
        counts = [sum(row["false"][name] for row in some) for name in ("clean", "grain")]
        if kind in ("all", "large frames", "wires-masts", "architecture") or any(counts):
            print(
                f"  {kind:16} {counts[0] / len(some):.3f} {counts[1] / len(some):.3f} ({len(some)})"
            )
    lines = [line for row in rows for line in row["scratches"]]
    print("length recall, error left (pooled; median), scratches")
    for name, test in tests():
        some = [line for line in lines if test(line)]
        if some:
            recall = sum(x["found"] for x in some) / sum(x["length"] for x in some)
            hit = [x for x in some if x["found"]]
            pooled = sum(x["after"] for x in some) / sum(x["before"] for x in some)
            middle = np.median([x["after"] / x["before"] for x in hit]) if hit else 1
            print(f"  {name:22} {recall:.3f}  {pooled:.2f}  {middle:.2f}  {len(some)}")


def tests():
    """Groups of scratches: name and membership."""
    yield "contrast >= 3", lambda x: x["contrast"] >= 3
    for contrast in CONTRASTS:
        yield f"contrast {contrast}", partial(lambda c, x: x["contrast"] == c, contrast)
    for low, high in ((1, 2), (2, 4), (4, 8), (8, 12)):
        yield (
            f"width {low}-{high}, >= 3",
            partial(lambda a, b, x: a <= x["width"] < b and x["contrast"] >= 3, low, high),
        )
    for kind in ("bright", "dark", "rims", "layer"):
        yield f"{kind}, >= 3", partial(lambda k, x: x["kind"] == k and x["contrast"] >= 3, kind)


if __name__ == "__main__":
    main()

"""What a backend misses and what it heals wrongly, by size, contrast, shape and photograph.

    python benchmarks/error_analysis.py DATA SPLIT.tsv --split test --backend unet --sheet out.png

Artefacts and false alarms are counted as the data set's own `score.py` does. The shares are of
artefacts, so that a scratch counts as much as a speck; error is in shares of doing nothing. The
sheet shows false alarms drawn at random, each as scan, ground truth, result, and scan with the
change outlined: what the retoucher left may be dust all the same.
"""

import argparse
import csv
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from backend_table import engine
from film_quality import photo_of
from scipy import ndimage as ndi

from darkroom.damage.difference import EIGHT, artefact_mask

SIZES = ((0, 10), (10, 30), (30, 100), (100, 300), (300, 10**9))  # pixels
CONTRASTS = ((0, 15), (15, 25), (25, 50), (50, 100), (100, 256))  # levels, strongest pixel
LONG = 4.0  # longer than wide by this much is a hair or a scratch
NEAR, CHANGE, FALSE_SIZE = 4, 8, 4
VIEW = 64  # pixels shown of a false alarm


def shape_of(blob):
    """ "long" for hairs and scratches, "round" for specks."""
    rows, columns = np.nonzero(blob)
    if len(rows) < 4:
        return "round"
    values = np.linalg.eigvalsh(np.cov(np.stack((rows, columns))) + np.eye(2) / 12)
    return "long" if np.sqrt(values[1] / values[0]) >= LONG else "round"


def analyse(path, backend, settings, sensitivity):
    """(artefacts, false alarms) of one patch, as lists of dicts."""
    import cv2
    import torch
    from PIL import Image

    from darkroom.options import CleanOptions, MachineOptions
    from darkroom.pipeline.memory import clean_array

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    scan, gt = (
        np.asarray(Image.open(p).convert("L"))
        for p in (path, path.parent.parent / "gt" / path.name)
    )
    options = CleanOptions(backend=backend, sensitivity=sensitivity, grain="none")
    result = clean_array(
        scan, options, engine=engine(backend, settings, False), machine=MachineOptions(jobs=1)
    )
    out = result.image.astype(np.float32)
    scan, gt = scan.astype(np.float32), gt.astype(np.float32)
    before, after = (scan - gt) ** 2, (out - gt) ** 2
    damaged = artefact_mask(scan, gt)
    photo = photo_of(path.name)
    artefacts = []
    labels, _ = ndi.label(ndi.binary_dilation(damaged, EIGHT), EIGHT)
    for number, box in enumerate(ndi.find_objects(labels), 1):
        blob = labels[box] == number
        own = blob & damaged[box]
        e0, e1 = before[box][blob], after[box][blob]
        artefacts.append(
            {
                "photo": photo,
                "size": int(own.sum()),
                "contrast": float(np.sqrt(e0.max())),
                "bright": bool((scan - gt)[box][own].mean() > 0),
                "shape": shape_of(own),
                "healed": bool(e1.sum() <= 0.5 * e0.sum()),
                "found": bool((result.mask[box][own] > 0).any()),
                "before": float(e0.sum()),
                "after": float(e1.sum()),
            }
        )
    near = ndi.binary_dilation(damaged, EIGHT, iterations=NEAR)
    changes, _ = ndi.label(np.abs(out - scan) >= CHANGE, EIGHT)
    false = []
    for number, box in enumerate(ndi.find_objects(changes), 1):
        blob = changes[box] == number
        if blob.sum() >= FALSE_SIZE and not near[box][blob].any():
            harm = float((after - before)[box][blob].sum())
            rows, columns = box
            middle = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
            of = {"photo": photo, "size": int(blob.sum()), "harm": harm}
            false.append(of | {"view": view_of(scan, gt, out, outline_of(changes, number), middle)})
    rest = float(before[labels == 0].sum())
    return artefacts, false, {"photo": photo, "error": float(before.sum()), "rest": rest,
                              "left": float(after.sum()), "pixels": scan.size}  # fmt: skip


def outline_of(labels, number):
    """The outline of a component, one pixel around it."""
    blob = labels == number
    return ndi.binary_dilation(blob, EIGHT, iterations=2) & ~ndi.binary_dilation(blob, EIGHT)


def view_of(scan, gt, out, outline, middle):
    """Scan, ground truth, result and outlined scan around a place, side by side, uint8."""
    at = [min(max(0, m - VIEW // 2), n - VIEW) for m, n in zip(middle, scan.shape, strict=True)]
    window = tuple(slice(a, a + VIEW) for a in at)
    outlined = np.where(outline, 255 - scan, scan)
    return np.hstack([plane[window] for plane in (scan, gt, out, outlined)]).astype(np.uint8)


def save_sheet(path, false, count, seed=0):
    """`count` false alarms drawn at random, three a row, twice as large."""
    from PIL import Image

    drawn = np.random.default_rng(seed).permutation(len(false))[:count]
    views = [np.pad(false[i]["view"], 2) for i in drawn]
    views += [np.zeros_like(views[0])] * (-len(views) % 3)
    rows = [np.hstack(views[i : i + 3]) for i in range(0, len(views), 3)]
    Image.fromarray(np.vstack(rows).repeat(2, 0).repeat(2, 1)).save(path)


def within(value, bins):
    """The bin of a value, as text."""
    low, high = next(b for b in bins if b[0] <= value < b[1])
    return f"{low} to {high}" if high < 10**6 else f"over {low}"


def table(title, artefacts, key):
    """One row for each value of `key`."""
    groups = defaultdict(list)
    for artefact in artefacts:
        groups[key(artefact)].append(artefact)
    total = sum(a["before"] for a in artefacts)
    print(
        f"\n| {title} | artefacts | found | healed | error before | error left |\n|---"
        + "|---" * 5
        + "|"
    )
    for name in sorted(groups, key=lambda n: ([int(t) for t in n.split() if t.isdigit()], n)):
        of = groups[name]
        found, healed = (np.mean([a[k] for a in of]) for k in ("found", "healed"))
        before, after = (sum(a[k] for a in of) / total for k in ("before", "after"))
        print(f"| {name} | {len(of)} | {found:.0%} | {healed:.0%} | {before:.1%} | {after:.1%} |")


def main():
    """Run and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("split_file", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--backend", default="unet")
    parser.add_argument("--weights", help="a weights file, for backends that take one")
    parser.add_argument("--sensitivity", type=float, default=50.0)
    parser.add_argument("--sheet", type=Path, help="where to draw false alarms")
    parser.add_argument("--count", type=int, default=60, help="how many of them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with args.split_file.open() as stream:
        split = {row["photo"]: row["split"] for row in csv.DictReader(stream, delimiter="\t")}
    paths = [
        p
        for p in sorted(args.data.glob("*/scan/*.png"))
        if split.get(photo_of(p.name)) == args.split
    ]
    settings = (("weights", args.weights),) if args.weights else ()
    work = partial(analyse, backend=args.backend, settings=settings, sensitivity=args.sensitivity)
    with ProcessPoolExecutor(args.workers) as pool:
        results = list(pool.map(work, paths, chunksize=4))
    artefacts = [a for r in results for a in r[0]]
    false = [f for r in results for f in r[1]]
    patches = [r[2] for r in results]
    table("size, pixels", artefacts, lambda a: within(a["size"], SIZES))
    table("contrast, levels", artefacts, lambda a: within(a["contrast"], CONTRASTS))
    table("kind", artefacts, lambda a: f"{a['shape']}, {'bright' if a['bright'] else 'dark'}")
    table("photograph", artefacts, lambda a: a["photo"])
    total = sum(p["error"] for p in patches)
    megapixels = sum(p["pixels"] for p in patches) / 1e6
    harm = sorted((f["harm"] for f in false), reverse=True)
    left, rest = (sum(p[k] for p in patches) / total for k in ("left", "rest"))
    print(f"\nerror left: {left:.3f} of doing nothing; outside artefacts it was {rest:.3f}")
    print(f"false alarms: {len(false)}, {len(false) / megapixels:.2f} a megapixel")
    print(f"their error: {sum(harm) / total:.3f}, of the worst five {sum(harm[:5]) / total:.3f}")
    if args.sheet and false:
        save_sheet(args.sheet, false, args.count)
    if args.json:
        for alarm in false:
            del alarm["view"]
        args.json.write_text(
            json.dumps({"artefacts": artefacts, "false": false, "patches": patches})
        )


if __name__ == "__main__":
    main()

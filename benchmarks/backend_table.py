"""All backends on the hand-retouched film patches of one split, with intervals over photographs.

    python benchmarks/backend_table.py DATA SPLIT.tsv --split test [--unet FILE]

Scores as the data set's own `score.py` does (which must lie in the folder above DATA) and prints a
Markdown table. Intervals are 95 % percentile bootstraps over photographs: patches of one
photograph are no independent trials. Doing nothing is 1.000.
"""

import argparse
import csv
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
from film_quality import photo_of

METHODS = {
    "doing nothing": None,
    "classical": {"backend": "classical"},
    "classical, no grain": {"backend": "classical", "grain": "none"},
    "segnet, full": {
        "backend": "segnet",
        "grain": "none",
        "options": {"segnet": {"output": "full"}},
    },
    "segnet, composite": {"backend": "segnet"},
    "ssda, full": {
        "backend": "ssda",
        "grain": "none",
        "options": {"ssda": {"output": "full"}},
    },
    "ssda, composite": {"backend": "ssda"},
    "unet": {"backend": "unet"},
    "unet, no grain": {"backend": "unet", "grain": "none"},
    "retoucher's mask, Telea": {"backend": "telea", "grain": "none", "oracle": True},
    "retoucher's mask, oliveira": {"backend": "oliveira", "grain": "none", "oracle": True},
}
COLUMNS = ("sse_ratio", "visible", "recall", "false_per_mp", "harm", "touched")
RESAMPLED = 1000


@cache
def engine(backend, settings, given):
    """A loaded backend, once a process; `settings` are pairs of its own options."""
    from darkroom.options import CleanOptions
    from darkroom.pipeline.engine import load_engine
    from darkroom.plugins.manager import installed

    options = CleanOptions(backend=backend, options={backend: dict(settings)})
    return load_engine(options, "auto", installed(), mask_given=given)


def rows_of(path, methods, scorer, unet, inverted=False):
    """Score of one patch by each method."""
    import cv2
    import torch
    from PIL import Image

    from darkroom.options import CleanOptions, MachineOptions
    from darkroom.pipeline.memory import clean_array

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    sys.path.insert(0, str(scorer))
    from score import artefact_mask, score

    scan, gt = (
        np.asarray(Image.open(p).convert("L"))
        for p in (path, path.parent.parent / "gt" / path.name)
    )
    if inverted:
        scan, gt = 255 - scan, 255 - gt
    pair = [a.astype(np.float32) for a in (scan, gt)]
    out = []
    for name in methods:
        if METHODS[name] is None:
            out.append(score(*pair, pair[0]))
            continue
        values = dict(METHODS[name])
        oracle = values.pop("oracle", False)
        mask = artefact_mask(*pair).astype(np.uint8) * 255 if oracle else None
        settings = dict(values.get("options", {}).get(values["backend"], {}))
        if values["backend"] == "unet":
            settings["weights"] = str(unet)
        result = clean_array(
            scan,
            CleanOptions(**values),
            mask=mask,
            engine=engine(values["backend"], tuple(settings.items()), oracle),
            machine=MachineOptions(jobs=1),
        )
        out.append(score(*pair, result.image.astype(np.float32)))
    return out


def intervals(rows, photos, summary, seed=0):
    """(low, high) of each column of `summary` over photographs drawn with replacement."""
    rng = np.random.default_rng(seed)
    by_photo = {}
    for row, photo in zip(rows, photos, strict=True):
        by_photo.setdefault(photo, []).append(row)
    # Sums over the patches of a photograph are all that a ratio of sums needs.
    sums = [{k: sum(r[k] for r in group) for k in group[0]} for group in by_photo.values()]
    drawn = [
        summary([sums[i] for i in rng.integers(len(sums), size=len(sums))])
        for _ in range(RESAMPLED)
    ]
    return {c: tuple(np.percentile([d[c] for d in drawn], (2.5, 97.5))) for c in COLUMNS}


def main():
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("split_file", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--unet", type=Path, help="weights of the unet; its rows are left out else")
    parser.add_argument("--every", type=int, default=1, help="use only every Nth patch")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--inverted", action="store_true", help="show scans and ground truth as raw negatives"
    )
    parser.add_argument("--families", action="store_true", help="sse_ratio of each family too")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.unet:
        args.methods = [m for m in args.methods if not m.startswith("unet")]
    with args.split_file.open() as stream:
        split = {row["photo"]: row for row in csv.DictReader(stream, delimiter="\t")}
    paths = [
        path
        for path in sorted(args.data.glob("*/scan/*.png"))
        if split.get(photo_of(path.name), {}).get("split") == args.split
    ][:: args.every]
    started = time.monotonic()
    scorer = args.data.resolve().parent
    with ProcessPoolExecutor(args.workers) as pool:
        work = partial(
            rows_of,
            methods=args.methods,
            scorer=scorer,
            unet=args.unet,
            inverted=args.inverted,
        )
        rows = list(pool.map(work, paths, chunksize=4))
    sys.path.insert(0, str(scorer))
    from score import summary

    photos = [photo_of(p.name) for p in paths]
    families = sorted({split[photo]["family"] for photo in photos})
    print(f"{len(paths)} patches of {len(set(photos))} photographs, {args.split}")
    print("| method | " + " | ".join(COLUMNS) + " |\n|---" * 1 + "|---" * len(COLUMNS) + "|")
    report = {}
    for i, name in enumerate(args.methods):
        own = [row[i] for row in rows]
        figures, ranges = summary(own), intervals(own, photos, summary)
        cells = [f"{figures[c]:.4g} ({ranges[c][0]:.3g} to {ranges[c][1]:.3g})" for c in COLUMNS]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        report[name] = {"figures": figures, "intervals": ranges}
        if args.families:
            for family in families:
                of = [r for r, p in zip(own, photos, strict=True) if split[p]["family"] == family]
                f = summary(of)
                print(f"|   {family} | " + " | ".join(f"{f[c]:.4g}" for c in COLUMNS) + " |")
    print(f"{time.monotonic() - started:.0f} s")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

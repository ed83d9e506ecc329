"""Error left by a backend on the hand-retouched film patches of one split.

    python benchmarks/film_quality.py DATA SPLIT.tsv --split val --backend classical

Cleans every patch through the library and scores it as the data set's own `score.py` does (which
must lie in the folder above DATA). Doing nothing is 1.000.
"""

import argparse
import csv
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

_engines = {}


def photo_of(name):
    """The photograph that patch NAME.png belongs to."""
    return name[:-4].rsplit("-", 1)[0][:-1]


def rows_of(path, options, settings, scorer):
    """Score of one patch at each of the settings."""
    import cv2
    from PIL import Image

    from darkroom.options import CleanOptions, MachineOptions
    from darkroom.pipeline.engine import load_engine
    from darkroom.pipeline.memory import clean_array
    from darkroom.plugins.manager import installed

    cv2.setNumThreads(1)
    sys.path.insert(0, str(scorer))
    from score import score

    scan, gt = (
        np.asarray(Image.open(p).convert("L"))
        for p in (path, path.parent.parent / "gt" / path.name)
    )
    out = []
    for setting in settings:
        chosen = CleanOptions(**(options | setting))
        key = (chosen.backend, chosen.inpainter)
        if key not in _engines:
            _engines[key] = load_engine(chosen, "auto", installed())
        result = clean_array(scan, chosen, engine=_engines[key], machine=MachineOptions(jobs=1))
        out.append(score(*(a.astype(np.float32) for a in (scan, gt, result.image))))
    return out


def plot(report, path):
    """The trade between marks healed and marks invented, one line for each inpainter and grain."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    lines = {}
    for row in report:
        name = f"{row['split']}, {row['inpainter'] or 'default'}, grain {row['grain']}"
        lines.setdefault(name, []).append((row["false_per_mp"], row["visible"], row["sensitivity"]))
    for name, points in lines.items():
        points.sort()
        axes.plot([p[0] for p in points], [p[1] for p in points], "o-", label=name)
        for x, y, sensitivity in points:
            axes.annotate(f"{sensitivity:g}", (x, y), (4, -10), textcoords="offset points")
    axes.set_xlabel("false alarms per megapixel")
    axes.set_ylabel("share of visible artefacts healed")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    """Run and print one line for each sensitivity and grain."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("split_file", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--backend", default="classical")
    parser.add_argument("--inpainter", nargs="*", default=[None])
    parser.add_argument("--grain", nargs="*", default=["none"])
    parser.add_argument("--sensitivity", nargs="*", type=float, default=[50.0])
    parser.add_argument("--families", action="store_true", help="a line for each family too")
    parser.add_argument("--every", type=int, default=1, help="use only every Nth patch")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="PNG of visible recall against false/MP")
    args = parser.parse_args()
    with args.split_file.open() as stream:
        split = {row["photo"]: row for row in csv.DictReader(stream, delimiter="\t")}
    paths = [
        path
        for path in sorted(args.data.glob("*/scan/*.png"))
        if split.get(photo_of(path.name), {}).get("split") == args.split
    ][:: args.every]
    settings = [
        {"inpainter": inpainter, "grain": grain, "sensitivity": sensitivity}
        for inpainter in args.inpainter
        for grain in args.grain
        for sensitivity in args.sensitivity
    ]
    started = time.monotonic()
    work = partial(
        rows_of,
        options={"backend": args.backend},
        settings=settings,
        scorer=args.data.resolve().parent,
    )
    with ProcessPoolExecutor(args.workers) as pool:
        rows = list(pool.map(work, paths, chunksize=4))
    sys.path.insert(0, str(args.data.resolve().parent))
    from score import show, summary

    report = []
    for i, setting in enumerate(settings):
        name = f"{setting['inpainter'] or 'default'} {setting['grain']} {setting['sensitivity']:g}"
        result = summary([row[i] for row in rows])
        show(f"{args.split} {name}", result)
        report.append({"split": args.split, **setting, **result})
        if args.families:
            for family in sorted({split[photo_of(p.name)]["family"] for p in paths}):
                of = [
                    row[i]
                    for row, p in zip(rows, paths, strict=True)
                    if split[photo_of(p.name)]["family"] == family
                ]
                show(f"  {family}", summary(of))
    print(f"{time.monotonic() - started:.0f} s")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    if args.plot:
        plot(report, args.plot)


if __name__ == "__main__":
    main()

"""Two figures of docs/model-card-unet.md: are scores probabilities, are clean frames left alone?

    python benchmarks/unet_figures.py reliability DATA SPLIT.tsv FILE --split test --plot plot.png
    python benchmarks/unet_figures.py clean DATA SPLIT.tsv FILE --split test

`reliability` sorts the pixels that the retoucher decided on by their score and counts how many are
damaged. `clean` gives retouched pictures as scans and counts what changes nevertheless; faint dust
that the retoucher left counts too.
"""

import argparse
from pathlib import Path

import numpy as np

from darkroom.options import CleanOptions, MachineOptions
from darkroom.pairs.find import find_parts
from darkroom.pairs.read import load_picture
from darkroom.pipeline.engine import load_engine
from darkroom.pipeline.memory import clean_array
from darkroom.plugins.manager import installed
from darkroom.training.calibrate import load_trainable, reliability


def show_reliability(args, pairs):
    """A table of scores and shares of damage, and its plot."""
    _, trainable = load_trainable(args.weights, installed())
    found = reliability(trainable, [load_picture(pair) for pair in pairs])
    print("| score | damaged | pixels |\n|---|---|---|")
    for score, damaged, pixels in zip(found.score, found.damaged, found.pixels, strict=True):
        print(f"| {score:.3f} | {damaged:.3f} | {pixels:,.0f} |")
    if args.plot:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(4.2, 4), layout="constrained")
        axes.plot([0, 1], [0, 1], color="0.7", label="as it should be")
        axes.plot(found.score, found.damaged, "o-", color="#c2410c", label="measured")
        axes.set(xlabel="score", ylabel="share of pixels damaged", xlim=(0, 1), ylim=(0, 1))
        axes.legend(frameon=False)
        figure.savefig(args.plot, dpi=110)


def show_clean(args, pairs):
    """The share of pixels changed in pictures that need no change."""
    chosen = {"backend": "unet", "options": {"unet": {"weights": str(args.weights)}}}
    engine = load_engine(CleanOptions(**chosen), "auto", installed())
    for sensitivity in args.sensitivity:
        options = CleanOptions(**chosen, sensitivity=sensitivity)
        pixels = changed = pictures = 0
        for pair in pairs:
            truth = load_picture(pair).truth
            truth = np.rint(truth).clip(0, 255).astype(np.uint8)
            done = clean_array(truth, options, engine=engine, machine=MachineOptions(jobs=1))
            differs = int((done.image.reshape(truth.shape) != truth).sum())
            pixels, changed, pictures = (
                pixels + truth.size,
                changed + differs,
                pictures + (differs > 0),
            )
        print(
            f"sensitivity {sensitivity:g}: {changed / pixels:.4%} of the pixels changed, "
            f"in {pictures} of {len(pairs)} pictures"
        )


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=("reliability", "clean"))
    parser.add_argument("data", type=Path)
    parser.add_argument("split_file", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--every", type=int, default=1, help="use only every Nth patch")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--sensitivity", type=float, nargs="*", default=[50.0])
    args = parser.parse_args()
    pairs = find_parts(args.data, [args.split], args.split_file)[args.split][:: args.every]
    {"reliability": show_reliability, "clean": show_clean}[args.what](args, pairs)


if __name__ == "__main__":
    main()

"""The figures of docs/segnet.md: the paper's measures of `full`, and what the network costs.

    python benchmarks/segnet_figures.py classes DATA SPLIT.tsv --split test
    python benchmarks/segnet_figures.py speed

`classes` gives each whole patch to the network, as the paper did, and compares its most likely
levels with the ground truth as it is. `speed` wants a machine that does nothing else; the
backend's tiles are so many pixels wide and high, and its cells what they always are. What
`composite` leaves of the error is measured by `film_quality.py --backend segnet` or `darkroom
compare`.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from darkroom_backends.departures import BRIGHTEST
from darkroom_backends.segnet.backend import SegNetOptions, SegNetRestorer
from darkroom_backends.segnet.levels import expectation, likeliest
from darkroom_backends.segnet.model import SegNet, SegNetConfig
from PIL import Image

from darkroom.compare.measure.paper import (
    CLASS_COUNTS,
    LEVELS,
    class_figures,
    confusion_matrix,
    merge,
)
from darkroom.geometry import Window
from darkroom.pairs.find import find_parts
from darkroom.precision import PRECISIONS
from darkroom.scan import FrameStats, Tile

# Of 50 unnamed test images; and, read off its figure 5, at ten classes.
PAPER_MSE = "paper 338.92 (39.92 to 643.51)"
PAPER_TEN = "paper, 10 classes: recall and precision 0.575, F1 0.49, mIoU 0.335"


def levels(path):
    """A patch as uint8."""
    return np.asarray(Image.open(path).convert("L"))


def describe(name, errors):
    """One line on the squared error of the patches."""
    low, quarter, middle, three, high = np.percentile(errors, (0, 25, 50, 75, 100))
    print(
        f"{name:12} mean {np.mean(errors):7.2f}  least {low:.2f}  quarter {quarter:.2f}  "
        f"median {middle:.2f}  three quarters {three:.2f}  most {high:.2f}"
    )


@torch.inference_mode()
def classes(args):
    """MSE and the figures over classes."""
    module = SegNetRestorer(SegNetOptions(weights=args.weights)).module
    pairs = find_parts(args.data, [args.split], args.split_file)[args.split][:: args.every]
    errors = {name: [] for name in ("identity", "full", "expectation")}
    confusion = {name: np.zeros((LEVELS, LEVELS), np.int64) for name in ("identity", "full")}
    for pair in pairs:
        scan, truth = levels(pair.scan), levels(pair.truth)
        x = torch.from_numpy(scan.astype(np.float32) / np.float32(BRIGHTEST))[None, None]
        logits = module(x).logits
        full = likeliest(logits)[0, 0].numpy().astype(np.uint8)
        results = {"identity": scan, "full": full, "expectation": expectation(logits)[0, 0].numpy()}
        for name, result in results.items():
            errors[name].append(((result.astype(np.float64) - truth) ** 2).mean())
        for name in confusion:
            confusion[name] += confusion_matrix(truth, results[name])
    print(f"{args.split}: {len(pairs)} patches; {PAPER_MSE}")
    for name, values in errors.items():
        describe(name, values)
    print(PAPER_TEN)
    for name, matrix in confusion.items():
        for count in CLASS_COUNTS:
            f = class_figures(merge(matrix, count))
            print(
                f"{name:12} {count:3} classes: precision {f.precision:.3f}  recall {f.recall:.3f}"
                f"  F1 {f.f1:.3f}  mIoU {f.miou:.3f}"
            )


@torch.inference_mode()
def rate(work, pixels, repeats):
    """Megapixels a second; the best of some runs after a first one."""
    work()
    took = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return pixels / 1e6 / min(took)


def speed(args):
    """The bare network beside the backend, at several sizes of tile."""
    torch.set_num_threads(args.threads)
    restorer = SegNetRestorer(SegNetOptions(weights=args.weights, precision=args.precision))
    low = torch.bfloat16 if args.precision == "bfloat16" else None
    networks = {f"width {restorer.module.config.width:g}": restorer.module}
    if args.wide:
        networks["width 1"] = SegNet(SegNetConfig()).eval()
    rng = np.random.default_rng(0)
    for name, module in networks.items():
        module.to(memory_format=torch.channels_last)
        for side in args.sides:
            x = torch.from_numpy(rng.random((1, 1, side, side), np.float32))

            def bare(module=module, x=x):
                with torch.autocast("cpu", torch.bfloat16, enabled=low is not None):
                    module(x)

            print(f"bare {name}, {side}: {rate(bare, side**2, args.repeats):.3f} MP/s", flush=True)
    halo = restorer.contract.halo
    flat = (0.01,) * 16
    stats = FrameStats(0, 1, 0.5, 0.01, tuple(np.linspace(0, 1, 16)), flat, "both", None,
                       Window(0, 0, 1, 1))  # fmt: skip
    for side in args.sides:
        core = Window(0, 0, side, side)
        read = core.grow(halo)
        tile = Tile(core, read, rng.random((read.height, read.width, 1), np.float32))
        got = rate(lambda tile=tile: restorer.restore([tile], stats), side**2, args.repeats)
        print(f"backend, {side}: {got:.3f} MP/s", flush=True)


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--weights", default="", help="a weights file; the shipped one otherwise")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("classes")
    one.add_argument("data", type=Path)
    one.add_argument("split_file", type=Path)
    one.add_argument("--split", default="test")
    one.add_argument("--every", type=int, default=1, help="use only every Nth patch")
    one.set_defaults(run=classes)
    two = commands.add_parser("speed")
    two.add_argument("--sides", type=int, nargs="*", default=[256, 512, 1024])
    two.add_argument("--threads", type=int, default=os.cpu_count())
    two.add_argument("--repeats", type=int, default=3)
    two.add_argument("--wide", action="store_true", help="the published width too")
    two.add_argument("--precision", choices=PRECISIONS, default="float32")
    two.set_defaults(run=speed)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

"""Infrared as a teacher: a network that sees only the picture, trained on masks made by infrared.

    python benchmarks/infrared_teacher.py PHOTOGRAPHS WORK --steps 600

Modelled RGBI scans (`rgbi.py`) are made of photographs of a folder; `darkroom dataset build
--labels infrared` labels them, `darkroom train` trains a small U-Net on the labels alone, from
nothing, and that network cleans modelled scans of other photographs without their infrared.
Printed are:

- labels: share of the pixels that dust dims visibly that the masks hold (those that infrared cannot
  show left out), share of the masks within two pixels of such a one, and how many pixels of
  scratches in the emulsion, which infrared cannot show, the masks hold;
- of the scans that were kept aside: squared error left beside the clean twin (doing nothing is 1),
  the part of it added where nothing is visible, and the share of artefacts found, by the network
  before training, after it, and by infrared itself, its teacher.

Each stage keeps what it made in WORK and is not repeated; delete the folder to start again.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from infrared_quality import EIGHT, measure
from rgbi import Scanner, make_frame, write_vuescan
from scipy import ndimage as ndi

from darkroom.options import CleanOptions
from darkroom.pipeline.memory import clean_array
from darkroom.scan import Encoding

RECIPE = """arch = "unet"

[network]
widths = [16, 32, 48]

[train]
batch = 4
crop = 128
rate = 2e-3
warmup = 50
schedule = "cosine"
ema = 0.99
clip = 2.0
threads = 1
validate_every = 1000
checkpoint_every = 200
"""
PROGRAM = "from darkroom.cli.main import run; run()"
SIDE = 360  # pixels of a photograph; scans are twice as large


def chosen(folder, count, seed):
    """(names of photographs to train on, names kept aside), drawn without looking."""
    names = sorted(p.name for p in folder.iterdir() if p.suffix in (".webp", ".png", ".jpg"))
    drawn = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    return drawn[: 2 * count], drawn[2 * count : 3 * count]


def frame_of(path, seed):
    """A modelled scan of the middle of a photograph."""
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
    top, left = (max(0, (n - SIDE) // 2) for n in photo.shape[:2])
    photo = np.ascontiguousarray(photo[top : top + SIDE, left : left + SIDE])
    return make_frame(photo, "slide", Scanner(), amount=3.0, smears=1, seed=seed)


def darkroom(*words):
    """Run a command of darkroom; its messages go to this command's own."""
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, words)], check=True)


def labels(scans):
    """How good the masks of the teacher are, summed over scans."""
    found = wanted = right = marked = deep = deep_all = 0
    for _, frame in scans:
        result = clean_array(
            frame.damaged[..., :3],
            CleanOptions(backend="infrared", max_coverage=0.1),
            infrared=frame.damaged[..., 3],
            encoding=Encoding.LINEAR,
        )
        mask = result.mask > 0
        seen = frame.visible & ~frame.emulsion
        near = ndi.binary_dilation(frame.visible, EIGHT, 2)
        found += np.count_nonzero(mask & seen)
        wanted += np.count_nonzero(seen)
        right += np.count_nonzero(mask & near)
        marked += np.count_nonzero(mask)
        deep += np.count_nonzero(mask & frame.emulsion)
        deep_all += np.count_nonzero(frame.emulsion)
    print(
        f"labels of {len(scans)} scans: recall {found / wanted:.3f}, precision "
        f"{right / marked:.3f}, of emulsion scratches {deep / max(deep_all, 1):.3f}",
        flush=True,
    )


def report(name, frames, options):
    """Figures over the scans that were kept aside."""
    rows = []
    for frame in frames:
        by_infrared = options.backend == "infrared"
        result = clean_array(
            frame.damaged[..., :3],
            options,
            infrared=frame.damaged[..., 3] if by_infrared else None,
            encoding=Encoding.LINEAR,
        )
        rows.append(measure(frame, result))
    left, harm, recall = (np.mean([r[k] for r in rows]) for k in ("sse_ratio", "harm", "recall"))
    exact = [r["precision"] for r in rows if r["precision"] is not None]
    precision = f"{np.mean(exact):.3f}" if exact else ""
    print(f"| {name} | {left:.3f} | {harm:+.4f} | {recall:.3f} | {precision} |", flush=True)


def main():
    """Make, label, train, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--scans", type=int, default=16, help="kept aside; twice as many to learn")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    learnt, aside = chosen(given.photographs, given.scans, given.seed)
    scans = given.work / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    made = []
    for number, name in enumerate(learnt):
        path = scans / f"{Path(name).stem}.tif"
        frame = frame_of(given.photographs / name, given.seed + number)
        made.append((path, frame))
        if not path.exists():
            write_vuescan(path, frame)
    labels(made[: given.scans])
    del made
    data, recipe = given.work / "data", given.work / "recipe.toml"
    recipe.write_text(RECIPE)
    if not data.exists():
        darkroom("dataset", "build", scans, "-o", data, "--labels", "infrared", "--size", 256)
    for steps in (1, given.steps):
        weights = given.work / f"unet-{steps}.safetensors"
        if not weights.exists():
            settings = ("--set", f"steps={steps}", "--licence", "see the photographs")
            darkroom("train", "--data", data, "--recipe", recipe, *settings, "-o", weights)
    print("\n| found by | error left | harm | recall | precision |\n|---|---|---|---|---|")
    frames = [
        frame_of(given.photographs / name, given.seed + 1000 + i) for i, name in enumerate(aside)
    ]
    for name, steps in (("network before training", 1), ("network after training", given.steps)):
        options = {"unet": {"weights": str(given.work / f"unet-{steps}.safetensors")}}
        report(name, frames, CleanOptions(backend="unet", ir="off", options=options))
    report("infrared, its teacher", frames, CleanOptions(backend="infrared"))


if __name__ == "__main__":
    main()

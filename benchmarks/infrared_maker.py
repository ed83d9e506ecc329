"""Agreement with a scanner maker's own infrared cleaning, on one crop; for measuring only.

    python benchmarks/infrared_maker.py FOLDER

FOLDER holds `input_rgb.png`, `input_ir.png` and `nikonscan.png` (the maker's result), of one size.
Printed are: how many connected places the maker changed by more than a few levels darkroom's mask
touches, how many places of the mask the maker changed, and the mean squared difference from the
maker's result within the mask and outside of it, before and after. The maker's result is no ground
truth: it also sharpens or softens where there is no dust, which the figure outside shows.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from darkroom.options import CleanOptions
from darkroom.pipeline.memory import clean_array
from darkroom.scan import Encoding

LEVELS = (10, 20, 40)  # of 255, by which a place was surely changed
NOTICED = 2.0  # mean change of a place of the mask that counts as changed


def places(mask):
    """Labels of connected places, and how many there are."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return labels, count - 1


def main():
    """Print the agreement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    before, maker = (
        np.ascontiguousarray(cv2.imread(str(folder / name), cv2.IMREAD_COLOR)[..., ::-1])
        for name in ("input_rgb.png", "nikonscan.png")
    )
    infrared = cv2.imread(str(folder / "input_ir.png"), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    result = clean_array(
        before,
        CleanOptions(backend="infrared", max_coverage=0.3),
        infrared=infrared,
        encoding=Encoding.GAMMA,
    )
    mask = result.mask > 0
    # Over 3 x 3 pixels: the two differ by grain everywhere.
    change = cv2.blur(np.abs(before.astype(np.float32) - maker).max(axis=2), (3, 3))
    for levels in LEVELS:
        labels, count = places(change > levels)
        hit = len(np.unique(labels[mask & (labels > 0)]))
        print(f"changed by the maker by more than {levels} levels: {count} places, {hit} found")
    labels, count = places(mask)
    means = [change[labels == i].mean() for i in range(1, count + 1)]
    print(f"our places: {count}, changed by the maker too: {sum(m > NOTICED for m in means)}")
    for name, part in (("within", mask), ("outside", ~mask)):
        was, now = (
            float(((p.astype(float) - maker) ** 2)[part].mean()) for p in (before, result.image)
        )
        print(f"mean squared difference from the maker {name} the mask: {was:.1f}, now {now:.1f}")


if __name__ == "__main__":
    main()

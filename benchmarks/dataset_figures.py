"""Figures of `darkroom dataset` on real pairs stitched together: speed, leaks, flags, agreement.

    python benchmarks/dataset_figures.py FOLDER

FOLDER is the data set's folder with `film/` in it. Prints: build time and MP/s; tiles leaked by
the family split, by the paper's and by the published one; share of flagged tiles; agreement (IoU)
of the masks with the difference of exact pairs; and the error of registration on pairs that are
shifted, turned and scaled by known amounts.
"""

import csv
import math
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from darkroom.dataset.build import Settings, build
from darkroom.dataset.register import register
from darkroom.pairs.find import find_pairs
from darkroom.pairs.read import read_tile
from darkroom.pairs.split import leaks, split_at_random, split_families
from darkroom.pairs.tiles import measure

CASES = [
    (0, 1, 0.4, -0.3),
    (0.25, 1, 1.5, 0),
    (0.5, 1, 0, 2.3),
    (-0.5, 0.99, 3, 1),
    (0, 1.01, 0, 0),
]


def stitched(film: Path, folder: Path) -> None:
    """Whole scans and truths of the photographs with a complete grid."""
    sys.path.insert(0, str(film))
    import stitch

    for side in ("scan", "gt"):
        (folder / side).mkdir()
    for row in csv.DictReader((film / "photos.tsv").open(), delimiter="\t"):
        if row["complete_grid"] == "yes":
            for side, image in zip(("scan", "gt"), stitch.stitch(row["photo"]), strict=True):
                Image.fromarray(image).save(folder / side / f"{row['photo']}.png")


def report_leaks(film: Path) -> None:
    """Tiles outside train whose family is in train, by kind of split."""
    patches = find_pairs(film, group_by=str(film / "photos.tsv")).pairs
    owners = [p.family for p in patches]
    chosen = split_families(Counter(owners))
    drawn = split_at_random([p.scan.name for p in patches])
    print("family split leaks", leaks((f, chosen[f]) for f in owners))
    print("paper's split leaks", leaks(zip(owners, drawn, strict=True)))
    print(
        "published split leaks",
        leaks((p.family, p.split) for p in patches),
    )


def report_agreement(film: Path) -> None:
    """IoU of masks with what differs by more than 4 levels, on every tenth patch; flags."""
    patches = find_pairs(film).pairs
    both = either = flagged = exact = 0
    for patch in patches[::10]:
        scan, gt = read_tile(patch.scan), read_tile(patch.truth)
        measured = measure(scan, gt)
        flagged += bool(measured.flags)
        difference = np.abs(scan.astype(int) - gt)
        if np.median(difference) > 0:
            continue
        exact += 1
        changed, mask = difference > 4, measured.mask > 0
        both += int((changed & mask).sum())
        either += int((changed | mask).sum())
    count = len(patches[::10])
    print(f"patches: {100 * flagged / count:.1f} % of {count} flagged, {exact} exact")
    print(f"  IoU of the masks of exact patches with differences above 4: {both / either:.3f}")


def report_build(folder: Path) -> None:
    """Speed, flags and agreement."""
    pairs = find_pairs(folder / "scan", folder / "gt").pairs
    start = time.perf_counter()
    manifest, wrong = build(pairs, folder / "ds", Settings())
    seconds = time.perf_counter() - start
    megapixels = sum(p.width * p.height for p in manifest.pairs) / 1e6
    flagged = sum(bool(t.flags) for t in manifest.tiles) / len(manifest.tiles)
    print(f"build: {len(manifest.pairs)} pairs, {len(manifest.tiles)} tiles, {len(wrong)} failed")
    print(f"  {seconds:.1f} s, {megapixels / seconds:.2f} MP/s, {100 * flagged:.1f} % flagged")
    print("  leaks", manifest.leaks())


def report_registration(folder: Path) -> None:
    """Largest displacement error over each whole scan, by known transform."""
    for path in sorted((folder / "scan").glob("*.png")):
        scan = np.asarray(Image.open(path), np.float32)
        truth = np.asarray(Image.open(folder / "gt" / path.name), np.float32)
        height, width = scan.shape
        worst = []
        for angle, scale, dx, dy in CASES:
            c = scale * math.cos(math.radians(angle))
            s = scale * math.sin(math.radians(angle))
            linear, middle = np.array([[c, -s], [s, c]]), np.array([width, height]) / 2
            matrix = np.c_[linear, middle - linear @ middle + (dx, dy)]
            moved = cv2.warpAffine(
                truth,
                matrix,
                (width, height),
                flags=cv2.INTER_LANCZOS4,
                borderMode=cv2.BORDER_REFLECT,
            )
            found = register(
                lambda w, a=scan: np.ascontiguousarray(a[w.slices]),
                (width, height),
                lambda w, a=moved: np.ascontiguousarray(a[w.slices]),
                (width, height),
            )
            corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
            worst.append(float(np.hypot(*(corners @ (found.matrix - matrix).T).T).max()))
        print(f"registration {path.stem}: " + " ".join(f"{e:.3f}" for e in worst) + " px")


if __name__ == "__main__":
    film = Path(sys.argv[1]) / "film"
    report_leaks(film)
    report_agreement(film)
    with tempfile.TemporaryDirectory() as name:
        stitched(film, Path(name))
        report_build(Path(name))
        report_registration(Path(name))

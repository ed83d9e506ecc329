"""What infrared finds and repairs on modelled scans, beside the picture alone and both together.

    python benchmarks/infrared_quality.py --json FILE --crops FOLDER

Scans are those of `rgbi.py`: photographs that come with scikit-image, on modelled film, each with
a clean twin. The photographs are not those that defaults were chosen on. Figures are means over the
photographs:

- recall: share of the visible artefacts of which at least half is in the mask;
- precision: share of the places in the mask where scan and clean twin differ;
- deep recall: the same of scratches that infrared cannot show (none where a frame has none);
- false/MP: places in the mask where scan and clean twin do not differ;
- sse_ratio: squared error left, against the clean twin as people see it; doing nothing is 1;
- harm: squared error added where scan and clean twin do not visibly differ, in the same units;
- outside: samples changed outside the mask, over all photographs.
"""

import argparse
import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import rgbi_table
from rgbi import CHOSEN_ON, REPORTED, Scanner, as_seen, bundled_photos, make_frame
from scipy import ndimage as ndi

from darkroom.options import CleanOptions
from darkroom.pipeline.memory import clean_array
from darkroom.scan import Encoding

EIGHT = np.ones((3, 3), bool)
FINE, COARSE = 0.002, 0.02  # noise of infrared as a share of white
SCANS = {
    "slide, fine scanner": ("slide", Scanner(FINE)),
    "slide, noisy scanner": ("slide", Scanner(COARSE)),
    "negative": ("negative", Scanner(FINE)),
    "inverted negative": ("inverted", Scanner(FINE)),
    "inverted, noisy scanner": ("inverted", Scanner(COARSE)),
    "inverted, shifted 3.4, -2.2": ("inverted", Scanner(FINE, shift=(3.4, -2.2))),
    "silver": ("silver", Scanner(FINE)),
    "Kodachrome": ("kodachrome", Scanner(FINE)),
}
WAYS = ("picture", "infrared", "infrared, filled only")


def clean(frame, way, sensitivity, inpainter):
    """The result of one way of cleaning a frame."""
    options = {"": {}, "infrared, filled only": {"infrared": {"thinnest": 1.0}}}
    settings = CleanOptions(
        backend="classical",
        ir="off" if way == "picture" else "auto",
        sensitivity=sensitivity,
        inpainter=inpainter,
        options=options.get(way, {}),
    )
    encoding = Encoding.GAMMA if frame.encoded else Encoding.LINEAR
    picture, infrared = frame.damaged[..., :3], frame.damaged[..., 3]
    return clean_array(picture, settings, infrared=infrared, encoding=encoding)


def measure(frame, result):
    """The figures of one result."""
    before, after, truth = (
        as_seen(p, frame.encoded) for p in (frame.damaged, result.image, frame.clean)
    )
    mask = result.mask > 0
    error = ((before - truth) ** 2).sum()
    left = ((after - truth) ** 2).sum(axis=2)
    labels, count = ndi.label(frame.visible, EIGHT)
    found = ndi.mean(mask, labels, np.arange(1, count + 1)) >= 0.5
    deep = ndi.mean(frame.emulsion, labels, np.arange(1, count + 1)) > 0.5
    differs = ndi.binary_dilation(np.abs(before - truth).max(axis=2) > 1 / 255, EIGHT, 2)
    places, total = ndi.label(mask, EIGHT)
    wrong = total - np.count_nonzero(ndi.maximum(differs, places, np.arange(1, total + 1)))
    harm = (left - ((before - truth) ** 2).sum(axis=2))[~frame.visible].sum()
    return {
        "recall": float(found[~deep].mean()),
        "deep_recall": float(found[deep].mean()) if deep.any() else None,
        "precision": 1 - wrong / total if total else None,
        "false_per_mp": wrong / mask.size * 1e6,
        "sse_ratio": float(left.sum() / error),
        "harm": float(harm / error),
        "outside": int((frame.damaged[..., :3] != result.image)[~mask].sum()),
        "used": bool(result.infrared and result.infrared["used"]),
    }


def save_crop(path, frame, result, side=320):
    """Before, after, clean twin and mask, side by side, where the scan is damaged most."""
    import imagecodecs

    dirty = ndi.uniform_filter(frame.visible.astype(np.float32), side, mode="constant")
    y, x = np.unravel_index(dirty.argmax(), dirty.shape)
    place = tuple(
        slice(start, start + side)
        for start in (
            max(0, min(c - side // 2, n - side)) for c, n in zip((y, x), dirty.shape, strict=True)
        )
    )
    shown = [as_seen(p[place], frame.encoded) for p in (frame.damaged, result.image, frame.clean)]
    shown.append(np.repeat(result.mask[place][..., None] / 255, 3, axis=2))
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(np.concatenate(shown, axis=1) * 255).astype(np.uint8)
    path.write_bytes(imagecodecs.png_encode(pixels))


def mean(rows):
    """Means of each figure over rows that have it."""
    out = {}
    for key in rows[0]:
        values = [row[key] for row in rows if row[key] is not None]
        out[key] = float(np.mean(values)) if values else None
    return out


def print_cells(chosen, photos, each):
    """Size x sharpness x polarity x strength, then registrations, on small scans of `rgbi_table`.

    Every cell has `each` photographs, the next ones in turn; errors are summed over them.
    """
    names = list(photos)
    print("| size | edge | polarity | core keeps | registration | error left | harm | found | |")
    print("|---|---|---|---|---|---|---|---|---|")
    missed = 0
    for number, cell in enumerate(chosen):
        sums, refusals = {}, set()
        for turn in range(each):
            at = number * each + turn
            scan = rgbi_table.make(photos[names[at % len(names)]], cell, at)
            result = clean_array(
                scan.damaged,
                CleanOptions(backend="classical", ir="auto"),
                infrared=scan.infrared,
                encoding=Encoding.LINEAR,
            )
            if not result.infrared["used"]:
                refusals.add(result.infrared["refusal"])
                continue
            for key, value in rgbi_table.figures(scan, result.image, result.mask).items():
                sums.setdefault(key, []).append(value)
        if not sums:
            print("| " + " | ".join(astuple(cell)) + f" | refused: {refusals} |", flush=True)
            continue
        error = sum(sums["error"])
        left, harm = (sum(sums[key]) / error for key in ("left", "harm"))
        good = left <= 0.15 and harm <= 0.01
        missed += not good
        found = np.mean(sums["found"])
        print(
            f"| {' | '.join(astuple(cell))} | {left:.3f} | {harm:+.4f} | {found:.2f} "
            f"| {'' if good else 'missed'}{f' refused {refusals}' if refusals else ''} |",
            flush=True,
        )
    print(f"\n{missed} of {len(chosen)} cells are above 0.15 of doing nothing, or harm above 0.01.")


def table_cells(every):
    """Every `every`-th cell under an aligned plane, and some cells under each registration."""
    aligned = rgbi_table.cells()[::every]
    moved = [
        rgbi_table.Cell(size, "soft", polarity, strength, registration)
        for registration in rgbi_table.REGISTRATIONS
        for size in ("5 px", "30 px")
        for polarity, strength in (("half", "0.62"), ("dark", "0.20"), ("bright", "0.62"))
    ]
    return aligned + moved[::every]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--table", action="store_true", help="the table size x sharpness x polarity x strength"
    )
    parser.add_argument("--every", type=int, default=1, help="only every so many cells of it")
    parser.add_argument("--each", type=int, default=1, help="photographs of each cell")
    parser.add_argument("--folder", type=Path, help="photographs; bundled ones by default")
    parser.add_argument("--only", type=Path, help="a list of names in that folder, one a line")
    parser.add_argument("--scans", nargs="*", default=list(SCANS), help="names of scans")
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument("--photos", nargs="*", default=REPORTED, choices=CHOSEN_ON + REPORTED)
    parser.add_argument("--sensitivity", nargs="*", type=float, default=[50.0])
    parser.add_argument("--inpainter", default="oliveira")
    parser.add_argument("--amount", type=float, default=1.0, help="of damage")
    parser.add_argument("--smears", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--crops", type=Path, help="write before, after and mask to this folder")
    given = parser.parse_args()
    if given.table:
        names = given.only.read_text().split() if given.only else None
        photos = rgbi_table.photographs(given.folder, names)
        print_cells(table_cells(given.every), photos, given.each)
        return
    photos = bundled_photos(tuple(given.photos))
    table = []
    print(
        "| scan | found by | sensitivity | recall | deep | precision | false/MP | sse_ratio | harm "
        "| outside |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in given.scans:
        kind, scanner = SCANS[name]
        rows = {}
        for seed, photo in enumerate(given.photos):
            settings = {"amount": given.amount, "smears": given.smears, "seed": seed}
            frame = make_frame(photos[photo], kind, scanner, **settings)
            for way in given.ways:
                for sensitivity in given.sensitivity:
                    result = clean(frame, way, sensitivity, given.inpainter)
                    rows.setdefault((way, sensitivity), []).append(measure(frame, result))
                    if given.crops:
                        label = f"{name}-{way}-{photo}".replace(", ", "-").replace(" ", "_")
                        save_crop(given.crops / f"{label}.png", frame, result)
        for (way, sensitivity), figures in rows.items():
            m = mean(figures)
            table.append({"scan": name, "way": way, "sensitivity": sensitivity} | m)
            exact = "" if m["precision"] is None else f"{m['precision']:.3f}"
            deep = "" if m["deep_recall"] is None else f"{m['deep_recall']:.2f}"
            print(
                f"| {name} | {way} | {sensitivity:g} | {m['recall']:.3f} | {deep} "
                f"| {exact} | {m['false_per_mp']:.1f} | {m['sse_ratio']:.3f} "
                f"| {m['harm']:+.4f} | {m['outside'] * len(figures):.0f} |",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()

"""How good a backend is, judged three ways at once; no choice should be made on fewer.

    python benchmarks/quality.py --film FILM --photos PHOTOS --frames FRAMES --shapes SHAPES \\
        [--backend unet] [--weights FILE | --fold-weights FILE...] [--quick] [--json FILE]

film       hand-retouched film (FILM/*/scan and gt, FILM/photos.tsv): error left, photographs and
           families kept apart. With `--fold-weights`, each family is judged by a file that was made
           without it (its header lists the families it has not seen); otherwise one file judges
           all, and the figures are those of film that the weights may know.
modelled   held-out photographs as grainy scans with dirt on them, 16-bit, colour and grey,
           1000 to 4000 dpi.
clean      the same photographs as they are: whatever changes is a false alarm.

The photographs held out are chosen by file name (`quality_pictures.held_out`); `--list` prints
their numbers. Everything runs through darkroom's pipeline with the product's defaults. Doing
nothing is 1 in all figures of error and 0 in all others.
"""

import argparse
import csv
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import quality_pictures as pictures
import quality_scores as scores
from PIL import Image

PARTS = ("film", "modelled", "clean")
SIDES = {True: (384, 384), False: (768, None)}  # quick: of modelled and of clean pictures
FILM_EVERY = 12  # of the patches of a photograph, in the quick mode


@cache
def _engine(backend, options):
    """A loaded backend, once a process."""
    from darkroom.options import CleanOptions
    from darkroom.pipeline.engine import load_engine
    from darkroom.plugins.manager import installed

    chosen = CleanOptions(backend=backend, options={backend: dict(options)})
    return load_engine(chosen, "auto", installed())


def clean(picture, settings, weights, dpi=None):
    """The result of cleaning an array by the settings of the run."""
    import cv2

    from darkroom.options import CleanOptions, MachineOptions
    from darkroom.pipeline.memory import clean_array

    cv2.setNumThreads(1)
    if settings.backend in ("unet", "segnet", "ssda"):
        import torch

        torch.set_num_threads(1)
    own = dict(option.split("=", 1) for option in settings.option)
    if weights is not None:
        own["weights"] = str(weights)
    options = CleanOptions(
        backend=settings.backend,
        sensitivity=settings.sensitivity,
        grain=settings.grain,
        scratches=settings.scratches,
    )
    engine = _engine(settings.backend, tuple(sorted(own.items())))
    return clean_array(picture, options, dpi=dpi, engine=engine, machine=MachineOptions(jobs=1))


def film_patch(job, settings):
    """Sums of one patch: `job` is (path of its scan, weights)."""
    from darkroom.damage.difference import artefact_mask

    path, weights = job
    scan, truth = (
        np.asarray(Image.open(p).convert("L"))
        for p in (path, path.parent.parent / "gt" / path.name)
    )
    result = clean(scan, settings, weights).image
    planes = [scores.levels(p) for p in (scan, truth, result)]
    return scores.score(*planes, artefact_mask(scan, truth))


def modelled_picture(job, settings):
    """Sums of one modelled scan."""
    modelled, side = job
    damaged, truth = pictures.make(modelled, _dirt(settings.frames, settings.shapes), side)
    result = clean(damaged, settings, settings.weights, modelled.dpi)
    planes = [scores.levels(p) for p in (damaged, truth, result.image)]
    hit = np.abs(planes[0] - planes[1]).max(2) > pictures.VISIBLE
    sums = scores.score(*planes, hit)
    sums |= scores.colour_error(planes[1], planes[2], result.mask > 0)
    if settings.crops:
        name = f"modelled-{modelled.photo.number}-{modelled.polarity}-{modelled.dpi}.png"
        save(settings.crops / name, planes[0], planes[2], planes[1])
    return sums


@cache
def _dirt(frames, shapes):
    return pictures.Dirt(frames, shapes)


def clean_picture(job, settings):
    """Sums of one photograph as it is."""
    photo, side = job
    scan = np.asarray(Image.open(photo.path).convert("RGB"))
    if side:
        y, x = (max(0, (n - side) // 2) for n in scan.shape[:2])
        scan = np.ascontiguousarray(scan[y : y + side, x : x + side])
    before, after = (
        scores.levels(p) for p in (scan, clean(scan, settings, settings.weights).image)
    )
    if settings.crops and (before != after).any():
        save(settings.crops / f"clean-{photo.kind}-{photo.number}.png", before, after)
    return scores.score(before, before, after, np.zeros(before.shape[:2], bool))


def save(path, *planes, side=384):
    """Pictures side by side, a window of them where the first two differ most."""
    change = np.abs(planes[0] - planes[1]).max(2)
    y, x = np.unravel_index(int(change.argmax()), change.shape)
    y, x = (max(0, min(c - side // 2, n - side)) for c, n in zip((y, x), change.shape, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [np.repeat(p, 3 // p.shape[2], 2)[y : y + side, x : x + side] for p in planes]
    Image.fromarray(np.rint(np.concatenate(shown, 1)).astype(np.uint8)).save(path)


def photo_of(name):
    """The photograph that patch NAME<x>-<y>.png belongs to."""
    return name[:-4].rsplit("-", 1)[0][:-1]


def unseen_by(files):
    """family -> the weights file that was made without it, from the files' headers."""
    from darkroom.weights import load_weights

    found = {}
    for path in files:
        for family in load_weights(path)[0].calibration.get("without", ()):
            found[family] = path
    return found


def film(settings, run):
    """Figures of the film folds: (figures, intervals, details)."""
    with (settings.film / "photos.tsv").open(encoding="utf-8") as stream:
        families = {r["photo"]: r["family"] for r in csv.DictReader(stream, delimiter="\t")}
    groups = {}
    for path in sorted(settings.film.glob("*/scan/*.png")):
        groups.setdefault(photo_of(path.name), []).append(path)
    if settings.quick:
        groups = {name: paths[::FILM_EVERY] for name, paths in groups.items()}
    jobs = [(path, name) for name, paths in groups.items() for path in paths]
    fold = unseen_by(settings.fold_weights)
    lacking = sorted({families[name] for name in groups} - set(fold)) if fold else []
    if lacking:
        raise SystemExit(f"no file of --fold-weights was made without {', '.join(lacking)}")
    weights = [fold.get(families[name], settings.weights) for _, name in jobs]
    rows = run(film_patch, [(path, w) for (path, _), w in zip(jobs, weights, strict=True)])
    sums = {}
    for (_, name), row in zip(jobs, rows, strict=True):
        sums.setdefault(name, []).append(row)
    units = {name: scores.total(own) for name, own in sums.items()}
    ratios = {name: scores.ratio(unit) for name, unit in units.items()}
    worst = max(ratios, key=ratios.get)
    found = scores.figures(list(units.values()))
    spread = scores.intervals(list(units.values()), [families[name] for name in units])
    notes = {
        "photographs": len(units),
        "families": len({families[name] for name in units}),
        "judged by folds": bool(fold),
        "worst": f"{worst} {ratios[worst]:.2f}",
        "above 1.05": {n: round(r, 2) for n, r in ratios.items() if r > scores.FILM_WORSE},
    }
    return found, spread, notes, units


def modelled(settings, run):
    """Figures of held-out photographs with modelled damage."""
    chosen = pictures.conditions(pictures.held_out(pictures.photographs(settings.photos)))
    side = SIDES[settings.quick][0]
    rows = run(modelled_picture, [(m, side) for m in chosen])
    units = {m.photo.number: row for m, row in zip(chosen, rows, strict=True)}
    spread = scores.intervals(rows, list(units))
    ratios = {m: scores.ratio(row) for m, row in zip(chosen, rows, strict=True)}
    worse = {m.photo.number: round(r, 2) for m, r in ratios.items() if r > scores.WORSE}
    coarse = [row for m, row in zip(chosen, rows, strict=True) if m.grain > 4]
    colour = [row for m, row in zip(chosen, rows, strict=True) if m.colour]
    by = {"colour": lambda m: m.colour, "grey": lambda m: not m.colour}
    by |= {f"{dpi} dpi": lambda m, dpi=dpi: m.dpi == dpi for dpi in pictures.DPI}
    sums = scores.total(colour)
    notes = {
        "pictures": len(chosen),
        "made worse": worse,
        "grain above 4 levels": scores.share(scores.total(coarse), "seen"),
        "CIEDE2000, pixels": sums["ciede"] / max(sums["ciede_pixels"], 1),
        "CIEDE2000, repairs": sums["hue"] / max(sums["repairs"], 1),
    }
    for name, admits in by.items():
        own = [row for m, row in zip(chosen, rows, strict=True) if admits(m)]
        found = scores.figures(own)
        notes[name] = f"{found['geometric mean']:.2f}, visible {found['visible']:.2f}"
    return scores.figures(rows), spread, notes, units


def untouched(settings, run):
    """False alarms on the held-out photographs as they are."""
    photos = pictures.held_out(pictures.photographs(settings.photos))
    rows = run(clean_picture, [(p, SIDES[settings.quick][1]) for p in photos])
    kinds = {}
    for photo, row in zip(photos, rows, strict=True):
        kinds.setdefault(photo.kind, []).append(row)
    rates = {k: s["false"] / s["pixels"] * 1e6 for k, s in _totals(kinds).items()}
    worst = max(rates, key=rates.get)
    sums = scores.total(rows)
    found = {
        "false/MP": sums["false"] / sums["pixels"] * 1e6,
        "worst kind": rates[worst],
        "touched": sums["touched"] / sums["pixels"],
    }
    notes = {"pictures": len(rows), "worst kind is": worst}
    notes["kinds"] = {k: round(r, 1) for k, r in sorted(rates.items(), key=lambda kr: -kr[1]) if r}
    units = {p.number: row for p, row in zip(photos, rows, strict=True)}
    return found, {}, notes, units


def _totals(groups):
    return {name: scores.total(rows) for name, rows in groups.items()}


def show(name, found, spread, notes):
    """Print a table of figures and what else there is to say."""
    print(f"\n### {name}\n\n| figure | value | 95 % interval |\n|---|---|---|")
    for figure, value in found.items():
        low, high = spread.get(figure, (None, None))
        between = "" if low is None else f"{low:.3g} to {high:.3g}"
        print(f"| {figure} | {'' if value is None else f'{value:.3f}'} | {between} |")
    print()
    for what, text in notes.items():
        print(f"* {what}: {f'{text:.2f}' if isinstance(text, float) else text}")


def main():
    """Run the parts and print their figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("film", "photos", "frames", "shapes"):
        parser.add_argument(f"--{name}", type=Path, help="folder")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--backend", default="unet")
    parser.add_argument("--weights", type=Path, help="of the backend; those that ship else")
    parser.add_argument("--fold-weights", type=Path, nargs="*", default=[])
    parser.add_argument("--option", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--sensitivity", type=float, default=50.0)
    parser.add_argument("--grain", default="match", choices=("match", "none"))
    parser.add_argument("--scratches", default="off", choices=("auto", "on", "off"))
    parser.add_argument("--quick", action="store_true", help="a twelfth of the film, small crops")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all sums and figures here")
    parser.add_argument("--crops", type=Path, help="write windows before and after here")
    parser.add_argument("--list", action="store_true", help="print the held-out photographs")
    settings = parser.parse_args()
    needs = {"film": ["film"], "modelled": ["photos", "frames", "shapes"], "clean": ["photos"]}
    if settings.list:
        settings.parts = ["clean"]
    for part in settings.parts:
        for folder in needs[part]:
            if getattr(settings, folder) is None:
                parser.error(f"{part} needs --{folder}")
    if settings.list:
        held = pictures.held_out(pictures.photographs(settings.photos))
        print("\n".join(f"{photo.number}\t{photo.kind}" for photo in held))
        return
    report = {}
    with ProcessPoolExecutor(settings.workers) as pool:

        def run(function, jobs):
            return list(pool.map(partial(function, settings=settings), jobs, chunksize=2))

        for part in settings.parts:
            started = time.monotonic()
            make = {"film": film, "modelled": modelled, "clean": untouched}[part]
            found, spread, notes, units = make(settings, run)
            notes["seconds"] = round(time.monotonic() - started)
            show(part, found, spread, notes)
            report[part] = {"figures": found, "intervals": spread, "notes": notes, "units": units}
    if settings.json:
        settings.json.parent.mkdir(parents=True, exist_ok=True)
        settings.json.write_text(json.dumps(report, indent=1, default=float))


if __name__ == "__main__":
    main()

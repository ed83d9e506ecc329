"""The figures 3 to 6 of the paper, taken out of a report of `darkroom compare` for the documents.

    darkroom compare --dataset DS --split test --backend segnet:output=full -o report
    python benchmarks/paper_figures.py drawings report docs/images/segnet
    python benchmarks/paper_figures.py pairs PAIRS
    darkroom compare PAIRS --backend segnet:output=full --backend segnet -o pictures
    python benchmarks/paper_figures.py pictures pictures docs/images/segnet

`drawings` writes figures 3, 4 and 5 of the first backend. What the paper printed in numbers is
drawn into them in black. `pairs` makes photographs in the public domain, which scikit-image
bundles, into scans with drawn damage, and `pictures` writes figure 6 of them.
"""

import argparse
import base64
import io
import json
import re
from math import log10
from pathlib import Path

import numpy as np
from PIL import Image

STYLE = """<style>
svg { font: 12px sans-serif; background: #fff } text { fill: #555 }
.bar { fill: #c45424; opacity: .75 } .outline { fill: none; stroke: #222; stroke-width: 1.2 }
.axis { stroke: #777 } .grid { stroke: #ddd }
.line { fill: none; stroke: currentColor; stroke-width: 2 } .point { fill: currentColor }
.dashed { stroke-width: 1.3; stroke-dasharray: 4 4; opacity: .75 }
.c0 { color: #c45424 } .c1 { color: #1f6f8b } .c2 { color: #5a8f29 } .c3 { color: #8a4fa3 }
.paper { fill: #000; stroke: #000 } .paper-text { fill: #000 }
</style>"""
NAMES = ("Precision", "Recall", "F1", "mIoU")
COUNTS = (256, 128, 85, 50, 17, 10)
PAPER_MSE = 338.92, 39.92, 643.51  # mean, least and greatest of 50 images
PAPER_TEN = 0.575, 0.575, 0.49, 0.335  # read off its figure 5, at ten classes, as in NAMES
SIDE = 256  # of a picture
LEFT, RIGHT, TOP, BOTTOM = 44.0, 460.0, 12.0, 170.0  # of the report's class plot


def block(page, backend):
    """The part of the page that draws a backend."""
    found = re.search(
        rf'<details class="backend"[^>]*>\s*<summary>{re.escape(backend)}</summary>(.*?)</details>',
        page,
        re.S,
    )
    if not found:
        raise SystemExit(f"the report has no drawings of {backend}")
    return found[1]


def standalone(svg, more, width=480, height=240):
    """An SVG of the page as a file of its own, with more drawn into it."""
    body = re.sub(r"^<svg[^>]*>|</svg>$", "", svg)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
    )
    return f"{head}{STYLE}{body}{more}</svg>\n"


def figure3(svg):
    """The histogram, with the paper's mean and range."""
    mean, least, most = (40 + 420 * (log10(v) + 2) / 6 for v in PAPER_MSE)
    return standalone(
        svg,
        f'<path class="paper" d="M{least:.1f},8H{most:.1f}"/>'
        f'<circle class="paper" cx="{mean:.1f}" cy="8" r="3"/>'
        f'<text class="paper-text" x="{least - 6:.1f}" y="12" text-anchor="end">paper</text>',
    )


def figure5(svg):
    """The class figures, with the paper's at ten classes."""
    low = float(re.search(r"<text[^>]*>([\d.]+)</text>", svg)[1])
    x, marks = RIGHT - 20, []
    for name, value in zip(NAMES, PAPER_TEN, strict=True):
        y = BOTTOM - (BOTTOM - TOP) * (value - low) / (1 - low)
        marks.append(f'<path class="paper c{NAMES.index(name)}" d="M{x - 7},{y:.1f}h14"/>')
    for k, name in enumerate(NAMES):
        at = LEFT + 80 * k
        marks.append(f'<rect class="c{k} point" x="{at}" y="218" width="10" height="10"/>')
        marks.append(f'<text x="{at + 15}" y="227">{name}</text>')
    marks.append(f'<text class="paper-text" x="{LEFT + 320}" y="227">black: the paper</text>')
    return standalone(svg, "".join(marks))


def figure4(part):
    """The confusion matrices in a row."""
    images = re.findall(r'<img src="(data:image/png[^"]+)"', part)
    step = 160
    body = "".join(
        f'<image href="{uri}" x="{i % 3 * step + 4}" y="{i // 3 * (step + 22) + 4}" width="150" '
        f'height="150" style="image-rendering: pixelated"/>'
        f'<rect x="{i % 3 * step + 4}" y="{i // 3 * (step + 22) + 4}" width="150" height="150" '
        f'fill="none" stroke="#777"/>'
        f'<text x="{i % 3 * step + 79}" y="{i // 3 * (step + 22) + 170}" '
        f'text-anchor="middle">{count}</text>'
        for i, (uri, count) in enumerate(zip(images, COUNTS, strict=True))
    )
    return standalone(f"<svg>{body}</svg>", "", height=2 * (step + 22))


def drawings(args):
    """Figures 3, 4 and 5, and what they say in numbers."""
    page = (args.report / "index.html").read_text(encoding="utf-8")
    part = block(page, args.backend)
    plots = re.findall(r'<svg class="plot".*?</svg>', part, re.S)
    for number, text in ((3, figure3(plots[0])), (4, figure4(part)), (5, figure5(plots[1]))):
        path = Path(f"{args.prefix}-figure-{number}.svg")
        path.write_text(text, encoding="utf-8")
        print(path)
    captions = re.findall(r"<figcaption>(Figure 3.*?)</figcaption>", part, re.S)
    print(*captions)


def decoded(uri):
    """The picture of a data URI, RGBA."""
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).convert("RGBA")


def pictures(args):
    """Figure 6: input, ground truth and what each backend made of it, row by row."""
    page = (args.report / "index.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="gallery">(.*?)</script>', page, re.S)
    gallery = json.loads(found[1])
    columns = ["truth", *args.backends]
    cases = sorted(gallery["cases"], key=lambda case: case["title"])
    rows = []
    for case in cases:
        base = decoded(case["scan"])
        row = [base]
        for name in columns:
            row.append(Image.alpha_composite(base, decoded(case["layers"][name]["after"])))
        rows.append(np.concatenate([np.asarray(p.convert("L")) for p in row], 1))
    path = Path(f"{args.prefix}-figure-6.png")
    Image.fromarray(np.concatenate(rows, 0)).save(path, optimize=True)
    print(path, "input", *columns, *(case["title"] for case in cases))


def pairs(args):
    """Photographs in the public domain as scans with drawn damage, grey, 8 bits."""
    import skimage.data

    from darkroom.damage.grain import add_grain
    from darkroom.damage.model import DamageModel, apply

    model = DamageModel.load("heavy", polarity="bright")
    shown = {
        "astronaut": (skimage.data.astronaut(), (20, 90)),
        "camera": (skimage.data.camera(), (90, 130)),
        "rocket": (skimage.data.rocket(), (100, 200)),
    }
    for seed, (name, (image, (y, x))) in enumerate(shown.items()):
        grey = np.asarray(Image.fromarray(image).convert("L"), np.float32)
        truth = grey[y : y + SIDE, x : x + SIDE]
        truth = np.rint(add_grain(truth, np.random.default_rng(seed)).clip(0, 255))
        damage = model.sample(SIDE, SIDE, 2400, seed=seed)
        scan, _ = apply((truth[..., None] / np.float32(255)).astype(np.float32), damage)
        for side, plane in (("scan", np.rint(scan[..., 0] * 255)), ("gt", truth)):
            path = args.folder / side / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(plane.clip(0, 255).astype(np.uint8)).save(path)
            print(path)


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("drawings")
    one.add_argument("report", type=Path)
    one.add_argument("prefix")
    one.add_argument("--backend", default="segnet:output=full", help="as the report calls it")
    one.set_defaults(run=drawings)
    two = commands.add_parser("pictures")
    two.add_argument("report", type=Path)
    two.add_argument("prefix")
    two.add_argument("--backends", nargs="*", default=["segnet:output=full", "segnet"])
    two.set_defaults(run=pictures)
    three = commands.add_parser("pairs")
    three.add_argument("folder", type=Path)
    three.set_defaults(run=pairs)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

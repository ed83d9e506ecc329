"""A look at a data set: a contact sheet in one HTML file, with histograms."""

import base64
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import EIGHT
from darkroom.dataset.synthetic import shape_counts
from darkroom.io.atomic import write_atomic
from darkroom.io.guard import prepare
from darkroom.pairs.manifest import Manifest, TileRecord
from darkroom.pairs.read import read_tile
from darkroom.pairs.tiles import encode, level
from darkroom.scan import luminance

SAMPLED = 400  # tiles that the histograms rest on
ROWS = 6
SIZE_EDGES = (3, 5, 9, 17, 33, 65, 129, 257, 1 << 30)
TONE_EDGES = (-256, -100, -50, -25, -10, 0, 10, 25, 50, 100, 256)


def histograms(manifest: Manifest) -> dict[str, list[tuple[str, int]]]:
    """Artefacts by size in pixels and by mean brightness against the truth, in 8-bit levels."""
    tiles = [t for t in manifest.tiles if t.artefacts]
    order = np.random.default_rng(0).permutation(len(tiles))[:SAMPLED]
    sizes, tones = list[int](), list[float]()
    for index in sorted(order):
        scan, gt, mask = (read_tile(manifest.path(tiles[index], s)) for s in ("scan", "gt", "mask"))
        labels, count = ndi.label(mask > 0, EIGHT)
        difference = (scan.astype(np.float32) - gt.astype(np.float32)) / level(scan.dtype)
        if difference.ndim == 3:
            difference = luminance(difference)
        which = np.arange(1, count + 1)
        sizes += [int(v) for v in ndi.sum(mask > 0, labels, which)]
        tones += [float(v) for v in ndi.mean(difference, labels, which)]
    return {"size": _bins(sizes, SIZE_EDGES), "brightness": _bins(tones, TONE_EDGES)}


def _bins(values: Sequence[float], edges: Sequence[int]) -> list[tuple[str, int]]:
    counts, _ = np.histogram(values, edges)
    labels = [f"{a} to {b - 1}" if b < 1 << 30 else f"{a} and more" for a, b in pairwise(edges)]
    return list(zip(labels, (int(c) for c in counts), strict=True))


def contact_sheet(manifest: Manifest, target: Path, *, overwrite: bool = False) -> Path:
    """Write the contact sheet; needs no other file to be looked at.

    Raises:
        InputError: if a tile is missing or damaged.
        OutputError: if the file exists or cannot be written.
    """
    from darkroom.pages import environment

    prepare([target], manifest.files())
    tiles = list(manifest.tiles)
    residual = {p.photo: float(p.registration.get("residual_px", 0.0)) for p in manifest.pairs}
    groups: list[tuple[str, list[TileRecord]]] = [
        ("Most damaged", sorted(tiles, key=lambda t: (-t.damaged, t.name))),
        ("Least damaged", sorted((t for t in tiles if t.artefacts), key=lambda t: t.damaged)),
        ("Worst tone: most pixels changed", sorted(tiles, key=lambda t: (-t.changed, t.name))),
    ]
    if any(residual.values()):
        worst = sorted(tiles, key=lambda t: (-residual.get(t.photo, 0), -t.damaged))
        groups.append(("Worst registration", worst))
    sections = [
        (title, [_figure(manifest, tile, residual) for tile in chosen[:ROWS]])
        for title, chosen in groups
    ]
    charts = {
        name: [(label, n, n / max(1, max(c for _, c in bars))) for label, n in bars]
        for name, bars in histograms(manifest).items()
    }
    template = environment("darkroom.dataset").get_template("inspect.html")
    text = template.render(
        name=manifest.root.resolve().name,
        kind=manifest.kind,
        summary=manifest.summary(),
        shapes=shape_counts(tiles),
        leaks=manifest.leaks(),
        sections=sections,
        charts=charts,
        pairs=manifest.pairs,
    )
    return write_atomic(target, text.encode(), overwrite=overwrite)


def _figure(
    manifest: Manifest, tile: TileRecord, residual: dict[str, float]
) -> tuple[TileRecord, float | None, list[str]]:
    images = [_data_uri(read_tile(manifest.path(tile, s))) for s in ("scan", "gt", "mask")]
    return tile, residual.get(tile.photo), images


def _data_uri(image: NDArray[Any]) -> str:
    shown = np.clip(image / level(image.dtype), 0, 255).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(encode(shown)).decode()

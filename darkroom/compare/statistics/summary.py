"""The document of a comparison: what `metrics.json` holds and the report is drawn from."""

import csv
import io
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom import __version__
from darkroom.compare.measure.count import dense
from darkroom.compare.measure.curve import precision_recall
from darkroom.compare.measure.figure import Totals
from darkroom.compare.measure.figures import (
    BY_KIND,
    BY_SIZE,
    CONFUSION,
    DAMAGED,
    FIGURES,
    MSE,
    PIXELS,
    SCORE_FALSE,
    SCORE_HITS,
    find_figure,
)
from darkroom.compare.measure.paper import CLASS_COUNTS, merge
from darkroom.compare.measure.regions import KINDS, SIZES
from darkroom.compare.run.cell import Cell
from darkroom.compare.run.cost import machine
from darkroom.compare.run.evaluate import Comparison
from darkroom.compare.run.runners import Runner
from darkroom.compare.statistics.agreement import agreements
from darkroom.compare.statistics.intervals import (
    PhotographTable,
    draw_weights,
    intervals,
    paired_tests,
    photograph_table,
)

SCHEMA = "darkroom.compare/2"
LEVEL = 0.95
Document = dict[str, Any]


def summarise(
    comparison: Comparison, *, replicates: int = 2000, seed: int = 0, rank_by: str = "sse_ratio"
) -> Document:
    """Turn cells into figures with intervals, tests and distributions.

    Args:
        comparison: the cells.
        replicates: how often the photographs are drawn again.
        seed: of those draws.
        rank_by: the figure the leaderboard is sorted and tested by; MSE where no row has it.

    Returns:
        what JSON can hold; see docs/compare.md for the schema. Undefined figures are None.

    Raises:
        UsageError: `rank_by` is no figure.
    """
    figure = find_figure(rank_by)
    tables = {runner.name: _table(comparison.of(runner.name)) for runner in comparison.runners}
    filled = {name: table for name, table in tables.items() if table.names}
    rows = [_backend(r, comparison, tables[r.name], replicates, seed) for r in comparison.runners]
    if all(row["figures"][rank_by]["value"] is None for row in rows) and comparison.has_truth:
        figure = MSE
    tests = paired_tests(filled, figure, replicates, seed) if comparison.has_truth else []
    return {
        "schema": SCHEMA,
        "darkroom": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": {
            "replicates": replicates,
            "seed": seed,
            "level": LEVEL,
            "rank_by": figure.name,
            "clean_frames": comparison.settings.clean_frames,
        },
        "data": _data(comparison),
        "figures": {
            m.name: {"label": m.label, "meaning": m.meaning, "better": m.better, "table": m.table}
            for m in FIGURES.values()
        },
        "backends": ranked(rows, figure.name),
        "tests": [{name: getattr(test, name) for name in test.__slots__} for test in tests],
        "agreement": [] if comparison.has_truth else agreements(comparison),
    }


def ranked(rows: Sequence[Document], name: str) -> list[Document]:
    """Best first by a figure; where it is undefined, last."""
    figure = find_figure(name)
    return sorted(rows, key=lambda row: figure.rank(row["figures"][name]["value"]))


def _table(cells: Sequence[Cell]) -> PhotographTable:
    return photograph_table((cell.photograph, cell.totals) for cell in cells)


def _data(comparison: Comparison) -> Document:
    cells = comparison.of(comparison.runners[0].name)
    pixels = sum(cell.totals[PIXELS.name] for cell in cells)
    damaged = sum(cell.totals.get(DAMAGED.name, 0.0) for cell in cells)
    return {
        "images": len(comparison.pairs),
        "photographs": len({pair.family for pair in comparison.pairs}),
        "megapixels": pixels / 1e6,
        "truth": comparison.has_truth,
        "damaged_share": damaged / pixels if pixels else 0.0,
    }


def _backend(
    runner: Runner, comparison: Comparison, table: PhotographTable, replicates: int, seed: int
) -> Document:
    cells = comparison.of(runner.name)
    failed = [
        {"image": cell.image, "error": cell.error}
        for cell in comparison.failures
        if cell.backend == runner.name
    ]
    weights = draw_weights(len(table.names), replicates, seed) if table.names else np.zeros((0, 0))
    spans = intervals(table, weights, LEVEL)
    total = table.total()
    figures = {}
    for name, figure in FIGURES.items():
        low, high = spans[name] or (None, None)
        value = _number(float(figure.value(total)))
        figures[name] = {"value": value, "low": low, "high": high}
    return {
        "name": runner.name,
        "reference": runner.reference,
        "images": len(cells),
        "failed": failed,
        "figures": figures,
        "cost": _cost(cells),
        "mse": _distribution(cells),
        **_histograms(table, total),
    }


def _cost(cells: Sequence[Cell]) -> Document:
    costs = [cell.cost for cell in cells]
    return {
        "seconds": sum(cost["seconds"] for cost in costs),
        "peak_rss": max((cost["peak_rss"] for cost in costs), default=0),
        "peak_gpu": max((cost["peak_gpu"] for cost in costs), default=0),
        "machines": sorted({cost["machine"] for cost in costs}),
        "cached": sum(cell.cached for cell in cells),
    }


def _distribution(cells: Sequence[Cell]) -> Document | None:
    """The images' mean squared errors: five-number summary and the values themselves, sorted."""
    key = f"{MSE.name}:sum"
    values = sorted(cell.totals[key] for cell in cells if key in cell.totals)
    if not values:
        return None
    quarters = np.percentile(values, [0, 5, 25, 50, 75, 95, 100])
    names = ("min", "p5", "p25", "median", "p75", "p95", "max")
    return {
        **{name: float(value) for name, value in zip(names, quarters, strict=True)},
        "mean": float(np.mean(values)),
        "values": [round(value, 4) for value in values],
    }


def _histograms(table: PhotographTable, total: Any) -> Document:
    """Confusion matrices of 50 classes and fewer, the precision-recall curve, kinds and sizes."""
    if CONFUSION.name not in table.whole:
        return {"confusion": None, "curve": None, "kinds": None, "sizes": None}
    matrices = {
        str(number): merge(total(CONFUSION), number).astype(int).tolist()
        for number in CLASS_COUNTS
        if number <= 50
    }
    return {
        "confusion": matrices,
        "curve": _curve(total(SCORE_HITS), total(SCORE_FALSE)),
        "kinds": _rows(total(BY_KIND), KINDS),
        "sizes": _rows(total(BY_SIZE), [_size_label(i) for i in range(len(SIZES))]),
    }


def _rows(table: NDArray[Any], names: Sequence[str]) -> list[Document]:
    return [
        {"name": name, "artefacts": int(row[0]), "found": int(row[1]), "healed": int(row[2])}
        for name, row in zip(names, table, strict=True)
    ]


def _size_label(index: int) -> str:
    if index + 1 == len(SIZES):
        return f"{SIZES[index]} px and more"
    return f"{SIZES[index]} to {SIZES[index + 1] - 1} px"


def _curve(hits: NDArray[Any], false: NDArray[Any]) -> Document | None:
    """Points of the curve where it moves; thresholds as confidence in 0 to 1."""
    if not hits.any():
        return None
    precision, recall = precision_recall(hits, false)
    moved = np.flatnonzero(np.diff(recall, prepend=0.0) > 0)
    return {
        "threshold": [round((255 - int(i)) / 255, 4) for i in moved],
        "precision": [round(float(precision[i]), 5) for i in moved],
        "recall": [round(float(recall[i]), 5) for i in moved],
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


# Pooled class figures are left out: for one picture they are the picture's own.
PICTURE_FIGURES = [f for f in FIGURES.values() if f.table != "paper" or f.each]


def picture_figures(cell: Cell) -> dict[str, float | None]:
    """The figures of one cell; undefined ones are None."""
    totals = Totals(dense(cell.totals))
    return {f.name: _number(float(f.value(totals))) for f in PICTURE_FIGURES}


def picture_csv(comparison: Comparison) -> str:
    """`metrics.csv`: one row for each backend and picture, empty cells where undefined."""
    text = io.StringIO()
    head = ["backend", "image", "photograph", "error", "seconds", "peak_rss"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, *(f.name for f in PICTURE_FIGURES)])
    for cell in comparison.cells:
        words = (cell.backend, cell.image, cell.photograph, cell.error or "")
        row: list[Any] = [plain_cell(word) for word in words]
        if cell.error is None:
            row += [f"{cell.cost['seconds']:.4f}", cell.cost["peak_rss"]]
            figures = picture_figures(cell).values()
            row += ["" if value is None else f"{value:.6g}" for value in figures]
        writer.writerow(row)
    return text.getvalue()


def plain_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe goes before what would start one.

    Source: OWASP, "CSV injection".
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def misses(document: Document, limits: dict[str, float]) -> list[str]:
    """Which backends do not reach a limit, one line each; references are not held to it.

    A figure that is smaller the better may not exceed its limit, another may not stay below it.
    An undefined figure is a miss.

    Raises:
        UsageError: a figure is unknown.
    """
    lines = []
    for name, limit in limits.items():
        figure = find_figure(name)
        for row in document["backends"]:
            value = row["figures"][name]["value"]
            if not row["reference"] and not figure.reaches(value, limit):
                word = "above" if figure.better == "lower" else "below"
                reason = "has no meaning here"
                if value is not None:
                    reason = f"{value:.4g} is {word} {limit:g}"
                lines.append(f"{row['name']}: {name} {reason}")
    return lines

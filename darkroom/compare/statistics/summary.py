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
from darkroom.compare.measure.detection import precision_recall
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
from darkroom.compare.statistics.metrics import METRICS, find_metric
from darkroom.errors import UsageError

SCHEMA = "darkroom.compare/1"
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
        rank_by: the metric the leaderboard is sorted and tested by.

    Returns:
        what JSON can hold; see docs/compare.md for the schema. Undefined figures are None.

    Raises:
        UsageError: `rank_by` is no metric.
    """
    metric = find_metric(rank_by)
    tables = {runner.name: _table(comparison.of(runner.name)) for runner in comparison.runners}
    filled = {name: table for name, table in tables.items() if table.names}
    tests = paired_tests(filled, metric, replicates, seed) if comparison.has_truth else []
    rows = [_backend(r, comparison, tables[r.name], replicates, seed) for r in comparison.runners]
    return {
        "schema": SCHEMA,
        "darkroom": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": {
            "replicates": replicates,
            "seed": seed,
            "level": LEVEL,
            "rank_by": rank_by,
            "clean_frames": comparison.settings.clean_frames,
        },
        "data": _data(comparison),
        "metrics": {
            m.name: {"label": m.label, "meaning": m.meaning, "better": m.better, "group": m.group}
            for m in METRICS.values()
        },
        "backends": ranked(rows, rank_by),
        "tests": [{name: getattr(test, name) for name in test.__slots__} for test in tests],
        "agreement": [] if comparison.has_truth else agreements(comparison),
    }


def ranked(rows: Sequence[Document], metric: str) -> list[Document]:
    """Best first by a metric; where it is undefined, last."""

    def place(row: Document) -> tuple[bool, float]:
        value = row["figures"][metric]["value"]
        sign = -1 if METRICS[metric].better == "higher" else 1
        return value is None, sign * (value or 0.0)

    return sorted(rows, key=place)


def cell_totals(cell: Cell) -> dict[str, Any]:
    """The totals of one cell with its histograms."""
    sparse = ("confusion_at", "confusion_of")
    totals = {**cell.totals, **{k: v for k, v in cell.arrays.items() if k not in sparse}}
    confusion = cell.confusion()
    return totals if confusion is None else totals | {"confusion": confusion}


def _table(cells: Sequence[Cell]) -> PhotographTable:
    return photograph_table((cell.photograph, cell_totals(cell)) for cell in cells)


def _data(comparison: Comparison) -> Document:
    cells = comparison.of(comparison.runners[0].name)
    return {
        "images": len(comparison.pairs),
        "photographs": len({pair.photograph for pair in comparison.pairs}),
        "megapixels": sum(cell.totals["pixels"] for cell in cells) / 1e6,
        "truth": comparison.has_truth,
        "artefact_share": _number(
            sum(cell.totals.get("artefact_pixels", 0.0) for cell in cells)
            / max(1.0, sum(cell.totals["pixels"] for cell in cells))
        ),
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
    for name, metric in METRICS.items():
        low, high = spans[name] or (None, None)
        value = _number(float(metric.value(total)))
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
    values = sorted(cell.totals["mse_sum"] for cell in cells if "mse_sum" in cell.totals)
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
    if table.confusion is None:
        return {"confusion": None, "curve": None, "kinds": None, "sizes": None}
    matrices = {
        str(number): merge(table.confusion, number).astype(int).tolist()
        for number in CLASS_COUNTS
        if number <= 50
    }
    return {
        "confusion": matrices,
        "curve": _curve(total["score_hits"], total["score_false"]),
        "kinds": _rows(total["kinds"], KINDS),
        "sizes": _rows(total["sizes"], [_size_label(i) for i in range(len(SIZES))]),
    }


def _rows(table: NDArray[Any], names: Sequence[str]) -> list[Document]:
    return [
        {"name": name, "blobs": int(row[0]), "found": int(row[1]), "healed": int(row[2])}
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


# Pooled class figures are left out: for one image they are the image's own.
IMAGE_METRICS = [m for m in METRICS.values() if m.group != "paper" or m.name.endswith("_mean")]


def image_figures(cell: Cell) -> dict[str, float | None]:
    """The figures of one cell by metric; undefined ones are None."""
    table = photograph_table([(cell.photograph, cell.totals | _scores(cell))])
    total = table.total()
    return {m.name: _number(float(m.value(total))) for m in IMAGE_METRICS}


def _scores(cell: Cell) -> dict[str, Any]:
    return {k: v for k, v in cell.arrays.items() if k.startswith("score_")}


def image_csv(comparison: Comparison) -> str:
    """`metrics.csv`: one row for each backend and image, empty cells where undefined."""
    text = io.StringIO()
    head = ["backend", "image", "photograph", "error", "seconds", "peak_rss"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, *(m.name for m in IMAGE_METRICS)])
    for cell in comparison.cells:
        row: list[Any] = [cell.backend, cell.image, cell.photograph, cell.error or ""]
        if cell.error is None:
            row += [f"{cell.cost['seconds']:.4f}", cell.cost["peak_rss"]]
            figures = image_figures(cell).values()
            row += ["" if value is None else f"{value:.6g}" for value in figures]
        writer.writerow(row)
    return text.getvalue()


def misses(document: Document, limits: dict[str, float]) -> list[str]:
    """Which backends do not reach a limit, one line each; references are not held to it.

    A figure that is smaller the better may not exceed its limit, another may not stay below it.
    An undefined figure is a miss.

    Raises:
        UsageError: a metric is unknown or has no better direction.
    """
    lines = []
    for name, limit in limits.items():
        better = find_metric(name).better
        if not better:
            raise UsageError(f"{name} has no better direction, so it cannot be a limit")
        for row in document["backends"]:
            value = row["figures"][name]["value"]
            good = value is not None and (value <= limit if better == "lower" else value >= limit)
            if not good and not row["reference"]:
                shown = "undefined" if value is None else f"{value:.4g}"
                word = "above" if better == "lower" else "below"
                lines.append(f"{row['name']}: {name} {shown} is {word} {limit:g}")
    return lines

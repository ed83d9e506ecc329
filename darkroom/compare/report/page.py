"""The report: one HTML file that needs nothing but itself."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from darkroom.compare.measure.count import merged
from darkroom.compare.measure.figure import Table, write_number
from darkroom.compare.measure.figures import CONFUSION, FIGURES, table
from darkroom.compare.measure.paper import CLASS_COUNTS
from darkroom.compare.report import draw
from darkroom.compare.report.gallery import build_gallery, choose
from darkroom.compare.run.evaluate import Comparison
from darkroom.compare.run.runners import IDENTITY
from darkroom.compare.statistics.summary import Document, picture_csv
from darkroom.io.atomic import AtomicFile, writing
from darkroom.io.together import commit_together
from darkroom.pages import environment, script_json

PAGE = "index.html"
REPORT_FILES = ("metrics.json", "metrics.csv", PAGE)
PICTURE_BYTES = 12_000_000
TABLES: tuple[Table, ...] = ("harm", "error", "clean", "detection", "grain", "change")


def write_report(
    comparison: Comparison, document: Document, folder: Path, *, picture_bytes: int = PICTURE_BYTES
) -> Path:
    """Write `metrics.json`, `metrics.csv` and `index.html` into a folder.

    Args:
        comparison: the cells; their pictures are read again from the cache.
        document: what `summarise` made of them.
        folder: made if it is not there; files of these names are replaced.
        picture_bytes: most bytes of pictures embedded in the page.

    Returns:
        the page.

    Raises:
        OutputError: something cannot be written.
    """
    page = render(comparison, document, picture_bytes)
    texts = (json.dumps(document, indent=1) + "\n", picture_csv(comparison), page)
    with writing(folder / PAGE):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = []
        for name, text in zip(REPORT_FILES, texts, strict=True):
            file = stack.enter_context(AtomicFile(folder / name, overwrite=True))
            with writing(file.target):
                file.file.write(text.encode("utf-8", "backslashreplace"))
            files.append(file)
        commit_together(files[::-1])  # the page last
    return folder / PAGE


def render(comparison: Comparison, document: Document, picture_bytes: int) -> str:
    """The page as text."""
    templates = environment("darkroom.compare.report")
    templates.filters.update(bytes=format_bytes, number=write_number)
    gallery = build_gallery(comparison, choose(comparison), picture_bytes)
    gallery["backends"] = [row["name"] for row in document["backends"] if row["name"] != IDENTITY]
    return templates.get_template("report.html").render(
        document=document,
        gallery=script_json(gallery),
        cases=gallery["cases"],
        left_out=gallery["left_out"],
        tables={name: table(name) for name in TABLES},
        figures=FIGURES,
        class_columns={
            n: [f for f in table("paper") if f.name.removesuffix("_mean").endswith(f"_{n}")]
            for n in CLASS_COUNTS
        },
        class_counts=CLASS_COUNTS,
        verdicts={row["name"]: verdict(row) for row in document["backends"]},
        drawings=_drawings(comparison, document),
    )  # fmt: skip


def verdict(row: Mapping[str, Any]) -> str:
    """What the interval of the error left says against doing nothing."""
    figure = row["figures"]["sse_ratio"]
    if row["name"] == IDENTITY or figure["value"] is None:
        return ""
    low, high = figure["low"], figure["high"]
    if low is None:
        return "better than nothing" if figure["value"] < 1 else "no better than nothing"
    if high < 1:
        return "better than nothing"
    return "worse than nothing" if low > 1 else "no clear difference"


def _drawings(comparison: Comparison, document: Document) -> dict[str, Any]:
    rows = document["backends"]
    if not document["data"]["truth"]:
        return {}
    nothing = next(row for row in rows if row["name"] == IDENTITY)
    measured = [row for row in rows if row["mse"] is not None]
    if nothing["mse"] is None:
        return {}
    floor = draw.class_floor(measured)
    ends = [v for row in measured for v in row["figures"]["sse_ratio"].values() if v]
    low, high = min([*ends, 0.3]) / 1.1, max([*ends, 1.5]) * 1.1
    drawings: dict[str, Any] = {"curve": Markup(draw.curve_plot(_curved(rows)))}
    drawings["curve_rows"] = [row["name"] for row in _curved(rows)]
    for row in measured:
        name = row["name"]
        confusion = _confusion(comparison, name)
        drawings[name] = {
            "mark": Markup(draw.interval_mark(row["figures"]["sse_ratio"], low, high)),
            "mse": Markup(
                draw.mse_histogram(
                    row["mse"]["values"], nothing["mse"]["values"], f"MSE of pictures, {name}"
                )
            ),
            "confusion": {n: draw.confusion_uri(confusion, n) for n in CLASS_COUNTS},
            "classes": Markup(
                draw.class_plot(row["figures"], nothing["figures"], floor, f"Class figures, {name}")
            ),
        }
    return drawings


def _curved(rows: list[Document]) -> list[Document]:
    return [row for row in rows if not row["reference"] and row["mse"] is not None]


def _confusion(comparison: Comparison, name: str) -> NDArray[np.int64]:
    wanted = CONFUSION.name
    cells = [{wanted: cell.totals[wanted]} for cell in comparison.of(name)]
    matrix: NDArray[np.int64] = merged(cells)(CONFUSION)
    return matrix


def format_bytes(count: int) -> str:
    """Bytes in MiB, or a dash for none."""
    return f"{count / 2**20:,.0f} MiB" if count else "–"

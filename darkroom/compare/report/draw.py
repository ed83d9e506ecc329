"""The report's drawings as inline SVG; colours come from the page's style sheet."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.figures import CLASS_LABELS
from darkroom.compare.measure.paper import CLASS_COUNTS, merge
from darkroom.compare.report.gallery import data_uri

ACCENT = (196, 84, 36)


def interval_mark(row: Mapping[str, Any], low: float, high: float) -> str:
    """A figure and its interval on a logarithmic axis, with a line at 1.

    Args:
        row: "value", "low" and "high".
        low, high: ends of the axis, both positive.
    """
    if row["value"] is None:
        return ""
    place = _log_axis(low, high, 4, 156)
    parts = [f'<line class="rule" x1="{place(1):.1f}" x2="{place(1):.1f}" y1="2" y2="22"/>']
    if row["low"] is not None:
        a, b = place(row["low"]), place(row["high"])
        parts.append(f'<line class="span" x1="{a:.1f}" x2="{b:.1f}" y1="12" y2="12"/>')
    parts.append(f'<circle class="dot" cx="{place(row["value"]):.1f}" cy="12" r="4"/>')
    return _svg(160, 24, "".join(parts), "mark", hidden=True)


def _log_axis(low: float, high: float, start: float, end: float) -> Any:
    a, b = math.log(low), math.log(high)

    def place(value: float) -> float:
        inside = min(max(value, low), high)
        return start + (end - start) * (math.log(inside) - a) / (b - a)

    return place


def mse_histogram(values: Sequence[float], nothing: Sequence[float], title: str) -> str:
    """Figure 3: distribution of the images' MSE, with that of doing nothing as an outline."""
    edges = np.logspace(-2, 4, 31)
    bars = _shares(values, edges)
    outline = _shares(nothing, edges)
    left, right, top, bottom = 40.0, 460.0, 12.0, 170.0
    step = (right - left) / len(bars)
    highest = max(*bars, *outline, 1e-9)

    def y(share: float) -> float:
        return bottom - (bottom - top) * share / highest

    parts = []
    for i, share in enumerate(bars):
        if share:
            x = left + i * step + 0.5
            text = f"MSE {edges[i]:.3g} to {edges[i + 1]:.3g}: {100 * share:.1f} % of images"
            parts.append(
                f'<rect class="bar" x="{x:.1f}" y="{y(share):.1f}" width="{step - 1:.1f}" '
                f'height="{bottom - y(share):.1f}"><title>{text}</title></rect>'
            )
    path = [f"M{left:.1f},{bottom:.1f}"]
    for i, share in enumerate(outline):
        path.append(f"V{y(share):.1f}H{left + (i + 1) * step:.1f}")
    parts.append(f'<path class="outline" d="{"".join(path)}V{bottom:.1f}"/>')
    for i in range(0, len(edges), 5):
        x = left + i * step
        parts.append(_text(x, bottom + 18, f"{edges[i]:g}", "middle"))
        parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>')
    parts.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(_text(left - 6, top + 8, f"{100 * highest:.0f} %", "end"))
    parts.append(_text(right, bottom + 36, "MSE of an image", "end"))
    return _svg(480, 210, "".join(parts), "plot", title)


def _shares(values: Sequence[float], edges: NDArray[np.float64]) -> list[float]:
    inside = np.clip(values, edges[0], edges[-1] * 0.999)
    counts, _ = np.histogram(inside, edges)
    return [float(count) / max(1, len(values)) for count in counts]


def confusion_uri(confusion: NDArray[Any], count: int) -> str:
    """Figure 4: a confusion matrix merged to `count` classes as a picture.

    Each row is a true class; opacity is the share of its pixels on a logarithmic scale from 1 in
    10,000 to all.
    """
    matrix = np.asarray(merge(confusion, count), np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        opacity = np.clip((np.log10(share) + 4) / 4, 0, 1)
    picture = np.zeros((count, count, 4), np.uint8)
    picture[..., :3] = ACCENT
    picture[..., 3] = (255 * opacity).astype(np.uint8)
    return data_uri(picture)


def class_plot(
    figures: Mapping[str, Any], nothing: Mapping[str, Any], low: float, title: str
) -> str:
    """Figure 5: precision, recall, F1 and mIoU against the number of classes.

    Args:
        figures: a backend's figures by name.
        nothing: those of doing nothing, drawn as dashes.
        low: lower end of the axis; the upper is 1.
        title: for screen readers.
    """
    left, right, top, bottom = 44.0, 460.0, 12.0, 170.0

    def x(i: int) -> float:
        return left + 20 + (right - left - 40) * i / (len(CLASS_COUNTS) - 1)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (1 - low)

    parts = []
    for tick in np.linspace(low, 1, 5):
        parts.append(
            f'<line class="grid" x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        )
        parts.append(_text(left - 6, y(tick) + 4, f"{tick:.2f}", "end"))
    for i, number in enumerate(CLASS_COUNTS):
        parts.append(_text(x(i), bottom + 18, str(number), "middle"))
    parts.append(_text(right, bottom + 36, "classes of grey level", "end"))
    for k, (name, label) in enumerate(CLASS_LABELS.items()):
        for source, kind in ((nothing, "dashed"), (figures, "solid")):
            values = [source[f"{name}_{number}"]["value"] for number in CLASS_COUNTS]
            points = [f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values) if v is not None]
            parts.append(f'<polyline class="line c{k} {kind}" points="{" ".join(points)}"/>')
        for i, number in enumerate(CLASS_COUNTS):
            value = figures[f"{name}_{number}"]["value"]
            if value is not None:
                parts.append(
                    f'<circle class="c{k} point" cx="{x(i):.1f}" cy="{y(value):.1f}" r="3">'
                    f"<title>{label}, {number} classes: {value:.4f}</title></circle>"
                )
    return _svg(480, 210, "".join(parts), "plot", title)


def class_floor(rows: Sequence[Mapping[str, Any]]) -> float:
    """Lower end of the common axis of the class plots: a round number below every value."""
    values = [
        row["figures"][f"{name}_{number}"]["value"]
        for row in rows for name in CLASS_LABELS for number in CLASS_COUNTS
    ]  # fmt: skip
    known = [value for value in values if value is not None]
    return max(0.0, math.floor(min(known, default=0.0) * 10 - 0.2) / 10)


def curve_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Precision against recall for every backend that gives a score, with its working point."""
    left, right, top, bottom = 44.0, 460.0, 12.0, 290.0

    def x(value: float) -> float:
        return left + (right - left) * value

    def y(value: float) -> float:
        return bottom - (bottom - top) * value

    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(tick)}" y2="{y(tick)}"/>')
        parts.append(_text(left - 6, y(tick) + 4, f"{tick:g}", "end"))
        parts.append(_text(x(tick), bottom + 18, f"{tick:g}", "middle"))
    parts.append(_text(right, bottom + 36, "share of artefact pixels found", "end"))
    parts.append(_text(left + 6, top + 4, "share of marked pixels that are right", "start"))
    for k, row in enumerate(rows):
        curve, figures = row["curve"], row["figures"]
        if curve is not None:
            pairs = zip(curve["recall"], curve["precision"], strict=True)
            points = " ".join(f"{x(r):.1f},{y(p):.1f}" for r, p in pairs)
            parts.append(f'<polyline class="line c{k % 6} solid" points="{points}"/>')
        precision, recall = figures["pixel_precision"]["value"], figures["pixel_recall"]["value"]
        if precision is not None and recall is not None:
            parts.append(
                f'<circle class="c{k % 6} point" r="5" '
                f'cx="{x(recall):.1f}" cy="{y(precision):.1f}">'
                f"<title>{escape(row['name'])}: precision {precision:.3f}, recall {recall:.3f}"
                "</title></circle>"
            )
    return _svg(480, 330, "".join(parts), "plot", "Precision and recall of the masks by pixel")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(
    width: int, height: int, body: str, kind: str, title: str = "", *, hidden: bool = False
) -> str:
    label = 'aria-hidden="true"' if hidden else f'role="img" aria-label="{escape(title)}"'
    return f'<svg class="{kind}" viewBox="0 0 {width} {height}" {label}>{body}</svg>'

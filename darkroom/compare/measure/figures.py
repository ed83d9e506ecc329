"""Every figure of `darkroom compare`, in the order in which the report shows them.

A new figure is one entry here: tables, page, `metrics.json`, `metrics.csv`, intervals, tests and
`--fail-under` follow from it.
"""

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from darkroom.compare.measure.curve import average_precision
from darkroom.compare.measure.figure import Figure, Sum, Table, Totals, Values, ratio
from darkroom.compare.measure.paper import CLASS_COUNTS, COARSE, LEVELS, class_figures, merge
from darkroom.compare.measure.quality import BANDS
from darkroom.compare.measure.regions import KINDS, SIZES
from darkroom.compare.measure.view import TOUCHED, View
from darkroom.errors import UsageError

PEAK = 255.0**2
LEAST_MSE = 1e-3  # a perfect restoration is given 78 dB, not infinity
SCORES = 256

PIXELS = Sum("pixels", lambda v: v.pixels, "")
CHANGED = Sum("changed", lambda v: v.count(v.changed), "")
SSE_BEFORE = Sum("sse_before", lambda v: v.total(v.error_before))
SSE_AFTER = Sum("sse_after", lambda v: v.total(v.error_after))
DAMAGED = Sum("damaged", lambda v: v.count(v.where.artefacts))
INSIDE_BEFORE = Sum("sse_inside_before", lambda v: v.total(v.error_before, v.where.artefacts))
INSIDE_AFTER = Sum("sse_inside_after", lambda v: v.total(v.error_after, v.where.artefacts))
ARTEFACTS = Sum("artefacts", lambda v: float(v.counted.sum()))
HEALED = Sum("healed", lambda v: float((v.counted & v.healed).sum()))
FOUND = Sum("found", lambda v: float((v.counted & v.found).sum()))
VISIBLE = Sum("visible", lambda v: float((v.counted & v.visible).sum()))
VISIBLE_HEALED = Sum("visible_healed", lambda v: float((v.counted & v.visible & v.healed).sum()))
NEAR = Sum("near", lambda v: v.count(v.where.around))
NEAR_AFTER = Sum("sse_near", lambda v: v.total(v.error_after, v.where.around))
MASKED = Sum("masked", lambda v: v.count(v.mask), "")
MASK_HITS = Sum("mask_hits", lambda v: v.count(v.mask & v.where.artefacts))
MASK_FALSE = Sum("mask_false", lambda v: v.count(v.mask & v.away))
REPAIRS = Sum("repairs", lambda v: float(v.repairs[0].sum()), "")
REPAIRS_RIGHT = Sum("repairs_right", lambda v: float((v.repairs[0] & v.repairs[1]).sum()))
FRAME = Sum("frame_pixels", lambda v: v.pixels, "clean")
CONFUSION = Sum("confusion", lambda v: v.confusion, shape=(LEVELS, LEVELS), whole=True)
CONFUSION_COARSE = Sum("confusion_coarse", lambda v: v.coarse, shape=(COARSE, COARSE))
SCORE_HITS = Sum(
    "score_hits", lambda v: _scores(v, v.where.artefacts), "score", shape=(SCORES,)
)  # fmt: skip
SCORE_FALSE = Sum("score_false", lambda v: _scores(v, v.away), "score", shape=(SCORES,))
# Counted for the page alone: artefacts, found, healed in columns.
BY_KIND = Sum("kinds", lambda v: _rows(v, v.where.kind, len(KINDS)), shape=(len(KINDS), 3))
BY_SIZE = Sum("sizes", lambda v: _rows(v, v.where.size, len(SIZES)), shape=(len(SIZES), 3))


def _scores(view: View, where: Any) -> Any:
    assert view.score is not None
    return np.bincount(view.score[view.core][where[view.core]], minlength=SCORES)


def _rows(view: View, row: Any, number: int) -> Any:
    columns = (view.counted, view.counted & view.found, view.counted & view.healed)
    return np.stack([np.bincount(row[c], minlength=number) for c in columns], axis=1)


def _quotient(
    name: str, label: str, meaning: str, better: Any, table: Table, style: Any,
    top: Sum, bottom: Sum, scale: float = 1.0, *, each: bool = False,
) -> Figure:  # fmt: skip
    """A figure that is the quotient of two sums."""

    def formula(totals: Totals) -> Values:
        return scale * ratio(totals(top), totals(bottom))

    return Figure(name, label, meaning, better, table, style, (top, bottom), formula, each)


def _harm(t: Totals) -> Values:
    outside = t(SSE_AFTER) - t(INSIDE_AFTER) - t(SSE_BEFORE) + t(INSIDE_BEFORE)
    return ratio(outside, t(INSIDE_BEFORE))


HARM = (
    _quotient(
        "sse_ratio", "Error left", "squared error left over, doing nothing being 1",
        "lower", "harm", "ratio", SSE_AFTER, SSE_BEFORE),
    _quotient(
        "visible", "Visible healed", "artefacts 25 levels or more off that were healed",
        "higher", "harm", "share", VISIBLE_HEALED, VISIBLE),
    _quotient(
        "recall", "Healed", "artefacts whose squared error fell by half or more",
        "higher", "harm", "share", HEALED, ARTEFACTS),
    _quotient(
        "false_per_mp", "False/MP", "connected changes that come near no artefact, per megapixel",
        "lower", "harm", "rate",
        Sum("false_repairs", lambda v: v.false_repairs), PIXELS, 1e6),
    Figure(
        "harm", "Harm", "squared error added outside the artefacts, as a share of the error "
        "inside them at the start", "lower", "harm", "ratio",
        (SSE_BEFORE, SSE_AFTER, INSIDE_BEFORE, INSIDE_AFTER), _harm),
    _quotient(
        "touched", "Touched", "undamaged pixels changed by more than 2 levels",
        "lower", "harm", "share",
        Sum("touched", lambda v: v.count((v.change > TOUCHED) & v.away)),
        Sum("undamaged", lambda v: v.count(v.away))),
    _quotient(
        "repair", "Left in artefacts", "squared error left inside the artefacts",
        "lower", "harm", "ratio", INSIDE_AFTER, INSIDE_BEFORE),
)  # fmt: skip


def _psnr(error: Sum, pixels: Sum) -> Callable[[Totals], Values]:
    def formula(t: Totals) -> Values:
        mse = ratio(t(error), t(pixels))
        return 10 * np.log10(PEAK / np.maximum(mse, LEAST_MSE))

    return formula


SSIM = Sum("ssim", lambda v: float(v.ssim[0][v.ssim[1]].sum(dtype=np.float64)))
SSIM_PIXELS = Sum("ssim_pixels", lambda v: float(np.count_nonzero(v.ssim[1])))
MSE = _quotient(
    "mse", "MSE", "mean squared error in grey levels squared, averaged over pictures",
    "lower", "error", "levels", SSE_AFTER, PIXELS, each=True,
)  # fmt: skip

ERROR = (
    MSE,
    Figure(
        "psnr", "PSNR", "peak signal to noise ratio, averaged over pictures; at most 78 dB",
        "higher", "error", "dB", (SSE_AFTER, PIXELS), _psnr(SSE_AFTER, PIXELS), each=True),
    Figure(
        "psnr_near", "PSNR near", "the same within 16 pixels of artefacts only",
        "higher", "error", "dB", (NEAR_AFTER, NEAR), _psnr(NEAR_AFTER, NEAR), each=True),
    _quotient(
        "ssim", "SSIM", "structural similarity, averaged over pictures",
        "higher", "error", "ratio", SSIM, SSIM_PIXELS, each=True),
    _quotient(
        "ssim_near", "SSIM near", "the same within 16 pixels of artefacts only",
        "higher", "error", "ratio",
        Sum("ssim_near",
            lambda v: float(v.ssim[0][v.ssim[1] & v.where.around[v.core]].sum(dtype=np.float64))),
        Sum("ssim_near_pixels",
            lambda v: float(np.count_nonzero(v.ssim[1] & v.where.around[v.core])))),
)  # fmt: skip

CLEAN = (
    _quotient(
        "clean_touched", "Clean: touched", "pixels changed by more than 2 levels when the ground "
        "truth is given as the scan", "lower", "clean", "share",
        Sum("frame_touched", lambda v: v.count(v.change > TOUCHED), "clean"), FRAME),
    _quotient(
        "clean_false_per_mp", "Clean: false/MP", "connected changes there, per megapixel",
        "lower", "clean", "rate",
        Sum("frame_false", lambda v: v.false_repairs, "clean"), FRAME, 1e6),
    _quotient(
        "clean_mse", "Clean: MSE", "squared error added there, per pixel",
        "lower", "clean", "levels",
        Sum("frame_sse", lambda v: v.total(np.square(v.change)), "clean"), FRAME),
)  # fmt: skip


def _object_f1(t: Totals) -> Values:
    precision, recall = ratio(t(REPAIRS_RIGHT), t(REPAIRS)), ratio(t(FOUND), t(ARTEFACTS))
    both = precision + recall
    return np.where(both > 0, ratio(2 * precision * recall, both), both)


def _average_precision(t: Totals) -> Values:
    hits, false = t(SCORE_HITS), t(SCORE_FALSE)
    return np.where(np.sum(hits, axis=-1) > 0, average_precision(hits, false), np.nan)


DETECTION = (
    Figure(
        "pixel_precision", "Pixel precision", "masked pixels that are damaged; those within "
        "4 pixels of an artefact are not counted", "higher", "detection", "share",
        (MASK_HITS, MASK_FALSE), lambda t: ratio(t(MASK_HITS), t(MASK_HITS) + t(MASK_FALSE))),
    _quotient(
        "pixel_recall", "Pixel recall", "damaged pixels that are masked",
        "higher", "detection", "share", MASK_HITS, DAMAGED),
    Figure(
        "pixel_f1", "Pixel F1", "harmonic mean of the two", "higher", "detection", "ratio",
        (MASK_HITS, MASK_FALSE, DAMAGED),
        lambda t: ratio(2 * t(MASK_HITS), t(MASK_HITS) + t(MASK_FALSE) + t(DAMAGED))),
    _quotient(
        "object_precision", "Object precision", "connected parts of the mask that come near an "
        "artefact", "higher", "detection", "share", REPAIRS_RIGHT, REPAIRS),
    _quotient(
        "object_recall", "Object recall", "artefacts at least half masked",
        "higher", "detection", "share", FOUND, ARTEFACTS),
    Figure(
        "object_f1", "Object F1", "harmonic mean of the two", "higher", "detection", "ratio",
        (REPAIRS_RIGHT, REPAIRS, FOUND, ARTEFACTS), _object_f1),
    Figure(
        "average_precision", "Average precision", "area under the pixel precision-recall curve of "
        "the detector's score", "higher", "detection", "ratio",
        (SCORE_HITS, SCORE_FALSE), _average_precision),
)  # fmt: skip


def _grain(band: str, at: int, what: str, suffix: str, label: str) -> Figure:
    return _quotient(
        f"grain_{band}{suffix}", f"Grain, {band}{label}",
        f"power of {band} grain inside repairs over that around them; 1 is alike{what}",
        "", "grain", "ratio",
        Sum(f"grain_{band}{suffix}", lambda v: v.grain[band][at]),
        Sum(f"grain_{band}_expected", lambda v: v.grain[band][2]),
    )  # fmt: skip


GRAIN = tuple(
    _grain(band, *rest)
    for band in BANDS
    for rest in ((0, "", "", ""), (1, ", for the ground truth there", "_truth", ", truth"))
)


def _class_figure(number: int, name: str, label: str, each: bool) -> Figure:
    wanted = CONFUSION_COARSE if number <= COARSE and not each else CONFUSION

    def formula(t: Totals) -> Values:
        matrix = t.once(("merged", number, each), lambda: merge(t(wanted), number))
        known = t.once(("classes", number, each), lambda: class_figures(matrix))
        return np.where(matrix.sum(axis=(-1, -2)) > 0, getattr(known, name), np.nan)

    how = "in each picture, then averaged over pictures" if each else "all pixels pooled"
    return Figure(
        f"{name}_{number}{'_mean' * each}", f"{label}, {number}{', mean of images' * each}",
        f"macro average over {number} classes of grey level, {how}",
        "higher", "paper", "ratio", (wanted,), formula, each,
    )  # fmt: skip


CLASS_LABELS = {"precision": "Precision", "recall": "Recall", "f1": "F1", "miou": "mIoU"}
PAPER = tuple(
    _class_figure(number, name, label, each)
    for each in (False, True)
    for number in CLASS_COUNTS
    for name, label in CLASS_LABELS.items()
)

CHANGE = (
    _quotient("changed", "Changed", "pixels whose value in the file differs from the scan's",
              "", "change", "share", CHANGED, PIXELS),
    _quotient("outside_mask", "Outside mask", "pixels changed outside the backend's own mask",
              "lower", "change", "share",
              Sum("outside_mask", lambda v: v.count(v.changed & ~v.mask), ""), PIXELS),
    _quotient("masked", "Masked", "pixels in the backend's mask",
              "", "change", "share", MASKED, PIXELS),
    _quotient("repairs_per_mp", "Repairs/MP", "connected parts of the mask, per megapixel",
              "", "change", "rate", REPAIRS, PIXELS, 1e6),
)  # fmt: skip

COST = (
    _quotient("mp_per_s", "MP/s", "megapixels restored a second by one worker",
              "higher", "cost", "rate", PIXELS,
              Sum("seconds", lambda v: v.seconds, ""), 1e-6),
)  # fmt: skip

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (*HARM, *ERROR, *CLEAN, *DETECTION, *GRAIN, *PAPER, *CHANGE, *COST)
}
SUMS: dict[str, Sum] = {
    s.name: s for f in FIGURES.values() for s in (*f.sums, BY_KIND, BY_SIZE)
}  # fmt: skip


def table(name: Table) -> list[Figure]:
    """The figures of one table of the report, in order."""
    return [figure for figure in FIGURES.values() if figure.table == name]


def find_figure(name: str) -> Figure:
    """The figure of that name.

    Raises:
        UsageError: there is none; the hint names the nearest.
    """
    if name in FIGURES:
        return FIGURES[name]
    near = difflib.get_close_matches(name, FIGURES, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(FIGURES)}"
    raise UsageError(f"there is no figure called {name!r}", hint=hint)

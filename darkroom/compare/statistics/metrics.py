"""Every figure of `darkroom compare`, once: its name, its meaning and how it follows from sums.

A figure is a function of sums over images ("totals"). Totals may carry a leading axis of bootstrap
replicates, so intervals come from the same functions.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.detection import average_precision
from darkroom.compare.measure.harm import Counts
from darkroom.compare.measure.paper import CLASS_COUNTS, COARSE, class_figures, merge
from darkroom.compare.measure.quality import BANDS
from darkroom.errors import UsageError

Values: TypeAlias = NDArray[np.float64]
Totals: TypeAlias = Mapping[str, NDArray[Any]]

PEAK = 255.0**2
LEAST_MSE = 1e-3  # a perfect restoration is given 78 dB, not infinity


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        name: as in `metrics.json` and `--fail-under`.
        label: as in the report.
        meaning: one line for a reader who has never met it.
        better: which way is good; "" where neither is.
        value: from totals to the figure; NaN where it is undefined.
        group: which table it stands in.
        style: "ratio", "share" (shown in %), "dB", "rate" or "levels".
    """

    name: str
    label: str
    meaning: str
    better: Literal["lower", "higher", ""]
    value: Callable[[Totals], Values]
    group: str
    style: str = "ratio"


def image_totals(counts: Counts, confusion: NDArray[np.int64] | None) -> Counts:
    """The totals of one image: its counts, and what is defined per image and then averaged."""
    if "sse_after" not in counts:  # no ground truth
        return dict(counts)
    totals = {**counts, "images": 1.0}
    mse = counts["sse_after"] / counts["pixels"]
    totals |= {"mse_sum": mse, "psnr_sum": _psnr(mse)}
    totals["mse_before_sum"] = counts["sse_before"] / counts["pixels"]
    if counts["around_pixels"]:
        totals["images_around"] = 1.0
        totals["psnr_around_sum"] = _psnr(counts["sse_around_after"] / counts["around_pixels"])
    if counts.get("ssim_pixels"):
        totals |= {"images_ssim": 1.0, "ssim_mean": counts["ssim_sum"] / counts["ssim_pixels"]}
    if confusion is None:
        return totals
    for number in CLASS_COUNTS:
        figures = class_figures(merge(confusion, number))
        for name in ("precision", "recall", "f1", "miou"):
            totals[f"{name}_{number}_sum"] = float(getattr(figures, name))
    return totals


def find_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UsageError: there is none; the hint names the nearest.
    """
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(METRICS)}"
    raise UsageError(f"there is no metric called {name!r}", hint=hint)


def _psnr(mse: float) -> float:
    return float(10 * np.log10(PEAK / max(mse, LEAST_MSE)))


def _ratio(numerator: Values, denominator: Values) -> Values:
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    out = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
    return out


def _share(top: str, bottom: str, scale: float = 1.0) -> Callable[[Totals], Values]:
    def value(totals: Totals) -> Values:
        return scale * _ratio(totals[top], totals[bottom])

    return value


def _less(top: str, minus: str, bottom: str) -> Callable[[Totals], Values]:
    def value(totals: Totals) -> Values:
        return _ratio(totals[top] - totals[minus], totals[bottom])

    return value


def _f1(hit: str, given: tuple[str, str], true: str) -> Callable[[Totals], Values]:
    """Harmonic mean of hit / (sum of given) and hit / true."""

    def value(totals: Totals) -> Values:
        return _ratio(2 * totals[hit], totals[given[0]] + totals[given[1]] + totals[true])

    return value


def _pixel_precision(totals: Totals) -> Values:
    return _ratio(totals["mask_hits"], totals["mask_hits"] + totals["mask_false"])


def _object_f1(totals: Totals) -> Values:
    precision = _ratio(totals["objects_right"], totals["objects"])
    recall = _ratio(totals["blobs_found"], totals["blobs"])
    both = precision + recall
    return np.where(both > 0, _ratio(2 * precision * recall, both), both)


def _average_precision(totals: Totals) -> Values:
    hits, false = totals["score_hits"], totals["score_false"]
    known = np.sum(hits, axis=-1) > 0
    return np.where(known, average_precision(hits, false), np.nan)


def _paper(figure: str, number: int) -> Callable[[Totals], Values]:
    def value(totals: Totals) -> Values:
        matrix = merge(totals["confusion_50" if number <= COARSE else "confusion"], number)
        result: Values = getattr(class_figures(matrix), figure)
        return np.where(np.sum(matrix, axis=(-1, -2)) > 0, result, np.nan)

    return value


def _error_metrics() -> list[Metric]:
    return [
        Metric("mse", "MSE", "mean over images of the mean squared error, in grey levels squared",
               "lower", _share("mse_sum", "images"), "error", "levels"),
        Metric("psnr", "PSNR", "mean over images of the peak signal to noise ratio",
               "higher", _share("psnr_sum", "images"), "error", "dB"),
        Metric("psnr_near", "PSNR near", "the same within 16 pixels of artefacts only",
               "higher", _share("psnr_around_sum", "images_around"), "error", "dB"),
        Metric("ssim", "SSIM", "mean over images of the structural similarity",
               "higher", _share("ssim_mean", "images_ssim"), "error"),
        Metric("ssim_near", "SSIM near", "the same within 16 pixels of artefacts only",
               "higher", _share("ssim_around", "ssim_around_pixels"), "error"),
    ]  # fmt: skip


def _harm_metrics() -> list[Metric]:
    return [
        Metric("sse_ratio", "Error left", "squared error left over, doing nothing being 1",
               "lower", _share("sse_after", "sse_before"), "harm"),
        Metric("repair", "Left in artefacts", "the same where the retoucher changed the scan",
               "lower", _share("sse_inside_after", "sse_inside_before"), "harm"),
        Metric("harm", "Harm", "squared error added outside the artefacts, "
               "as a share of the artefacts' error at the start",
               "lower", _harm, "harm"),
        Metric("touched", "Touched", "clean pixels changed by more than 2 levels",
               "lower", _share("clean_touched", "clean_pixels"), "harm", "share"),
        Metric("recall", "Healed", "blobs of damage whose squared error fell by half or more",
               "higher", _share("blobs_healed", "blobs"), "harm", "share"),
        Metric("visible", "Visible healed", "the same among blobs 25 levels or more off",
               "higher", _share("blobs_visible_healed", "blobs_visible"), "harm", "share"),
        Metric("false_per_mp", "False/MP", "blobs of change that touch no artefact, per megapixel",
               "lower", _share("false_repairs", "pixels", 1e6), "harm", "rate"),
        Metric("clean_touched", "Clean: touched", "pixels changed by more than 2 levels when the "
               "ground truth is given as the scan",
               "lower", _share("frame_touched", "frame_pixels"), "clean", "share"),
        Metric("clean_false_per_mp", "Clean: false/MP", "blobs changed there, per megapixel",
               "lower", _share("frame_false", "frame_pixels", 1e6), "clean", "rate"),
        Metric("clean_mse", "Clean: MSE", "squared error added there, per pixel",
               "lower", _share("frame_sse", "frame_pixels"), "clean", "levels"),
    ]  # fmt: skip


def _harm(totals: Totals) -> Values:
    before = totals["sse_before"] - totals["sse_inside_before"]
    after = totals["sse_after"] - totals["sse_inside_after"]
    return _ratio(after - before, totals["sse_inside_before"])


def _detection_metrics() -> list[Metric]:
    return [
        Metric("pixel_precision", "Pixel precision", "masked pixels that are artefacts; those "
               "within 4 pixels of one are not counted",
               "higher", _pixel_precision, "detection", "share"),
        Metric("pixel_recall", "Pixel recall", "artefact pixels that are masked",
               "higher", _share("mask_hits", "artefact_pixels"), "detection", "share"),
        Metric("pixel_f1", "Pixel F1", "harmonic mean of the two",
               "higher", _f1("mask_hits", ("mask_hits", "mask_false"), "artefact_pixels"),
               "detection"),
        Metric("object_precision", "Object precision", "masked components that touch an artefact",
               "higher", _share("objects_right", "objects"), "detection", "share"),
        Metric("object_recall", "Object recall", "blobs of damage at least half masked",
               "higher", _share("blobs_found", "blobs"), "detection", "share"),
        Metric("object_f1", "Object F1", "harmonic mean of the two",
               "higher", _object_f1, "detection"),
        Metric("average_precision", "Average precision", "area under the pixel precision-recall "
               "curve of the detector's score", "higher", _average_precision, "detection"),
    ]  # fmt: skip


def _grain_metrics() -> list[Metric]:
    def one(band: str, what: str, source: str) -> Metric:
        meaning = f"power of {band} grain inside repairs over that around them; 1 is alike{what}"
        suffix = "_truth" if source else ""
        return Metric(
            f"grain_{band}{suffix}", f"Grain, {band}{', truth' if source else ''}", meaning, "",
            _share(f"grain_{band}{source}", f"grain_{band}_expected"), "grain",
        )  # fmt: skip

    return [
        one(band, what, source)
        for band in BANDS
        for what, source in (("", ""), (", for the ground truth there", "_truth"))
    ]


def _paper_metrics() -> list[Metric]:
    labels = {"precision": "Precision", "recall": "Recall", "f1": "F1", "miou": "mIoU"}
    pooled = [
        Metric(f"{figure}_{number}", f"{label}, {number}",
               f"macro average over {number} classes of grey level, all pixels pooled",
               "higher", _paper(figure, number), "paper")
        for number in CLASS_COUNTS for figure, label in labels.items()
    ]  # fmt: skip
    mean = [
        Metric(f"{figure}_{number}_mean", f"{label}, {number}, mean of images",
               f"macro average over {number} classes in each image, then averaged over images",
               "higher", _share(f"{figure}_{number}_sum", "images"), "paper")
        for number in CLASS_COUNTS for figure, label in labels.items()
    ]  # fmt: skip
    return pooled + mean


def _plain_metrics() -> list[Metric]:
    return [
        Metric("changed", "Changed", "pixels whose value in the file differs from the scan's",
               "", _share("changed", "pixels"), "change", "share"),
        Metric("outside_mask", "Outside mask", "pixels changed outside the backend's own mask",
               "lower", _share("outside_mask", "pixels"), "change", "share"),
        Metric("masked", "Masked", "pixels in the backend's mask",
               "", _share("mask_area", "pixels"), "change", "share"),
        Metric("marks_per_mp", "Marks/MP", "components of the backend's mask per megapixel",
               "", _share("marks", "pixels", 1e6), "change", "rate"),
        Metric("mp_per_s", "MP/s", "megapixels restored a second by one worker",
               "higher", _share("run_pixels", "run_seconds", 1e-6), "cost", "rate"),
    ]  # fmt: skip


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_error_metrics(),
        *_harm_metrics(),
        *_detection_metrics(),
        *_grain_metrics(),
        *_paper_metrics(),
        *_plain_metrics(),
    )
}

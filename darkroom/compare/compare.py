"""A whole comparison in one call: find, run, summarise, report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.compare.report.page import CHANGE_COLUMNS, HARM_COLUMNS, format_figure, write_report
from darkroom.compare.run.backend import backend_runner
from darkroom.compare.run.evaluate import Progress, Settings, evaluate
from darkroom.compare.statistics.metrics import METRICS, find_metric
from darkroom.compare.statistics.summary import Document, misses, summarise
from darkroom.pairs.find import dataset_pairs, find_pairs
from darkroom.pairs.manifest import NAME as MANIFEST


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a comparison.

    Attributes:
        document: what `metrics.json` holds.
        page: the report.
        headers, rows: the leaderboard as text.
        complaints: failed cells and limits not reached, one line each.
    """

    document: Document
    page: Path
    headers: list[str]
    rows: list[list[str]]
    complaints: list[str]


def run_comparison(
    scans: Path,
    truths: Path | None,
    backends: Sequence[str],
    folder: Path,
    *,
    split: str | None = None,
    cache: Path | None = None,
    group_by: str | None = None,
    clean_frames: bool = True,
    limits: Mapping[str, float] | None = None,
    rank_by: str = "sse_ratio",
    device: str = "auto",
    jobs: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Compare backends and write the report.

    Args:
        scans, truths, split, group_by: as for `find_pairs`.
        backends: as for `backend_runner`.
        folder: of the report.
        cache: folder of kept results, `cache` in the report's folder by default.
        clean_frames: also give each backend the ground truths as scans.
        limits: metric -> limit that every backend must reach.
        rank_by: the metric of the leaderboard; without truths it is "changed".
        device, jobs: as for `backend_runner` and `Settings`.
        seed: of the bootstrap.
        progress: as for `evaluate`.

    Raises:
        DarkroomError: as the parts do; nothing has been run yet if a name is wrong.
    """
    for name in (*(limits or {}), rank_by):
        find_metric(name)
    if truths is None and (scans / MANIFEST).is_file():
        pairs = dataset_pairs(scans, split=split, group_by=group_by)
    else:
        pairs = find_pairs(scans, truths, split=split, group_by=group_by)
    runners = [backend_runner(text, device=device, jobs=1) for text in backends]
    settings = Settings(cache or folder / "cache", clean_frames=clean_frames)
    if jobs is not None:
        settings = Settings(settings.cache, jobs, clean_frames)
    comparison = evaluate(pairs, runners, settings, progress)
    rank = rank_by if comparison.has_truth else "changed"
    document = summarise(comparison, seed=seed, rank_by=rank)
    page = write_report(comparison, document, folder)
    columns = HARM_COLUMNS if comparison.has_truth else CHANGE_COLUMNS
    rows = [
        [row["name"], *(format_figure(row["figures"][name], name) for name in columns)]
        for row in document["backends"]
    ]
    failed = [f"{c.backend} failed on {c.image}: {c.error}" for c in comparison.failures]
    headers = ["backend", *(METRICS[name].label for name in columns)]
    return Report(document, page, headers, rows, failed + misses(document, dict(limits or {})))

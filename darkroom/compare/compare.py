"""A whole comparison in one call: find, run, summarise, report."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from darkroom.compare.measure.figures import find_figure, table
from darkroom.compare.report.page import REPORT_FILES, write_report
from darkroom.compare.run.backend import backend_runner
from darkroom.compare.run.evaluate import Progress, Settings, evaluate, share_memory
from darkroom.compare.statistics.summary import Document, misses, summarise
from darkroom.errors import OutputError, UsageError
from darkroom.io.guard import prepare
from darkroom.options import MachineOptions
from darkroom.pairs.find import find_pairs
from darkroom.pipeline.workers import Crew

BASELINE = "baseline"


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
    baseline: bool = True,
    limits: Mapping[str, float] | None = None,
    rank_by: str = "sse_ratio",
    device: str = "auto",
    jobs: int | None = None,
    scheduler: str | None = None,
    memory: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Compare backends and write the report.

    Args:
        scans, truths, split, group_by: as for `find_pairs`.
        backends: as for `backend_runner`.
        folder: of the report.
        cache: folder of kept results, `cache` in the report's folder by default.
        clean_frames: also give each backend the ground truths as scans.
        baseline: add a row of the backend `baseline`, as a yardstick.
        limits: figure -> limit that every backend must reach.
        rank_by: the figure of the leaderboard; without truths it is "changed".
        device, jobs, scheduler: as for `backend_runner` and `Settings`.
        memory: bytes for all processes together; that of `darkroom clean` by default.
        seed: of the bootstrap.
        overwrite: replace a report that is there; what its cache holds is used either way.
        progress: as for `evaluate`.

    Raises:
        DarkroomError: as the parts do; nothing has been run yet if a name is wrong.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file", hint="Name a folder for the report with -o.")
    for name in REPORT_FILES:
        if (folder / name).exists() and not overwrite:
            raise OutputError(f"{folder / name} exists", hint="Use --overwrite to replace it.")
    for name in limits or {}:
        if not find_figure(name).better:
            raise UsageError(f"{name} has no better direction, so it cannot be a limit")
    find_figure(rank_by)
    pairs = find_pairs(scans, truths, part=split, group_by=group_by).complete()
    read = [path for pair in pairs for path in pair.files]
    if group_by is not None:
        read.append(Path(group_by))
    prepare([folder / name for name in REPORT_FILES], read)
    memory = memory or MachineOptions().max_memory
    if scheduler is not None:
        jobs = Crew(scheduler=scheduler).size()
    jobs, band_pixels = share_memory(memory, jobs or os.cpu_count() or 1)
    names = [BASELINE, *backends] if baseline and BASELINE not in backends else [*backends]
    runners = [backend_runner(name, device=device, jobs=1, memory=memory // jobs) for name in names]
    runners = [replace(r, reference=r.name not in backends) for r in runners]
    settings = Settings(cache or folder / "cache", jobs, clean_frames, band_pixels, scheduler)
    comparison = evaluate(pairs, runners, settings, progress)
    rank = rank_by if comparison.has_truth else "changed"
    document = summarise(comparison, seed=seed, rank_by=rank)
    page = write_report(comparison, document, folder)
    columns = table("harm" if comparison.has_truth else "change")
    rows = [
        [row["name"], *(f.write(row["figures"][f.name]["value"]) for f in columns)]
        for row in document["backends"]
    ]
    failed = [f"{c.backend} failed on {c.image}: {c.error}" for c in comparison.failures]
    headers = ["backend", *(f.label for f in columns)]
    return Report(document, page, headers, rows, failed + misses(document, dict(limits or {})))

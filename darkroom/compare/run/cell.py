"""One cell of the comparison: one backend on one picture, run, measured and kept."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.count import (
    VERSION,
    Counts,
    Sparse,
    add,
    count,
    is_matrix,
    picture_totals,
)
from darkroom.compare.measure.figures import SUMS
from darkroom.compare.measure.view import View
from darkroom.compare.pairs.pictures import Band, Sources, read_rows
from darkroom.compare.run.cache import Cache, key_of, pack_json, unpack_json
from darkroom.compare.run.restore import Kept, load_kept, restored
from darkroom.compare.run.runners import Runner
from darkroom.errors import DarkroomError
from darkroom.pairs.find import Pair


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker process is sent.

    Attributes:
        runner: the backend.
        pair: the picture.
        digests: SHA-256 of the pair's files, by role: "scan", "truth", "mask".
        cache: folder of the cache.
        clean_frames: also run the backend on the ground truth.
        band_pixels: pictures with more pixels are streamed in bands of about this many.
    """

    runner: Runner
    pair: Pair
    digests: dict[str, str]
    cache: Path
    clean_frames: bool
    band_pixels: int


@dataclass(slots=True)
class Cell:
    """What came of a task.

    Attributes:
        backend, image, photograph: what it is of.
        totals: sums of the picture by name, matrices as `Sparse`; empty if it failed.
        cost: "seconds", "peak_rss", "peak_gpu", and "machine" of the run that made the result.
        cached: nothing had to be run.
        error: why it failed, one line, or None.
    """

    backend: str
    image: str
    photograph: str
    totals: Counts = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    cached: bool = False
    error: str | None = None


def printable(text: str) -> str:
    """Text that every report can hold: bytes of file names that are not UTF-8 as "\\xe4"."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def run_cell(task: Task) -> Cell:
    """Run one cell. A failure is a cell with an error, never an exception."""
    cell = Cell(task.runner.name, task.pair.name, task.pair.family)
    try:
        _fill(cell, task)
    except DarkroomError as error:
        cell.error = printable(str(error))
    except Exception as error:  # a backend is foreign code: whatever it raises is this cell's error
        cell.error = printable(f"{type(error).__name__}: {error}".splitlines()[0])
    return cell


def restoration_key(task: Task, role: str) -> str:
    """Cache key of a backend's result on the pair's "scan" or "truth"."""
    known = {k: v for k, v in task.digests.items() if k != "scan" and task.runner.needs_truth}
    return key_of(
        {
            "what": "restoration",
            "version": 1,
            "runner": task.runner.fingerprint(),
            "source": task.digests[role],
            "known": known,
        }
    )


def _fill(cell: Cell, task: Task) -> None:
    cache = Cache(task.cache)
    parts = {
        "what": "measurement",
        "version": VERSION,
        "restoration": restoration_key(task, "scan"),
        "digests": task.digests,
        "clean": task.clean_frames,
    }
    key = key_of(parts)
    entry = cache.get(key)
    if entry is None:
        entry = _pack(*_measured(task, cache))
        cache.put(key, entry)
    else:
        cell.cached = True
    cell.totals, cell.cost = _unpack(entry)


def kept_scan(task: Task) -> Kept | None:
    """What the cache holds of a task's result on the scan, or None."""
    return load_kept(Cache(task.cache), restoration_key(task, "scan"))


def _pack(totals: Counts, cost: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Totals and cost as an entry of the cache: matrices sparse, numbers as JSON."""
    numbers = {k: float(v) for k, v in totals.items() if np.ndim(v) == 0}
    entry: dict[str, NDArray[Any]] = {"totals": pack_json(numbers), "cost": pack_json(cost)}
    for name in totals.keys() - numbers.keys():
        if is_matrix(SUMS[name]):
            packed = Sparse.pack(totals[name])
            entry |= {f"{name}:at": packed.at, f"{name}:of": packed.of}
        else:
            entry[name] = totals[name]
    return entry


def _unpack(entry: dict[str, NDArray[Any]]) -> tuple[Counts, dict[str, Any]]:
    totals: Counts = unpack_json(entry["totals"])
    for name, wanted in SUMS.items():
        if f"{name}:at" in entry:
            totals[name] = Sparse(entry[f"{name}:at"], entry[f"{name}:of"], wanted.shape)
        elif name in entry:
            totals[name] = entry[name]
    return totals, unpack_json(entry["cost"])


def _measured(task: Task, cache: Cache) -> tuple[Counts, dict[str, Any]]:
    counts: Counts = {}
    with Sources.open(task.pair, task.band_pixels) as sources:
        kept = restored(task, sources, "scan", cache, restoration_key(task, "scan"))
        for band in sources.bands:
            view = _view(sources, kept, band)
            view.seconds = kept.cost["seconds"] if band.first == 0 else 0.0
            add(counts, count(view))
        if task.clean_frames and sources.truth is not None and not task.runner.reference:
            clean = restored(task, sources, "truth", cache, restoration_key(task, "truth"))
            for band in sources.bands:
                rows = read_rows(sources.truth, band.top, band.bottom)
                output = clean.changes.apply(rows, band.top)
                mask = clean.mask.rows(band.top, band.bottom)
                white = sources.whites[1]
                view = View(rows, output, mask, core=band.core, whites=(white, white))
                add(counts, count(view, clean=True))
    return picture_totals(counts), kept.cost


def _view(sources: Sources, kept: Kept, band: Band) -> View:
    rows = read_rows(sources.scan, band.top, band.bottom)
    score = None if kept.score is None else kept.score[band.top : band.bottom]
    truth = sources.truth
    return View(
        rows,
        kept.changes.apply(rows, band.top),
        kept.mask.rows(band.top, band.bottom),
        truth=None if truth is None else read_rows(truth, band.top, band.bottom),
        artefacts=sources.artefacts(band.top, band.bottom),
        score=score,
        core=band.core,
        whites=sources.whites,
    )

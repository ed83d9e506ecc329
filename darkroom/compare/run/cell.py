"""One cell of the comparison: one backend on one picture, run, measured and kept."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom import __version__
from darkroom.compare.measure.harm import Counts
from darkroom.compare.measure.paper import LEVELS
from darkroom.compare.measure.picture import VERSION, Measurement, measure, measure_clean
from darkroom.compare.pairs.pictures import bands, read_rows, require_equal_size, truth_mask
from darkroom.compare.run.cache import Cache, key_of, pack_json, unpack_json
from darkroom.compare.run.cost import machine, measured
from darkroom.compare.run.runners import FileRunner, Runner
from darkroom.compare.run.sparse import Changes, Plane
from darkroom.compare.statistics.metrics import image_totals
from darkroom.errors import DarkroomError
from darkroom.io import open_scan
from darkroom.pairs.find import Pair
from darkroom.scan import Bytes, Scan


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
        totals: sums of the image by name; empty if it failed.
        arrays: small histograms; confusion matrices are kept sparse, see `confusion`.
        cost: "seconds", "peak_rss", "peak_gpu", and "machine" of the run that made the result.
        cached: nothing had to be run.
        error: why it failed, one line, or None.
    """

    backend: str
    image: str
    photograph: str
    totals: Counts = field(default_factory=dict)
    arrays: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    cached: bool = False
    error: str | None = None

    def confusion(self) -> NDArray[np.int64] | None:
        """The confusion matrix (256, 256), or None without a ground truth."""
        if "confusion_at" not in self.arrays:
            return None
        matrix = np.zeros(LEVELS * LEVELS, np.int64)
        matrix[self.arrays["confusion_at"]] = self.arrays["confusion_of"]
        return matrix.reshape(LEVELS, LEVELS)


@dataclass(frozen=True, slots=True)
class Kept:
    """A restoration as the cache keeps it.

    Attributes:
        changes: what it changed.
        mask: what it chose to repair.
        score: uint8 (H, W), or None.
        cost: as in Cell.
    """

    changes: Changes
    mask: Plane
    score: Bytes | None
    cost: dict[str, Any]


def run_cell(task: Task) -> Cell:
    """Run one cell. A failure is a cell with an error, never an exception."""
    cell = Cell(task.runner.name, task.pair.name, task.pair.photograph)
    try:
        _fill(cell, task)
    except DarkroomError as error:
        cell.error = str(error)
    except Exception as error:  # a backend is foreign code: whatever it raises is this cell's error
        cell.error = f"{type(error).__name__}: {error}".splitlines()[0]
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


def load_kept(cache: Cache, key: str) -> Kept | None:
    """A restoration from the cache, or None."""
    entry = cache.get(key)
    if entry is None:
        return None
    width = int(entry["width"])
    changes = Changes(Plane(entry["where"], width), entry["values"], entry["starts"])
    score = entry.get("score")
    return Kept(changes, Plane(entry["mask"], width), score, unpack_json(entry["cost"]))


def _fill(cell: Cell, task: Task) -> None:
    cache = Cache(task.cache)
    parts = {
        "what": "measurement",
        "version": VERSION,
        "restoration": restoration_key(task, "scan"),
        "digests": task.digests,
        "clean": task.clean_frames,
        "bands": task.band_pixels,
    }
    key = key_of(parts)
    entry = cache.get(key)
    if entry is None:
        entry = _measured(task, cache)
        cache.put(key, entry)
    else:
        cell.cached = True
    cell.totals = unpack_json(entry.pop("totals"))
    cell.cost = unpack_json(entry.pop("cost"))
    cell.arrays = entry


def _measured(task: Task, cache: Cache) -> dict[str, NDArray[Any]]:
    result = Measurement()
    with ExitStack() as stack:
        sources = _open(task.pair, stack)
        kept = _restored(task, sources, "scan", cache)
        for top, bottom in bands(sources["scan"].info, task.band_pixels):
            result += _measure_band(task, sources, kept, top, bottom)
        if task.clean_frames and "truth" in sources and not task.runner.reference:
            clean = _restored(task, sources, "truth", cache)
            for top, bottom in bands(sources["truth"].info, task.band_pixels):
                truth = read_rows(sources["truth"], top, bottom)
                result += measure_clean(truth, clean.changes.apply(truth, top))
    totals = image_totals(result.counts, result.arrays.get("confusion"))
    totals |= {"run_seconds": kept.cost["seconds"], "run_pixels": totals["pixels"]}
    arrays: dict[str, NDArray[Any]] = dict(result.arrays)
    if "confusion" in arrays:
        flat = arrays.pop("confusion").ravel()
        arrays["confusion_at"] = np.flatnonzero(flat).astype(np.uint16)
        arrays["confusion_of"] = flat[arrays["confusion_at"]]
    return {"totals": pack_json(totals), "cost": pack_json(kept.cost), **arrays}


def _open(pair: Pair, stack: ExitStack) -> dict[str, Scan]:
    paths = {"scan": pair.scan, "truth": pair.truth, "mask": pair.mask}
    sources = {
        role: stack.enter_context(open_scan(path))
        for role, path in paths.items()
        if path is not None
    }
    for scan in sources.values():
        require_equal_size(sources["scan"].info, scan.info)
    return sources


def _artefacts(sources: dict[str, Scan], top: int, bottom: int) -> NDArray[np.bool_] | None:
    if "truth" not in sources:
        return None
    rows = {role: read_rows(scan, top, bottom) for role, scan in sources.items()}
    return truth_mask(rows["scan"], rows["truth"], rows.get("mask"))


def _measure_band(
    task: Task, sources: dict[str, Scan], kept: Kept, top: int, bottom: int
) -> Measurement:
    scan = read_rows(sources["scan"], top, bottom)
    truth = read_rows(sources["truth"], top, bottom) if "truth" in sources else None
    output = kept.changes.apply(scan, top)
    return measure(
        scan,
        output,
        kept.mask.rows(top, bottom),
        score=None if kept.score is None else kept.score[top:bottom],
        truth=truth,
        artefacts=_artefacts(sources, top, bottom),
    )


def _restored(task: Task, sources: dict[str, Scan], role: str, cache: Cache) -> Kept:
    key = restoration_key(task, role)
    kept = load_kept(cache, key)
    if kept is None:
        kept = _run(task, sources, role)
        entry: dict[str, NDArray[Any]] = {
            "width": np.array(kept.mask.width),
            "where": kept.changes.where.bits,
            "values": kept.changes.values,
            "starts": kept.changes.starts,
            "mask": kept.mask.bits,
            "cost": pack_json(kept.cost),
        }
        if kept.score is not None:
            entry["score"] = kept.score
        cache.put(key, entry)
    return kept


def _run(task: Task, sources: dict[str, Scan], role: str) -> Kept:
    info = sources[role].info
    spans = list(bands(info, task.band_pixels))
    if len(spans) > 1 and isinstance(task.runner, FileRunner):
        return _run_file(task, sources[role], spans)
    pieces = [_run_band(task, sources, role, top, bottom) for top, bottom in spans]
    if len(pieces) == 1:
        return pieces[0]
    return Kept(
        Changes.stack([piece.changes for piece in pieces]),
        Plane(np.concatenate([piece.mask.bits for piece in pieces]), info.width),
        None,
        _joined_cost([piece.cost for piece in pieces]),
    )


def _run_band(task: Task, sources: dict[str, Scan], role: str, top: int, bottom: int) -> Kept:
    picture = read_rows(sources[role], top, bottom)
    known = _artefacts(sources, top, bottom) if task.runner.needs_truth else None
    given = picture.copy()  # a runner that writes into its input must not spoil the comparison
    with measured() as cost:
        restoration = task.runner.restore(given, known)
    changes = Changes.between(picture, restoration.image)
    mask = changes.where if restoration.mask is None else Plane.pack(restoration.mask)
    seconds = cost.seconds if restoration.seconds is None else restoration.seconds
    return Kept(changes, mask, restoration.score, _cost(seconds, cost.peak_rss, cost.peak_gpu))


def _run_file(task: Task, source: Scan, spans: list[tuple[int, int]]) -> Kept:
    assert isinstance(task.runner, FileRunner)
    with tempfile.TemporaryDirectory(dir=task.cache, prefix="run-") as folder:
        output, mask = Path(folder, "output.tif"), Path(folder, "mask.tif")
        with measured() as cost:
            task.runner.restore_file(source.info.path, output, mask)
        with open_scan(output) as after, open_scan(mask) as marks:
            require_equal_size(source.info, after.info)
            pieces = list(_file_bands(source, after, marks, spans))
    changes = Changes.stack([changes for changes, _ in pieces])
    plane = Plane(np.concatenate([mask.bits for _, mask in pieces]), source.info.width)
    return Kept(changes, plane, None, _cost(cost.seconds, cost.peak_rss, cost.peak_gpu))


def _file_bands(
    source: Scan, after: Scan, marks: Scan, spans: list[tuple[int, int]]
) -> Iterator[tuple[Changes, Plane]]:
    for top, bottom in spans:
        before = read_rows(source, top, bottom)
        changes = Changes.between(before, read_rows(after, top, bottom))
        yield changes, Plane.pack(read_rows(marks, top, bottom)[..., 0] >= 128)


def _cost(seconds: float, peak_rss: int, peak_gpu: int) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "peak_rss": peak_rss,
        "peak_gpu": peak_gpu,
        "machine": machine()["processor"],
        "darkroom": __version__,
    }


def _joined_cost(costs: list[dict[str, Any]]) -> dict[str, Any]:
    return _cost(
        sum(cost["seconds"] for cost in costs),
        max(cost["peak_rss"] for cost in costs),
        max(cost["peak_gpu"] for cost in costs),
    )

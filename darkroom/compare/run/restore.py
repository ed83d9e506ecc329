"""Running a backend on a picture, and keeping what it changed."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom import __version__
from darkroom.compare.pairs.pictures import Band, Sources, read_rows, require_equal_size
from darkroom.compare.run.cache import Cache, pack_json, unpack_json
from darkroom.compare.run.cost import Cost, machine, measured
from darkroom.compare.run.runners import FileRunner, Given, Runner
from darkroom.compare.run.sparse import Changes, Plane
from darkroom.errors import BackendError
from darkroom.io import open_scan
from darkroom.scan import Bytes, Scan

if TYPE_CHECKING:
    from darkroom.compare.run.cell import Task

Role = Literal["scan", "truth"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A restoration as the cache keeps it.

    Attributes:
        changes: what it changed.
        mask: what it chose to repair.
        score: uint8 (H, W), or None.
        cost: "seconds", "peak_rss", "peak_gpu", "machine" and "darkroom".
    """

    changes: Changes
    mask: Plane
    score: Bytes | None
    cost: dict[str, Any]


def load_kept(cache: Cache, key: str) -> Kept | None:
    """A restoration from the cache, or None."""
    entry = cache.get(key)
    if entry is None:
        return None
    width = int(entry["width"])
    changes = Changes(Plane(entry["where"], width), entry["values"], entry["starts"])
    score = entry.get("score")
    return Kept(changes, Plane(entry["mask"], width), score, unpack_json(entry["cost"]))


def restored(task: "Task", sources: Sources, role: Role, cache: Cache, key: str) -> Kept:
    """A backend's result on the scan, or on the ground truth given as the scan.

    Taken from the cache, or made and put there.
    """
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


def _run(task: "Task", sources: Sources, role: Role) -> Kept:
    runner, spans = task.runner, sources.bands
    if isinstance(runner, FileRunner) and (len(spans) > 1 or runner.needs_file):
        return _run_file(task, _source(sources, role), spans)
    pieces = [_run_band(runner, sources, role, band) for band in spans]
    if len(pieces) == 1:
        return pieces[0]
    return Kept(
        Changes.stack([piece.changes for piece in pieces]),
        Plane.stack([piece.mask for piece in pieces]),
        None,
        _joined_cost([piece.cost for piece in pieces]),
    )


def _source(sources: Sources, role: Role) -> Scan:
    source = sources.scan if role == "scan" else sources.truth
    assert source is not None
    return source


def _run_band(runner: Runner, sources: Sources, role: Role, band: Band) -> Kept:
    source, white = _source(sources, role), sources.whites[role == "truth"]
    picture = read_rows(source, band.top, band.bottom)
    known = sources.artefacts(band.top, band.bottom) if runner.needs_truth else None
    # A runner that writes into its input must not spoil the comparison.
    given = Given(picture.copy(), source.info, known, white)
    with measured() as cost:
        restoration = runner.restore(given)
    if restoration.image.shape != picture.shape or restoration.image.dtype != picture.dtype:
        raise BackendError(
            f"the backend returned {restoration.image.shape} {restoration.image.dtype}, "
            f"not {picture.shape} {picture.dtype} like the scan"
        )
    changes = Changes.between(picture[band.core], restoration.image[band.core])
    mask = restoration.mask
    seconds = cost.seconds if restoration.seconds is None else restoration.seconds
    return Kept(
        changes,
        changes.where if mask is None else Plane.pack(mask[band.core]),
        restoration.score if picture[band.core].shape == picture.shape else None,
        _cost(seconds, cost),
    )


def _run_file(task: "Task", source: Scan, spans: Sequence[Band]) -> Kept:
    assert isinstance(task.runner, FileRunner)
    with tempfile.TemporaryDirectory(dir=task.cache, prefix="run-") as folder:
        output, mask = Path(folder, "output.tif"), Path(folder, "mask.tif")
        with measured() as cost:
            task.runner.restore_file(source.info.path, output, mask)
        with open_scan(output) as after, open_scan(mask) as marks:
            require_equal_size(source.info, after.info)
            pieces = [_file_band(source, after, marks, band) for band in spans]
    changes = Changes.stack([changes for changes, _ in pieces])
    return Kept(changes, Plane.stack([mask for _, mask in pieces]), None, _cost(cost.seconds, cost))


def _file_band(source: Scan, after: Scan, marks: Scan, band: Band) -> tuple[Changes, Plane]:
    before, now, mark = (read_rows(s, band.first, band.last) for s in (source, after, marks))
    return Changes.between(before, now), Plane.pack(mark[..., 0] >= 128)


def _cost(seconds: float, cost: Cost) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "peak_rss": cost.peak_rss,
        "peak_gpu": cost.peak_gpu,
        "machine": machine()["processor"],
        "darkroom": __version__,
    }


def _joined_cost(costs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **costs[0],
        "seconds": sum(cost["seconds"] for cost in costs),
        "peak_rss": max(cost["peak_rss"] for cost in costs),
        "peak_gpu": max(cost["peak_gpu"] for cost in costs),
    }

"""Run every backend on every picture, several at a time, and keep what came of it."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from darkroom.compare.run.cache import Cache, digest
from darkroom.compare.run.cell import Cell, Task, printable, run_cell
from darkroom.compare.run.runners import Identity, OracleInpaint, Runner
from darkroom.errors import UsageError
from darkroom.io.atomic import writing
from darkroom.pairs.find import Pair
from darkroom.pipeline.workers import Crew

MIB = 2**20
WORKER = 450 * MIB  # libraries and a backend in a process, before it holds a picture
PER_PIXEL = 110  # bytes of planes while a band is measured
LEAST_BAND, GREATEST_BAND = 2_000_000, 16_000_000  # pixels
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a comparison is run.

    Attributes:
        cache: folder that keeps results by content.
        jobs: worker processes; 1 runs everything in this process.
        scheduler: address of a Dask scheduler whose workers take their place, or None.
        clean_frames: also give each backend the ground truths as scans.
        band_pixels: larger pictures are streamed in bands of about this many pixels; what they
            measure does not depend on it but for artefacts taller than a band's halo.
    """

    cache: Path
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    clean_frames: bool = True
    band_pixels: int = GREATEST_BAND
    scheduler: str | None = None


def share_memory(memory: int, jobs: int) -> tuple[int, int]:
    """How many workers fit into `memory` bytes, and how many pixels each may hold.

    Returns:
        (jobs, band_pixels): `jobs` or fewer.

    Raises:
        UsageError: not even one fits.
    """
    least = WORKER + LEAST_BAND * PER_PIXEL
    if memory < least:
        raise UsageError(
            f"--max-memory {memory / MIB:.0f} MiB is too little to compare",
            hint=f"give it at least {least / MIB:.0f} MiB",
        )
    if jobs > 1:  # this process needs its own
        jobs = max(1, min(jobs, (memory - WORKER // 2) // least))
    each = memory if jobs == 1 else (memory - WORKER // 2) // jobs
    return jobs, min(GREATEST_BAND, (each - WORKER) // PER_PIXEL)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All cells of a run.

    Attributes:
        pairs: the pictures.
        runners: what was compared, references first.
        settings: how.
        cells: by runner in that order, then by picture.
        digests: SHA-256 of each pair's files by picture and role.
    """

    pairs: tuple[Pair, ...]
    runners: tuple[Runner, ...]
    settings: Settings
    cells: tuple[Cell, ...]
    digests: dict[str, dict[str, str]]

    @property
    def has_truth(self) -> bool:
        """Whether ground truths are known."""
        return all(pair.truth is not None for pair in self.pairs)

    @property
    def failures(self) -> list[Cell]:
        """The cells that failed."""
        return [cell for cell in self.cells if cell.error is not None]

    def of(self, name: str) -> list[Cell]:
        """The cells of one runner that did not fail."""
        return [cell for cell in self.cells if cell.backend == name and cell.error is None]

    def task(self, runner: Runner, pair: Pair) -> Task:
        """The task a cell came from, with which its pictures are found in the cache."""
        return _task(runner, pair, self.digests[pair.name], self.settings)


Progress = Callable[[Cell, int, int], None]


def evaluate(
    pairs: Sequence[Pair],
    runners: Sequence[Runner],
    settings: Settings,
    progress: Progress | None = None,
) -> Comparison:
    """Run and measure every runner on every picture.

    The rows "identity" and, where truths are known, "oracle + inpaint" are added. A picture on
    which a runner fails is a cell with an error; the others go on. What the cache holds is not run
    again, so a run that was interrupted goes on where it stopped.

    Args:
        pairs: the pictures, as `find_pairs` gives them.
        runners: the backends; their names must differ.
        settings: how.
        progress: called in this process after each cell with it, the number done and the total.

    Raises:
        UsageError: two runners of one name, or no pictures.
        InputError: a file cannot be read at all.
        OutputError: the cache cannot be written.
    """
    if not pairs:
        raise UsageError("there is nothing to compare")
    pairs = [
        replace(pair, name=printable(pair.name), family=printable(pair.family)) for pair in pairs
    ]
    references: list[Runner] = [Identity()]
    if all(pair.truth is not None for pair in pairs):
        references.append(OracleInpaint())
    everyone = (*references, *runners)
    _require_unique([runner.name for runner in everyone])
    with writing(settings.cache):
        settings.cache.mkdir(parents=True, exist_ok=True)
    Cache(settings.cache).put_right()
    digests = {pair.name: _digests(pair) for pair in pairs}
    cells: list[Cell] = []
    for group in (references, *([runner] for runner in runners)):
        tasks = [_task(r, pair, digests[pair.name], settings) for r in group for pair in pairs]
        for cell in _run_all(tasks, settings):
            cells.append(cell)
            if progress is not None:
                progress(cell, len(cells), len(everyone) * len(pairs))
    order = {(r.name, pair.name): i for i, (r, pair) in enumerate(_product(everyone, pairs))}
    cells.sort(key=lambda cell: order[cell.backend, cell.image])
    return Comparison(tuple(pairs), everyone, settings, tuple(cells), digests)


def _product(runners: Iterable[Runner], pairs: Sequence[Pair]) -> Iterator[tuple[Runner, Pair]]:
    return ((runner, pair) for runner in runners for pair in pairs)


def _task(runner: Runner, pair: Pair, digests: dict[str, str], settings: Settings) -> Task:
    return Task(
        runner, pair, digests, settings.cache,
        settings.clean_frames, settings.band_pixels,
    )  # fmt: skip


def _require_unique(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{', '.join(twice)} would be in two rows", hint="leave one out")


def _digests(pair: Pair) -> dict[str, str]:
    paths = {"scan": pair.scan, "truth": pair.truth, "mask": pair.mask}
    return {role: digest(path) for role, path in paths.items() if path is not None}


def _run_all(tasks: Sequence[Task], settings: Settings) -> Iterator[Cell]:
    """Cells as they are done. Each call has its own processes: peaks of memory are its own."""
    if settings.scheduler is not None:
        crew = Crew(scheduler=settings.scheduler)
    else:
        crew = Crew(min(settings.jobs, len(tasks)))
    with _threads_per_process(crew.workers):
        for _, cell in crew.spread(_setup, tasks, _died):
            yield cell


def _setup() -> Callable[[Task], Cell]:
    """What runs cells in a process."""
    return run_cell


def _died(task: Task, why: str, hint: str) -> Cell:
    cell = Cell(task.runner.name, task.pair.name, task.pair.family)
    cell.error = f"its worker {why}; {hint[0].lower()}{hint[1:].rstrip('.')}"
    return cell


@contextmanager
def _threads_per_process(jobs: int) -> Iterator[None]:
    """Share the cores out: libraries read these variables when a worker starts."""
    share = str(max(1, (os.cpu_count() or 1) // jobs))
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update({name: share for name in THREAD_VARIABLES if name not in os.environ})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)

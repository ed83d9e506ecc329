"""How a scan is cut so that the run stays under its memory budget."""

import ctypes
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import UsageError
from darkroom.geometry import Grid, round_up
from darkroom.options import MachineOptions
from darkroom.pipeline.engine import Engine
from darkroom.protocols import Backend, Scaled, TileContract
from darkroom.scan import ScanInfo

SMALLEST_TILE = 64
# Bytes for what no plan counts: libraries that are loaded on the way, stacks of threads, buffers of
# writers, and what the allocator keeps. Measured: up to 55 MiB.
RESERVE = 64 << 20
# Of mallopt, <malloc.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
BAND_SHARE = 0.15  # of the free budget, for rows on their way to the file, at most
ROOM_SHARE = 0.75  # of the same, for those and tiles


@dataclass(frozen=True, slots=True)
class Plan:
    """The cut.

    Attributes:
        grid: tiles of the finding pass.
        jobs: worker threads.
        ahead: tiles of the finding pass under way at once.
        band: rows read, repaired and written at a time.
    """

    grid: Grid
    jobs: int
    ahead: int
    band: int


def free_memory(machine: MachineOptions) -> int:
    """Bytes of the budget that may still be taken, by more than what every run takes besides."""
    return machine.max_memory - current_rss() - RESERVE


def make_plan(
    info: ScanInfo,
    engine: Engine,
    machine: MachineOptions,
    rows: int | None = None,
    free: int | None = None,
) -> Plan:
    """The largest preferred tiles and the most threads that fit.

    Args:
        info: of the scan.
        engine: what looks at the tiles.
        machine: the budget, and what the user wants of tiles and threads.
        rows: how high tiles may be, halos included, so that the reader need not decode again for
            the next in the row what it had for the last; None if it is all the same.
        free: bytes of the budget that are left for tiles and bands; None for all but what the
            process has now.

    Raises:
        UsageError: the budget is too small for a single smallest tile.
    """
    free = free_memory(machine) if free is None else free
    row = info.width * info.samples * info.dtype.itemsize
    band = int(max(16, min(256, BAND_SHARE * free / (6 * row)))) if free > 0 else 0
    contract = contract_of(engine.finder or engine.parts[0], info)
    workers = min(machine.threads, contract.at_once or machine.threads)
    workers = workers if contract.parallel else 1
    side = round_up(max(SMALLEST_TILE, machine.tile or contract.tile), contract.multiple_of)
    smallest = round_up(SMALLEST_TILE, contract.multiple_of)
    if rows is not None and not machine.tile:
        fitting = rows - 2 * round_up(contract.halo, contract.multiple_of)
        fitting -= fitting % contract.multiple_of
        side = max(smallest, min(side, fitting))
    per_pixel = contract.workspace + 6 * info.samples * info.dtype.itemsize

    def cost(side: int, tiles: int) -> int:
        read = side + 2 * contract.halo
        # One row of tiles is also gathered into a band of scores.
        return per_pixel * read * read * tiles + 2 * side * info.width

    batch = contract.batch
    room = int(free * ROOM_SHARE) - 6 * row * band
    while side > smallest and cost(side, workers * batch) > room:
        side -= contract.multiple_of
    while workers > 1 and cost(side, workers * batch) > room:
        workers -= 1
    if free <= 0 or cost(side, batch) > room:
        need = current_rss() + RESERVE + int((cost(smallest, batch) + 6 * row * band) / ROOM_SHARE)
        raise UsageError(
            f"--max-memory {machine.max_memory / 2**20:.0f} MiB is too little for this backend",
            hint=f"It needs about {need / 2**20 + 1:.0f} MiB.",
        )
    grid = Grid(info.width, info.height, side, contract.halo, contract.multiple_of)
    return Plan(grid, workers, workers + 1, band)


def contract_of(backend: Backend, info: ScanInfo) -> TileContract:
    """What tiles of this scan a backend wants."""
    if isinstance(backend, Scaled):
        return backend.contract_for(info.resolution[0] if info.resolution else None)
    return backend.contract


SWITCH = 1e-3  # seconds


def tune_threads() -> None:
    """Let a thread that waits for the interpreter have it after a millisecond instead of five.

    A thread deep in OpenCV needs it for an instant between two calls; one that judges small
    candidates would keep it for as long as it may.
    """
    sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))


def tune_malloc() -> None:
    """Keep glibc from giving each thread a heap of its own, which holds on to freed memory, and

    from returning the arrays of every tile to the system, which then has to clear them again.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most it takes
        mallopt(M_TRIM_THRESHOLD, 64 << 20)


def current_rss() -> int:
    """Resident memory of this process in bytes."""
    pages = Path("/proc/self/statm")
    if pages.exists():  # `psutil` takes a tenth of a second to import
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_rss() -> int:
    """Largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage, this does not count what the parent had when it forked.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

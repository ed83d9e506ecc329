"""Many files over several processes of one machine; each file is done by one of them."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from darkroom.errors import BackendError
from darkroom.machine import processors
from darkroom.options import CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline.job import Job
from darkroom.pipeline.outcome import Outcome, one
from darkroom.pipeline.progress import Silent
from darkroom.pipeline.request import Request
from darkroom.pipeline.workbench import Workbench
from darkroom.presets import Preset
from darkroom.roll.fixed import RollMap

TRIES = 2  # of a file whose worker ends without an answer


@dataclass(frozen=True, slots=True)
class Parcel:
    """A request as it travels to other processes, which have plugins of their own."""

    options: CleanOptions
    machine: MachineOptions
    output: OutputOptions
    preset: Preset | None
    roll: RollMap | None = None

    @classmethod
    def pack(cls, request: Request, workers: int, roll: RollMap | None = None) -> "Parcel":
        """The request with a share of the memory, and of the threads unless those are given."""
        machine = request.machine
        shared = replace(
            machine,
            max_memory=machine.max_memory // workers,
            jobs=machine.jobs or max(1, processors() // workers),
            workers=1,
            scheduler=None,
        )
        return cls(request.options, shared, request.output, request.preset, roll)

    def unpack(self) -> Request:
        """The request, with the plugins installed here."""
        return Request(self.options, self.machine, self.output, self.preset)

    def bench(self) -> Workbench:
        """What is got ready here for all orders."""
        return Workbench(self.unpack(), roll=self.roll)


@dataclass(frozen=True, slots=True)
class Order:
    """A file to be done elsewhere.

    Attributes:
        source: the scan.
        target: as in `Job`.
        mask: as in `Job`.
        blank: the outcome to fill in.
    """

    source: Path
    target: Path | None
    mask: Path | None
    blank: Outcome

    @classmethod
    def of(cls, job: Job, blank: Outcome) -> "Order":
        """The order for a job."""
        return cls(job.source, job.target, job.mask, blank)

    def carry_out(self, bench: Workbench) -> Outcome:
        """Do it here."""
        job = Job(self.source, self.target, self.mask, bench.request)
        return one(job, self.blank, bench, Silent())

    def lost(self, why: str, hint: str) -> Outcome:
        """The outcome where nobody could do it."""
        error = BackendError(f"{self.source}: {why}; nothing was written", hint=hint)
        return replace(self.blank, status="failed", error=error)


def in_processes(
    orders: Sequence[Order], request: Request, workers: int, roll: RollMap | None = None
) -> Iterator[tuple[int, Outcome]]:
    """The outcomes of orders as they are done, with their numbers.

    A worker that is killed takes nothing with it: its outputs have no names yet, and its file is
    given to another, `TRIES` times in all.
    """
    count = min(workers, len(orders))
    crew = [_Worker(Parcel.pack(request, workers, roll)) for _ in range(count)]
    waiting, tries = deque(range(len(orders))), [0] * len(orders)
    open_orders = len(orders)
    try:
        while open_orders:
            for worker in crew:
                if worker.holds is None and waiting:
                    worker.give(waiting[0], orders[waiting[0]])
                    tries[waiting.popleft()] += 1
            for worker in _ready(crew):
                number, outcome = worker.take()
                if outcome is None:
                    crew[crew.index(worker)] = _Worker(worker.parcel)
                    if number is None:
                        continue
                    if tries[number] < TRIES:
                        waiting.appendleft(number)
                        continue
                    outcome = orders[number].lost(
                        "the worker that cleaned it ended without an answer, twice",
                        "It may have been out of memory; try fewer --workers.",
                    )
                assert number is not None
                open_orders -= 1
                yield number, outcome
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """A process that does one order at a time.

    Args:
        parcel: the request.
    """

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self.holds: int | None = None
        context = multiprocessing.get_context("spawn")  # threads of this process stay here
        self.connection, other = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(other, parcel), daemon=True
        )
        self.process.start()
        other.close()

    def give(self, number: int, order: Order) -> None:
        """Hand it an order."""
        self.holds = number
        with suppress(OSError):  # it has ended; `take` will tell
            self.connection.send(order)

    def take(self) -> tuple[int | None, Outcome | None]:
        """What it held and the outcome, or None if it ended before."""
        held, self.holds = self.holds, None
        try:
            if self.connection.poll():
                outcome: Outcome = self.connection.recv()
                return held, outcome
        except (EOFError, OSError):
            pass
        self.end()
        return held, None

    def end(self) -> None:
        """Stop the process."""
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _ready(crew: list[_Worker]) -> list[_Worker]:
    """The workers that have answered or ended."""
    doors = {worker.connection: worker for worker in crew if worker.holds is not None}
    ends = {worker.process.sentinel: worker for worker in crew if worker.holds is not None}
    ready = wait([*doors, *ends])
    found = [doors[each] for each in ready if isinstance(each, Connection)]
    found += [ends[each] for each in ready if isinstance(each, int)]
    return list(dict.fromkeys(found))


def _serve(connection: Connection, parcel: Parcel) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that gives orders decides
    bench = parcel.bench()
    with suppress(EOFError, OSError):
        while True:
            order: Order = connection.recv()
            connection.send(order.carry_out(bench))

"""Work shared out among several processes of this machine, or among the workers of a cluster.

A piece of work is an order; a setup makes what carries orders out, once in each process. Both
travel by pickle, so they are plain values and functions of modules.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from darkroom.errors import UsageError
from darkroom.processes import begin_worker

TRIES = 2  # of an order whose worker ends without an answer
KILLED = "ended without an answer, twice", "It may have been out of memory; try fewer --workers."

O = TypeVar("O")  # noqa: E741  # an order
R = TypeVar("R")  # what comes of it
Setup = Callable[[], Callable[[O], R]]
Lost = Callable[[O, str, str], R]  # the result where nobody could do it: order, why, hint


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work.

    Attributes:
        workers: processes of this machine; with 1, this one.
        scheduler: address of a Dask scheduler whose workers take their place, or None.
    """

    workers: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.scheduler is not None and self.workers > 1:
            raise UsageError("--workers and --scheduler exclude each other")

    @property
    def alone(self) -> bool:
        """Whether this process does everything."""
        return self.workers == 1 and self.scheduler is None

    def size(self) -> int:
        """How many there are, for what is shared out among them.

        Raises:
            UsageError, BackendError: as for `darkroom.pipeline.cluster.cluster_size`.
        """
        if self.scheduler is None:
            return self.workers
        from darkroom.pipeline.cluster import cluster_size

        return cluster_size(self.scheduler)

    def spread(
        self, setup: Setup[O, R], orders: Sequence[O], lost: Lost[O, R]
    ) -> Iterator[tuple[int, R]]:
        """The results of orders as they are done, with their numbers.

        Args:
            setup: makes what carries orders out.
            orders: what is to be done.
            lost: gives the result of an order whose workers ended without an answer.

        Raises:
            UsageError, BackendError: as for `darkroom.pipeline.cluster.on_cluster`.
        """
        if self.scheduler is not None:
            from darkroom.pipeline.cluster import on_cluster

            yield from on_cluster(setup, orders, lost, self.scheduler)
        elif self.alone:
            yield from enumerate(map(setup(), orders))
        else:
            yield from in_processes(setup, orders, lost, self.workers)


ALONE = Crew()


def in_processes(
    setup: Setup[O, R], orders: Sequence[O], lost: Lost[O, R], workers: int
) -> Iterator[tuple[int, R]]:
    """The results of orders as they are done, with their numbers.

    A worker that is killed takes nothing with it: its order is given to another, `TRIES` times in
    all. Arguments as for `Crew.spread`.
    """
    crew = [_Worker(setup) for _ in range(min(workers, len(orders)))]
    waiting, tries = deque(range(len(orders))), [0] * len(orders)
    open_orders = len(orders)
    try:
        while open_orders:
            for worker in crew:
                if worker.holds is None and waiting:
                    worker.give(waiting[0], orders[waiting[0]])
                    tries[waiting.popleft()] += 1
            for worker in _ready(crew):
                number, answer = worker.take()
                if answer is None:
                    crew[crew.index(worker)] = _Worker(setup)
                    if number is None:
                        continue
                    if tries[number] < TRIES:
                        waiting.appendleft(number)
                        continue
                    answer = (lost(orders[number], *KILLED),)
                assert number is not None
                open_orders -= 1
                yield number, answer[0]
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """A process that does one order at a time.

    Args:
        setup: makes what carries orders out.
    """

    def __init__(self, setup: Callable[[], Callable[[Any], Any]]) -> None:
        self.holds: int | None = None
        context = multiprocessing.get_context("spawn")  # threads of this process stay here
        self.connection, other = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(other, setup), daemon=True
        )
        self.process.start()
        other.close()

    def give(self, number: int, order: Any) -> None:
        """Hand it an order."""
        self.holds = number
        with suppress(OSError):  # it has ended; `take` will tell
            self.connection.send(order)

    def take(self) -> tuple[int | None, tuple[Any] | None]:
        """What it held and the result in a tuple, or None if it ended before."""
        held, self.holds = self.holds, None
        try:
            if self.connection.poll():
                return held, (self.connection.recv(),)
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


def _serve(connection: Connection, setup: Callable[[], Callable[[Any], Any]]) -> None:
    """The life of a worker."""
    begin_worker()
    carry_out = setup()
    with suppress(EOFError, OSError):
        while True:
            connection.send(carry_out(connection.recv()))

"""How a long run tells its caller how far it is, and work spread over threads in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Protocol, TypeVar

# Held for work on crops of a few thousand pixels: threads that do such work at the same time only
# hand the interpreter back and forth, which takes longer than one after the other.
SMALL_WORK = Lock()

T = TypeVar("T")
R = TypeVar("R")


class Progress(Protocol):
    """A listener to a run."""

    def stage(self, name: str, total_pixels: int) -> None:
        """A stage begins that will pass over so many pixels."""

    def advance(self, pixels: int) -> None:
        """So many more pixels of the stage are done."""


class Silent:
    """A listener that does nothing."""

    def stage(self, name: str, total_pixels: int) -> None:
        """Ignored."""

    def advance(self, pixels: int) -> None:
        """Ignored."""


def ordered_map(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], ahead: int
) -> Iterator[R]:
    """Results of `work` in the order of `items`, with at most `ahead` of them under way.

    `Executor.map` would take all items at once and hold every result.
    """
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()

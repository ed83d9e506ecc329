"""Worker processes that end with the process that started them, whatever ends it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait


@contextmanager
def process_pool(
    workers: int, begin: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes; an interrupt or an error ends them at once.

    `ProcessPoolExecutor` waits for what runs when it is left, and its workers outlive a parent
    that is killed.

    Args:
        workers: how many.
        begin: called in each before its first task.
    """
    # A forked torch may wait for threads that are not there.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _begin, (begin,))
    try:
        yield pool
    except BaseException:
        running = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def begin_worker() -> None:
    """What a worker does first: it leaves Ctrl-C to its parent, and ends when that does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the parent too, which decides
    threading.Thread(target=_follow, daemon=True).start()


def _begin(then: Callable[[], None] | None) -> None:
    begin_worker()
    if then is not None:
        then()


def _follow() -> None:
    """End with the parent, however it ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

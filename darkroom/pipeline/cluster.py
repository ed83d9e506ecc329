"""Work shared out among the workers of a Dask distributed cluster; each order is a task.

The workers must see the files under the same paths and have the same darkroom installed.
"""

import hashlib
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from darkroom.errors import BackendError, UsageError
from darkroom.pipeline.workers import Lost, O, R, Setup

TIMEOUT = "15s"
_ONE_AT_A_TIME = Lock()  # within a worker: memory and threads are those of one file
_made: dict[str, Callable[[Any], Any]] = {}
HINT = "Every worker needs the same darkroom, and the files under one path."


def cluster_size(address: str) -> int:
    """How many workers a scheduler has.

    Raises:
        UsageError: `distributed` is not installed.
        BackendError: the scheduler cannot be reached or has no workers.
    """
    with _client(address) as client:
        return _workers(client, address)


def on_cluster(
    setup: Setup[O, R], orders: Sequence[O], lost: Lost[O, R], address: str
) -> Iterator[tuple[int, R]]:
    """The results of orders as they are done, with their numbers.

    A task whose worker is killed is given to another by the scheduler.

    Args:
        setup: makes what carries orders out, once in each worker.
        orders: what is to be done.
        lost: gives the result of an order that nobody could do.
        address: of the scheduler, such as "tcp://host:8786".

    Raises:
        UsageError: `distributed` is not installed.
        BackendError: the scheduler cannot be reached, has no workers, or went away.
    """
    with _client(address) as client:
        from distributed import as_completed

        _workers(client, address)
        packed = pickle.dumps(setup)
        key = hashlib.sha256(packed).hexdigest()
        # Not pure: the scheduler must never answer with what an earlier run gave. The setup goes
        # with each task, so that it is not lost with the worker that has it.
        tasks = {
            client.submit(carry_out, order, key, packed, str(Path.cwd()), pure=False): number
            for number, order in enumerate(orders)
        }
        for task in as_completed(tasks):
            number = tasks[task]
            if task.status == "finished":
                yield number, task.result()
                continue
            if task.status in ("cancelled", "lost") or client.status != "running":
                raise BackendError(
                    f"the scheduler at {address} went away; what was not reported yet may be "
                    "missing",
                    hint="Run the same command again, clean and detect with --skip-existing.",
                )
            error = task.exception()
            why = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
            yield number, lost(orders[number], why, HINT)


def carry_out(order: Any, key: str, packed: bytes, folder: str) -> Any:
    """The task: one order, by this worker, in the folder that its paths are seen from."""
    with _ONE_AT_A_TIME:
        os.chdir(folder)
        if key not in _made:
            _made.clear()
            _made[key] = pickle.loads(packed)()  # what our own client sent
        return _made[key](order)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask distributed",
            hint='Install it: pip install "darkroom-film[dask]".',
        ) from error
    # What goes wrong is said in our own words; theirs are tracebacks.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).disabled = True
    try:
        client = Client(address, timeout=TIMEOUT)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise BackendError(
            f"no scheduler answers at {address}", hint="`dask scheduler` prints its address."
        ) from error
    with client:
        yield client


def _workers(client: Any, address: str) -> int:
    count = len(client.scheduler_info(n_workers=-1)["workers"])
    if not count:
        raise BackendError(
            f"the scheduler at {address} has no workers",
            hint=f"Start some: dask worker {address} --nthreads 1",
        )
    return count

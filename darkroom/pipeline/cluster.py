"""Many files over the workers of a Dask distributed cluster; each file is a task.

The workers must see the files under the same paths and have the same darkroom installed.
"""

from collections.abc import Iterator, Sequence
from threading import Lock

from darkroom.errors import BackendError, UsageError
from darkroom.pipeline.outcome import Outcome
from darkroom.pipeline.request import Request
from darkroom.pipeline.workbench import Workbench
from darkroom.pipeline.workers import Order, Parcel
from darkroom.roll.fixed import RollMap

TIMEOUT = "15s"
_ONE_AT_A_TIME = Lock()  # within a worker: memory and threads are those of one file
_benches: dict[str, Workbench] = {}


def on_cluster(
    orders: Sequence[Order], request: Request, address: str, roll: RollMap | None = None
) -> Iterator[tuple[int, Outcome]]:
    """The outcomes of orders as they are done, with their numbers.

    A task whose worker is killed is given to another by the scheduler.

    Args:
        orders: files to do.
        request: what is asked for; each worker gets an equal share of its memory.
        address: of the scheduler, such as "tcp://host:8786".
        roll: where dirt stays on the frames, if that is known.

    Raises:
        UsageError: `distributed` is not installed.
        BackendError: the scheduler cannot be reached, has no workers, or went away.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask distributed",
            hint='Install it: pip install "darkroom-film[dask]".',
        ) from error
    try:
        client = Client(address, timeout=TIMEOUT)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise BackendError(
            f"no scheduler answers at {address}", hint="`dask scheduler` prints its address."
        ) from error
    with client:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise BackendError(
                f"the scheduler at {address} has no workers",
                hint=f"Start some: dask worker {address} --nthreads 1",
            )
        parcel = Parcel.pack(request, workers, roll)
        # Not pure: the scheduler must never answer with what an earlier run of the file gave.
        tasks = {
            client.submit(carry_out, order, parcel, pure=False): number
            for number, order in enumerate(orders)
        }
        for task in as_completed(tasks):
            number = tasks[task]
            yield number, _outcome(task, orders[number], client.status, address)


def _outcome(task, order: Order, status: str, address: str) -> Outcome:  # type: ignore[no-untyped-def]
    """What became of a task."""
    if task.status == "finished":
        outcome: Outcome = task.result()
        return outcome
    if task.status in ("cancelled", "lost") or status != "running":
        raise BackendError(
            f"the scheduler at {address} went away; files not reported yet may be missing",
            hint="Run the same command again with --skip-existing.",
        )
    error = task.exception()
    why = f"its worker failed: {type(error).__name__}: {' '.join(str(error).split())}"
    return order.lost(why, "Every worker needs the same darkroom, and the files under one path.")


def carry_out(order: Order, parcel: Parcel) -> Outcome:
    """The task: one file, by this worker."""
    with _ONE_AT_A_TIME:
        key = repr((parcel.options, parcel.machine, parcel.output, parcel.preset))
        key += parcel.roll.digest if parcel.roll is not None else ""
        if key not in _benches:
            _benches.clear()
            _benches[key] = parcel.bench()
        return order.carry_out(_benches[key])

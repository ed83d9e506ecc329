"""Files shared out among real processes, and among those of a real Dask cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from darkroom.errors import BackendError
from darkroom.options import CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline import workers
from darkroom.pipeline.batch import clean_batch
from darkroom.pipeline.inputs import find_scans
from darkroom.pipeline.request import Request

OPTIONS = CleanOptions(backend="classical")


class Told:
    """A reporter that keeps what it is told, and may act when a file ends."""

    def __init__(self):
        self.began, self.ended = [], []

    def begin(self, source):
        self.began.append(source.name)

    def end(self, outcome):
        self.ended.append(outcome.source.name)

    def stage(self, name, total_pixels): ...

    def advance(self, pixels): ...

    def message(self, text): ...


@pytest.fixture
def roll(tmp_path):
    folder = tmp_path / "roll"
    folder.mkdir()
    for i in range(4):
        rng = np.random.default_rng(i)
        image = rng.normal(0.4, 0.01, (300, 400, 3))
        for _ in range(12):
            y, x = rng.integers(10, 280), rng.integers(10, 380)
            image[y : y + 3, x : x + 4] = 0.95
        pixels = np.rint(image.clip(0, 1) * 65535).astype(np.uint16)
        tifffile.imwrite(folder / f"frame{i}.tif", pixels, photometric="rgb", metadata=None)
    (folder / "broken.tif").write_bytes(b"II*\0nothing")
    return folder


def clean(roll, out, **machine):
    request = Request(OPTIONS, MachineOptions(**machine), OutputOptions())
    told = Told()
    outcomes = clean_batch(find_scans([roll]), str(out), request, reporter=told)
    return outcomes, told


def results(out):
    """Files and receipts, less what no two runs share."""
    found = {path.name: path.read_bytes() for path in out.glob("*.tif")}
    for path in out.glob("*.json"):
        receipt = json.loads(path.read_text())
        for key in ("seconds", "peak_memory", "megapixels_per_second"):
            receipt.pop(key, None)
        found[path.name] = json.dumps(receipt).replace(out.name, "OUT")
    return found


def test_processes_give_what_one_gives_and_a_bad_file_stops_nothing(roll, tmp_path):
    alone, _ = clean(roll, tmp_path / "alone")
    many, told = clean(roll, tmp_path / "many", workers=2)
    assert [o.status for o in many] == [o.status for o in alone]
    assert [o.status for o in many].count("failed") == 1
    assert told.began == told.ended == [o.source.name for o in alone]
    assert len(results(tmp_path / "alone")) == 8
    assert results(tmp_path / "many") == results(tmp_path / "alone")


def killing(monkeypatch, chosen, times):
    """Kill the worker that is given the chosen file, just after, so many times."""
    give, killed = workers._Worker.give, []

    def give_and_kill(self, number, order):
        give(self, number, order)
        if order.source.name == chosen and len(killed) < times:
            os.kill(self.process.pid, signal.SIGKILL)
            killed.append(self.process.pid)

    monkeypatch.setattr(workers._Worker, "give", give_and_kill)
    return killed


def test_a_worker_that_is_killed_loses_nothing(roll, tmp_path, monkeypatch):
    killed = killing(monkeypatch, "frame1.tif", 1)
    outcomes, _ = clean(roll, tmp_path / "spread", workers=2)
    assert len(killed) == 1
    assert [o.status for o in outcomes].count("done") == 4
    clean(roll, tmp_path / "alone")
    assert results(tmp_path / "spread") == results(tmp_path / "alone")


def test_a_file_that_ends_its_workers_fails_alone(roll, tmp_path, monkeypatch):
    killed = killing(monkeypatch, "frame1.tif", 99)
    outcomes, _ = clean(roll, tmp_path / "spread", workers=2)
    assert len(killed) == workers.TRIES
    failed = [o for o in outcomes if o.status == "failed"]
    assert [o.source.name for o in failed] == ["broken.tif", "frame1.tif"]
    assert "ended without an answer" in str(failed[1].error)
    assert not (tmp_path / "spread" / "frame1.tif").exists()


def test_a_cluster_gives_what_one_process_gives_also_when_a_worker_is_killed(roll, tmp_path):
    distributed = pytest.importorskip("distributed")
    clean(roll, tmp_path / "alone")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        outcomes, _ = clean(roll, tmp_path / "spread", scheduler=cluster.scheduler_address)
        assert [o.status for o in outcomes].count("done") == 4
        assert results(tmp_path / "spread") == results(tmp_path / "alone")
        victim = next(iter(cluster.workers.values())).process.process.pid
        timer = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
        timer.start()
        outcomes, _ = clean(roll, tmp_path / "struck", scheduler=cluster.scheduler_address)
        timer.join()
        assert [o.status for o in outcomes].count("done") == 4
        assert results(tmp_path / "struck") == results(tmp_path / "alone")


def test_no_scheduler_is_one_clear_line(roll, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("darkroom.pipeline.cluster.TIMEOUT", "2s")
    with pytest.raises(BackendError, match="no scheduler answers at"):
        clean(roll, tmp_path / "spread", scheduler="tcp://127.0.0.1:9")
    assert not list(Path(tmp_path).glob("spread/*.tif"))


@pytest.fixture
def far(tmp_path):
    """The address of a scheduler in a process of its own with a worker, and that process."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    dask, quiet = [sys.executable, "-m", "dask"], {"stdout": -3, "stderr": -3, "cwd": tmp_path}
    port = address.rpartition(":")[2]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"], **quiet
    )
    workers_of_it = subprocess.Popen(
        [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "20"],
        **quiet,
    )
    try:
        wait_for_worker(address)
        yield address, scheduler
    finally:
        for process in (workers_of_it, scheduler):
            process.kill()
            process.wait()


def wait_for_worker(address):
    from distributed import Client

    with Client(address, timeout="60s") as client:
        client.wait_for_workers(1, timeout=60)


def test_a_scheduler_that_goes_away_is_one_clear_line(roll, tmp_path, far, capfd):
    address, scheduler = far

    class Killing(Told):
        def end(self, outcome):
            super().end(outcome)
            if outcome.source.name == "frame0.tif":
                scheduler.kill()
                scheduler.wait()

    request = Request(OPTIONS, MachineOptions(scheduler=address), OutputOptions())
    told = Killing()
    items = find_scans([roll] + [roll / f"frame{i}.tif" for i in range(4)])
    with pytest.raises(BackendError, match="went away") as caught:
        clean_batch(items, str(tmp_path / "out"), request, reporter=told)
    assert "--skip-existing" in caught.value.hint
    assert capfd.readouterr().err == ""
    assert "frame0.tif" in told.ended
    clean(roll, tmp_path / "alone")
    for path in (tmp_path / "out").glob("*.tif"):  # what has a name is complete
        assert path.read_bytes() == (tmp_path / "alone" / path.name).read_bytes()


def test_a_worker_without_the_weights_says_so_of_its_files(roll, tmp_path, far):
    address, _ = far
    weights = str(tmp_path / "here only.safetensors")  # as the worker sees it: not there
    options = CleanOptions(backend="unet", options={"unet": {"weights": weights}})
    request = Request(options, MachineOptions(scheduler=address), OutputOptions())
    outcomes = clean_batch(find_scans([roll]), str(tmp_path / "out"), request, reporter=Told())
    assert [o.status for o in outcomes] == ["failed"] * 5
    for outcome in outcomes[1:]:
        assert "here only.safetensors" in str(outcome.error)
        assert outcome.error.exit_code in (3, 4)
    assert not list(tmp_path.glob("out/*.tif"))


def test_memory_is_shared_out():
    from darkroom.pipeline.orders import Parcel

    request = Request(OPTIONS, MachineOptions(max_memory=3 << 30))
    parcel = Parcel.pack(request, 3)
    assert parcel.machine.max_memory == 1 << 30
    assert (parcel.machine.workers, parcel.machine.scheduler) == (1, None)


SLEEPING = """
import functools, time
from darkroom.pipeline.workers import in_processes

list(in_processes(functools.partial(functools.partial, time.sleep), [60, 60], print, 2))
"""


def test_workers_end_with_the_process_that_gave_them_work():
    started = subprocess.Popen([sys.executable, "-c", SLEEPING])
    children = psutil.Process(started.pid).children
    wait_until(lambda: len(workers_of(children())) == 2)
    own = workers_of(children())
    started.kill()
    started.wait()
    _, alive = psutil.wait_procs(own, timeout=20)
    assert not alive


def workers_of(processes):
    return [p for p in processes if any("spawn_main" in part for part in p.cmdline())]


def wait_until(there, seconds=60):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.1)

"""Data sets and comparisons made by many processes, or a cluster, are those that one makes."""

import json
import os
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from darkroom.cli.main import main
from darkroom.pipeline import workers


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Pairs, clean photographs, and donors, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    for part in ("scan", "gt", "photos", "donors/train/scan", "donors/train/gt"):
        (tmp_path / part).mkdir(parents=True)
    for i in range(4):
        truth = rng.integers(60, 200, (96, 128), np.uint8)
        scan = truth.copy()
        scan[30 + i : 34 + i, 40:50] = 250
        Image.fromarray(truth).save(f"gt/p{i}.png")
        Image.fromarray(scan).save(f"scan/p{i}.png")
        Image.fromarray(np.dstack([truth] * 3)).save(f"photos/p{i}.png", dpi=(3000, 3000))
        Image.fromarray(truth).save(f"donors/train/gt/p{i}.png")
        Image.fromarray(scan).save(f"donors/train/scan/p{i}.png")
    (tmp_path / "scan" / "p9.png").write_bytes(b"no picture")
    (tmp_path / "gt" / "p9.png").write_bytes(b"no picture")
    return tmp_path


BUILD = ("dataset", "build", "scan", "gt", "--size", "32", "-q")
SYNTH = ("dataset", "synth", "photos", "--size", "32", "-q")
MOVED = (*SYNTH, "--transplant", "donors")
COMPARE = ("compare", "scan", "gt", "-b", "classical", "-q")


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def same_set(command, folders, *how):
    """Make a set twice, alone and by others; compare all bytes."""
    status = main([*command, "-o", "alone"])
    assert main([*command, "-o", "many", *how]) == status
    alone, many = (files(folders / name) for name in ("alone", "many"))
    assert len(alone) > 12
    assert alone == many
    return status


@pytest.mark.parametrize(("command", "status"), [(BUILD, 1), (SYNTH, 0), (MOVED, 0)])
def test_a_data_set_by_two_processes_is_the_same(folders, capfd, command, status):
    assert same_set(command, folders, "--workers", "2") == status
    assert capfd.readouterr().err.count("p9.png") == 2 * status


def figures(folder):
    """What a comparison measured, without times and places."""
    found = json.loads((folder / "metrics.json").read_text())
    timed = ("seconds", "megapixels_per_second", "peak_rss", "peak_gpu", "throughput", "speed")
    return [
        (row["name"], {k: v for k, v in row["figures"].items() if k not in timed})
        for row in found["backends"]
    ]


def test_a_comparison_by_two_processes_is_the_same(folders):
    for name in ("p9.png",):
        (folders / "scan" / name).unlink()
        (folders / "gt" / name).unlink()
    assert main([*COMPARE, "--workers", "1", "-o", "alone"]) == 0
    assert main([*COMPARE, "--workers", "2", "-o", "many"]) == 0
    one, two = figures(folders / "alone"), figures(folders / "many")
    assert [name for name, _ in one] == [name for name, _ in two]
    for (_, a), (_, b) in zip(one, two, strict=True):
        assert a["sse_ratio"] == b["sse_ratio"] and a["harm"] == b["harm"]


def test_a_worker_that_is_killed_loses_no_photograph(folders, monkeypatch):
    give, killed = workers._Worker.give, []

    def give_and_kill(self, number, order):
        give(self, number, order)
        if order.name == "p1" and not killed:
            os.kill(self.process.pid, signal.SIGKILL)
            killed.append(order.name)

    monkeypatch.setattr(workers._Worker, "give", give_and_kill)
    same_set(SYNTH, folders, "--workers", "2")
    assert killed == ["p1"]


def test_a_cluster_makes_the_same(folders):
    distributed = pytest.importorskip("distributed")
    (folders / "scan" / "p9.png").unlink()
    (folders / "gt" / "p9.png").unlink()
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        address = ("--scheduler", cluster.scheduler_address)
        victim = next(iter(cluster.workers.values())).process.process.pid
        timer = threading.Timer(0.2, os.kill, (victim, signal.SIGKILL))
        timer.start()
        same_set(BUILD, folders, *address)
        timer.join()
        assert main([*SYNTH, "-o", "synth", *address]) == 0
        assert main([*SYNTH, "-o", "synth1"]) == 0
        assert files(folders / "synth") == files(folders / "synth1")
        assert main([*COMPARE, "-o", "far", *address]) == 0
    assert main([*COMPARE, "--workers", "1", "-o", "near"]) == 0
    for (name, far), (other, near) in zip(
        figures(folders / "far"), figures(folders / "near"), strict=True
    ):
        assert name == other and far["sse_ratio"] == near["sse_ratio"]

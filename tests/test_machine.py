"""What a process may use of the machine, in containers of both kinds."""

import pytest

from darkroom import machine


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes files of control groups, and the line that says which group we are in."""

    def make(membership, **files):
        root = tmp_path / "cgroup"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "self").write_text(membership)
        monkeypatch.setattr(machine, "GROUPS", root)
        monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "self")
        monkeypatch.setattr(machine, "_physical", lambda: 16 * 2**30)
        monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    return make


def test_version_two(groups):
    groups("0::/a/b\n", **{"a/b/memory.max": "max\n", "a/memory.max": f"{500 * 2**20}\n"})
    groups("0::/a/b\n", **{"a/b/cpu.max": "150000 100000\n", "cpu.max": "max 100000\n"})
    assert machine.memory_limit() == 500 * 2**20
    assert machine.default_memory() == 400 * 2**20
    assert machine.processors() == 2


def test_version_one_and_a_path_that_the_container_does_not_see(groups):
    groups(
        "5:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/\n",
        **{
            "memory/memory.limit_in_bytes": f"{2**30}\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert machine.default_memory() == int(0.8 * 2**30)
    assert machine.processors() == 3


def test_without_limits(groups):
    groups("0::/\n", **{"memory.max": "max\n"})
    assert machine.default_memory() == 2 * 2**30
    assert machine.processors() == 8
    groups("nonsense", **{"memory.max": "nonsense\n"})
    assert machine.default_memory() == 2 * 2**30

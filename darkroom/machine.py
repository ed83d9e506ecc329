"""How much of the machine this process may use.

A container sees all processors and all memory of its host, but the kernel ends what takes more than
its control group allows; so the groups are asked: version 2 (`memory.max`, `cpu.max`) and version 1
(`memory.limit_in_bytes`, `cpu.cfs_quota_us`), as in the Linux kernel's
Documentation/admin-guide/cgroup-v2.rst and cgroup-v1.
"""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
USUAL_MEMORY = 2 * 2**30
MEMORY_SHARE = 0.8  # of what there is; the rest is for the system and for pages of files


def processors() -> int:
    """Processors this process may use at the same time: by affinity, and by quota of its group."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        count = os.cpu_count() or 1
    return max(1, min(count, *(_quotas() or [count])))


def memory_limit() -> int | None:
    """Bytes of memory that the process may have, or None if nothing says so."""
    limits = [
        *_numbers("memory", "memory.max", "memory.limit_in_bytes"),
        *([_physical()] if _physical() else []),
    ]
    return min(limits, default=None)


def default_memory() -> int:
    """The memory a run takes unless it is told: 2 GiB, or less where less may be had."""
    limit = memory_limit()
    return USUAL_MEMORY if limit is None else min(USUAL_MEMORY, int(limit * MEMORY_SHARE))


@cache
def accelerators() -> frozenset[str]:
    """Kinds of accelerators that this machine may have: of "cuda" and "mps".

    CUDA's driver is asked how many devices it sees, since a library that computes on them takes
    seconds to load.
    """
    if sys.platform == "darwin":
        return frozenset({"mps"} if platform.machine() == "arm64" else ())
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(name)
        found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return frozenset()
    return frozenset({"cuda"} if found and count.value else ())


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _quotas() -> list[int]:
    """Whole processors that each group above allows, rounded up."""
    found = []
    for folder in _folders("cpu"):
        try:
            both = folder / "cpu.max"
            if both.is_file():
                quota, period = both.read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
            if quota != "max" and int(quota) > 0:
                found.append(-(-int(quota) // int(period)))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return found


def _numbers(controller: str, *names: str) -> Iterator[int]:
    """What the files of these names hold in the group and those above it."""
    for folder in _folders(controller):
        for name in names:
            try:
                value = int((folder / name).read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue
            if 0 < value < 1 << 60:  # version 1 writes a huge number for none
                yield value


def _folders(controller: str) -> Iterator[Path]:
    """The folders of this process's group and of those above it."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        root = GROUPS / controllers if controllers else GROUPS
        if controllers and not root.is_dir():
            root = GROUPS / controller
        folder = root / path.lstrip("/")
        # Within a container the path may be the host's; what it may see is the root then.
        yield from (f for f in (folder, *folder.parents) if f == root or root in f.parents)

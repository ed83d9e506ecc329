"""What a restoration costs: time, resident memory, memory of the accelerator."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SELF = Path("/proc/self")


@dataclass
class Cost:
    """Filled in when the `measured` block ends.

    Attributes:
        seconds: wall clock.
        peak_rss: greatest resident memory of this process meanwhile, bytes, libraries included.
        peak_gpu: greatest memory allocated on a CUDA device meanwhile, bytes; 0 without one.
    """

    seconds: float = 0.0
    peak_rss: int = 0
    peak_gpu: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block. Where the system cannot reset its peak, the process's own peak is given."""
    cost = Cost()
    _reset_peak_rss()
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - start
    cost.peak_rss = _peak_rss()
    cuda = _cuda()
    cost.peak_gpu = int(cuda.max_memory_allocated()) if cuda is not None else 0


def machine() -> dict[str, str | int]:
    """The machine figures of cost belong to."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _reset_peak_rss() -> None:
    try:
        (SELF / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _peak_rss() -> int:
    try:
        status = (SELF / "status").read_text(encoding="ascii")
    except OSError:
        return _peak_of_process()
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return _peak_of_process()


def _peak_of_process() -> int:
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cuda() -> Any:
    """torch.cuda if a backend has loaded torch and there is a device."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return torch.cuda

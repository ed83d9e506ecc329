"""Where the processor time of one `darkroom clean` goes.

    python benchmarks/clean_stages.py SCAN OUTPUT [BACKEND] [MAX_MEMORY]

Times the calls of each stage by the clock of the thread that makes them, what they call in other
stages left out. What ONNX Runtime and OpenCV compute on threads of their own, and all that belongs
to no stage, is the rest. Prints seconds, and seconds a megapixel.
"""

import importlib
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

STAGES = {
    "read": ["io.tiff.read:TiffScan._read"],
    "survey": ["pipeline.run:survey"],
    "cut and encode": ["pipeline.cutting:Cutter.tile"],
    "front end": ["backends.unet.network:front_end"],
    "network": ["backends.unet.network:OnnxNetwork.look", "backends.segnet.model:SegNet.features"],
    "fill": ["backends.unet.backend:UNetRestorer._filled"],
    "restore, other": ["backends.unet.backend:UNetRestorer.restore"],
    "detect": ["backends.classical.detector:ClassicalDetector.detect"],
    "components": ["pipeline.detect:components", "pipeline.run:components"],
    "judge": [
        "backends.unet.backend:UNetRestorer.judge",
        "backends.classical.detector:ClassicalDetector.judge",
    ],
    "refine": ["backends.classical.detector:ClassicalDetector.refine"],
    "examine, other": ["pipeline.examine:Examiner.examine"],
    "keep fills": ["pipeline.detect:Find._keep_fill"],
    "find, other": ["pipeline.detect:Find._score", "pipeline.detect:Find.run"],
    "inpaint": ["pipeline.repair:Repair._filled"],
    "grain": ["pipeline.repair:match_grain"],
    "repair, other": ["pipeline.repair:Repair._band"],
    "write": ["pipeline.output:ResultFile.write"],
    "hash": ["pipeline.clean:fingerprint"],
    "read back": ["pipeline.written:_read_back"],
}


class Clock:
    """Sums the time of stages by thread, each without those within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._lock, self._local = threading.Lock(), threading.local()

    def wrap(self, stage: str, work):  # type: ignore[no-untyped-def]
        """`work`, timed as part of a stage; what a generator does counts too."""

        def timed(*args, **kwargs):  # type: ignore[no-untyped-def]
            answer = self._call(stage, work, args, kwargs)
            return self._steps(stage, answer) if hasattr(answer, "__next__") else answer

        return timed

    def _steps(self, stage: str, steps):  # type: ignore[no-untyped-def]
        end = object()
        while (item := self._call(stage, next, (steps, end), {})) is not end:
            yield item

    def _call(self, stage: str, work, args, kwargs):  # type: ignore[no-untyped-def]
        above = getattr(self._local, "inner", 0.0)
        self._local.inner, began = 0.0, time.thread_time()
        try:
            return work(*args, **kwargs)
        finally:
            took = time.thread_time() - began
            with self._lock:
                self.seconds[stage] += took - self._local.inner
                self.calls[stage] += 1
            self._local.inner = above + took


def install(clock: Clock) -> None:
    """Time every stage that this version of darkroom has."""
    for stage, places in STAGES.items():
        for place in places:
            name, _, path = place.partition(":")
            package, _, rest = name.partition(".")
            home = f"darkroom_{package}.{rest}" if package == "backends" else f"darkroom.{name}"
            try:
                owner = importlib.import_module(home)
                *within, last = path.split(".")
                for part in within:
                    owner = getattr(owner, part)
                setattr(owner, last, clock.wrap(stage, getattr(owner, last)))
            except (ImportError, AttributeError):
                print(f"no stage {place}", file=sys.stderr)


def main() -> None:
    """Clean one scan and print the table."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    backend, memory = (sys.argv[3:] + ["unet", "2GiB"][len(sys.argv) - 3 :])[:2]
    from darkroom.io import open_scan
    from darkroom.options import CleanOptions, MachineOptions, OutputOptions, parse_size
    from darkroom.pipeline.clean import clean_file
    from darkroom.pipeline.request import Request

    with open_scan(source) as scan:
        megapixels = scan.info.megapixels
    clock = Clock()
    install(clock)
    request = Request(
        CleanOptions(backend=backend, max_coverage=1.0),
        MachineOptions(max_memory=parse_size(memory)),
        OutputOptions(overwrite=True),
    )
    before, began = os.times(), time.perf_counter()
    clean_file(source, target, request)
    wall, after = time.perf_counter() - began, os.times()
    user, system = after.user - before.user, after.system - before.system
    print(
        f"{megapixels:.1f} MP in {wall:.1f} s; {user:.1f} s of processors, {system:.1f} s of system"
    )
    rest = user + system - sum(clock.seconds.values())
    for stage, seconds in [*clock.seconds.items(), ("other threads and the rest", rest)]:
        share = seconds / megapixels
        print(f"  {stage:28} {seconds:7.2f} s {share:7.3f} s/MP {clock.calls[stage]:7} calls")


if __name__ == "__main__":
    main()

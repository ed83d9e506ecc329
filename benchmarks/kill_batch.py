"""Kill a batch with SIGKILL at random moments and look at what is left.

    python benchmarks/kill_batch.py --kills 200

Scans of several layouts are cleaned with `--skip-existing` into a folder, over and over, and each
run is killed at a random moment. After each kill every original must have the SHA-256 it had, and
every file under a final name must be byte for byte what an undisturbed run makes; when a run gets
through before it is killed, all outputs must be there, and the next round starts from nothing.
Ends with exit code 1 at the first thing found wrong. POSIX only.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# Loaded here, so that each run starts at once.
import darkroom_backends.classical.detector  # noqa: F401

import darkroom.pipeline.clean  # noqa: F401
from darkroom.cli.main import main as darkroom_main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "io"))
from layouts import LAYOUTS

SIZE = (240, 360)
TITLES = (
    *("VueScan raw TIFF, 4 samples", "VueScan raw DNG, RGB and infrared", "Coolscan NEF"),
    *("SilverFast HDRi TIFF", "SilverFast HDRi DNG", "BigTIFF in tiles", "JPEG, baseline"),
    *("PNG, 16 bits", "TIFF in one strip, ZSTD", "Planar TIFF, RGB", "Grey 16-bit TIFF"),
)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a final name, by name."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def start(scans: Path, outputs: Path) -> int:
    """A process of its own that cleans the folder; its process number."""
    child = os.fork()
    if child:
        return child
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    arguments = [
        "clean",
        "--backend",
        "classical",
        str(scans),
        "-o",
        f"{outputs}/",
        "--skip-existing",
    ]
    os._exit(darkroom_main([*arguments, "--max-coverage", "100%"]))


def wait(child: int, seconds: float) -> int | None:
    """Exit status of a process, or None if it still runs after so many seconds."""
    end = time.perf_counter() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.perf_counter() >= end:
            return None
        time.sleep(0.0005)


class Trial:
    """The folders of the trial, what must be found in them, and what was."""

    def __init__(self, folder: Path) -> None:
        self.scans, self.outputs = folder / "scans", folder / "outputs"
        self.scans.mkdir()
        self.outputs.mkdir()
        for layout in LAYOUTS:
            if layout.title in TITLES:
                layout.write(self.scans / layout.name, SIZE)
        self.originals = digests(self.scans)
        started = time.perf_counter()
        status = wait(start(self.scans, self.outputs), 600)
        if status != 0:
            raise SystemExit(f"the undisturbed run ended with {status}")
        self.seconds = time.perf_counter() - started
        self.truth = {n: d for n, d in digests(self.outputs).items() if not n.endswith(".json")}
        self.counts: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """Forget all outputs."""
        shutil.rmtree(self.outputs)
        self.outputs.mkdir()

    def check(self) -> None:
        """Compare with the truth; AssertionError at the first thing wrong."""
        assert digests(self.scans) == self.originals, "an original has changed"
        names = digests(self.outputs)
        for name, digest in names.items():
            if name.endswith(".receipt.json"):
                receipt = json.loads((self.outputs / name).read_text())
                assert receipt["untouched_before"] == receipt["untouched_after"], name
            else:
                assert name in self.truth, f"{name} should not be there"
                assert digest == self.truth[name], f"{name} is not whole"
        done = [name for name in names if name in self.truth]
        self.counts["finished outputs checked"] += len(done)
        hidden = sum(path.name.startswith(".") for path in self.outputs.iterdir())
        self.counts["hidden temporary files left by kills while one was written"] += hidden
        for path in self.outputs.glob(".*"):
            path.unlink()

    def run(self, rng: random.Random) -> None:
        """One run, killed at a random moment unless it is through before.

        Every other moment is one at which a file is being written, which at random is rare.
        """
        missing = len(self.truth) - len(self.truth.keys() & digests(self.outputs).keys())
        whole = self.seconds * (0.2 + missing / len(self.truth))
        child = start(self.scans, self.outputs)
        status = wait(child, rng.uniform(0, whole))
        if status is None and rng.random() < 0.5:
            status = self._wait_for_writing(child, rng)
        if status is None:
            os.kill(child, signal.SIGKILL)
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL:
                self.counts["kills"] += 1
            self.check()
            return
        assert status == 0, f"a run ended with {status}"
        self.finish()

    def _wait_for_writing(self, child: int, rng: random.Random) -> int | None:
        """Wait until a temporary file is there, and a little more; the exit status if it ended."""
        while not any(path.name.startswith(".") for path in self.outputs.iterdir()):
            if (status := wait(child, 0)) is not None:
                return status
        return wait(child, rng.uniform(0, 0.05))

    def finish(self) -> None:
        """All outputs must be there; start anew."""
        found = {n: d for n, d in digests(self.outputs).items() if n in self.truth}
        assert found == self.truth, "outputs are missing"
        self.check()
        self.counts["batches that --skip-existing finished"] += 1
        self.clear()


def main() -> int:
    """Kill until there were enough; print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        print(f"{len(trial.originals)} scans, {trial.seconds:.1f} s undisturbed", flush=True)
        try:
            while trial.counts["kills"] < options.kills:
                trial.run(rng)
            if wait(start(trial.scans, trial.outputs), 600) != 0:
                raise AssertionError("the last run did not end well")
            trial.finish()
        except AssertionError as error:
            print(f"FAILED after {trial.counts['kills']} kills: {error}")
            return 1
    for name, count in trial.counts.items():
        print(f"{count:6} {name}")
    print("every original intact, every finished output whole")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Kill commands that write at random moments, and look at what is left.

    python benchmarks/kill_commands.py --kills 500

Each command makes its output over and over and is killed with SIGKILL (every eighth time: asked to
stop with SIGTERM) at a random moment. In half of the rounds an older version of the output is there
and is to be replaced; in some two processes write the same at once and one is killed, and in some
all standard streams are closed. Then what the next run does first is done (`put_right`), and:

* every input must have the SHA-256 it had;
* every file under a final name must be, byte for byte, that of the older or of the new version, or
  where a command writes down times, be readable to its end;
* what stood there before must stand there, in the one version or the other: nothing is lost;
* no process and no temporary file may be left.

A run that is not killed must then make the new version. Ends with exit code 1 at the first thing
found wrong. POSIX only.
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
import darkroom_backends.baseline.detector  # noqa: F401
import torch
from writing_commands import COMMANDS, Command, inputs, silent

import darkroom.dataset.build
import darkroom.review.serve
import darkroom.training.session  # noqa: F401
from darkroom import interrupts
from darkroom.cli import streams
from darkroom.io.together import put_right
from darkroom.plugins.manager import installed

# Where times, costs or states of generators are written down.
LOOSE = (".receipt.json", ".jsonl", ".ckpt", "metrics.json", "metrics.csv", "index.html", ".npz")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by path; of hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


class Trial:
    """One command, its inputs, and what it makes undisturbed."""

    def __init__(self, command: Command, given: Path, folder: Path, rng: random.Random) -> None:
        self.command, self.given, self.rng = command, given, rng
        self.out = folder / "out"
        self.whole = digests(given)
        self.counts: Counter[str] = Counter()
        self.truth: list[dict[str, str]] = []
        for version in (0, 1):
            self.clear()
            started = time.perf_counter()
            if (status := self.finish(self.start(version))) != 0:
                raise SystemExit(f"{command.name}: undisturbed it ended with {status}")
            self.seconds = time.perf_counter() - started
            self.truth.append(digests(self.out))
        self.old = folder / "old"
        self.clear()
        self.finish(self.start(0))
        shutil.copytree(self.out, self.old)

    def clear(self) -> None:
        """No outputs."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()

    def start(self, version: int, *, closed: bool = False) -> int:
        """A process, in a group of its own, that makes a version; its number."""
        child = os.fork()
        if child:
            return child
        os.setsid()
        if closed:
            for number in (0, 1, 2):
                os.close(number)
            streams.open_closed()
        else:
            silent()
        interrupts.install()
        status = 99
        try:
            status = self.command.run(self.given, self.out, version)
        except BaseException as error:
            status = 97 if isinstance(error, KeyboardInterrupt) else 98
        os._exit(status)

    def finish(self, child: int, seconds: float = 300) -> int:
        """The exit status of a process that is left alone."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.killpg(child, signal.SIGKILL)
        raise AssertionError("a run does not end")

    def round(self, number: int) -> None:
        """One kill, and what it left."""
        stale, closed, two = number % 2 == 1, number % 5 == 3, number % 6 == 5
        self.clear()
        if stale:
            shutil.rmtree(self.out)
            shutil.copytree(self.old, self.out)
        other = self.start(1) if two else None
        child = self.start(1, closed=closed)
        time.sleep(self.rng.uniform(0, self.seconds * (2 if two else 1.05)))
        how = signal.SIGTERM if number % 8 == 7 else signal.SIGKILL
        os.kill(child, how)
        status = self.finish(child)
        self.counts["kills" if status < 0 or how == signal.SIGTERM else "through before"] += 1
        self._no_process(child)
        if other is not None:
            status = self.finish(other)
            assert status in (0, 1), f"the other process ended with {status}"
            self._no_process(other)
        # Two that write the same may also end with one clear error; what is there must be whole.
        self.check(stale, unfinished=other is None or status != 0)
        if number % 4 == 0 or self.command.resumes:
            status = self.finish(self.start(1))
            assert status == 0, f"the next run ended with {status}"
            self.check(stale=True, unfinished=False)
            found = self._compared(digests(self.out))
            assert found == self._compared(self.truth[1]), "the next run made something else"
            self.counts["next runs that finished"] += 1

    def _no_process(self, group: int) -> None:
        end = time.perf_counter() + 20
        while time.perf_counter() < end:
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(0.01)
        os.killpg(group, signal.SIGKILL)
        raise AssertionError("a worker process was left")

    def _compared(self, files: dict[str, str]) -> dict[str, str]:
        return {n: d for n, d in files.items() if not n.endswith(LOOSE) and "/cache/" not in n}

    def check(self, stale: bool, unfinished: bool) -> None:
        """Everything that must hold; AssertionError at the first thing wrong."""
        assert digests(self.given) == self.whole, "an input has changed"
        for folder in (self.out, *(p for p in self.out.rglob("*") if p.is_dir())):
            if folder.is_dir():
                put_right(folder)
        found = digests(self.out)
        hidden = [n for n in found if any(part.startswith(".") for part in n.split("/"))]
        parts = any(n.startswith("ds/.parts/") for n in found)
        if self.command.resumes and unfinished and not stale:
            hidden = [n for n in hidden if not n.startswith("ds/.parts/")]
            if parts:
                self.counts["unfinished data sets, gone on with"] += 1
                return
        assert not hidden, f"left behind: {hidden}"
        old, new = self.truth
        for name, digest in found.items():
            if name.endswith(".json") and not name.endswith("manifest.json"):
                json.loads((self.out / name).read_text())
            if name.endswith(LOOSE) or "/cache/" in name:
                continue
            assert digest in (old.get(name), new.get(name)), f"{name} is not whole"
            self.counts["finished files checked"] += 1
        if stale:
            assert self.command.stands in found, f"{self.command.stands} is lost"
            if "ds/manifest.json" in found:
                one = old if found["ds/manifest.json"] == old["ds/manifest.json"] else new
                assert self._compared(found) == self._compared(one), "a data set of two versions"


def main() -> int:
    """Kill until there were enough; print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="commands; all by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    installed()
    chosen = [c for c in COMMANDS if not options.only or c.name in options.only]
    total: Counter[str] = Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DARKROOM_HOME"] = f"{folder}/home"
        given = Path(folder) / "given"
        given.mkdir()
        child = os.fork()  # torch must not have run here, or forks of this process may wait
        if not child:
            silent()
            inputs(given)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, "the inputs could not be made"
        for place, command in enumerate(chosen):
            here = Path(folder) / f"trial{place}"
            here.mkdir()
            rng = random.Random(f"{options.seed} {command.name}")
            trial = Trial(command, given, here, rng)
            number = 0
            # Where several commands are left, each has its share of what is left.
            share = -(-(options.kills - total["kills"]) // (len(chosen) - place))
            try:
                while trial.counts["kills"] < share and number < 20 * share:
                    trial.round(number)
                    number += 1
            except AssertionError as error:
                failures += 1
                print(f"FAILED: {command.name}, round {number}: {error}", flush=True)
            said = ", ".join(f"{count} {name}" for name, count in trial.counts.items())
            print(f"{command.name:24} {trial.seconds:5.2f} s undisturbed; {said}", flush=True)
            total += trial.counts
            shutil.rmtree(here)
    for name, count in total.items():
        print(f"{count:6} {name}")
    print("every input intact, every file whole, nothing lost" if not failures else "FAILED")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())

"""Installed backends as runners of a comparison."""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from darkroom import __version__
from darkroom.compare.run.runners import Given, Restoration, parse_backend
from darkroom.errors import UsageError
from darkroom.options import INFRARED, IR_AUTO, IR_OFF, CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.engine import Engine, load_engine
from darkroom.pipeline.memory import clean_array
from darkroom.pipeline.request import Request
from darkroom.plugins.manager import installed
from darkroom.protocols import BackendSpec

SOURCES = frozenset({".py", ".safetensors", ".json", ".toml"})

# Options of cleaning that `NAME:option=value` may set besides the backend's own.
SHARED = {"sensitivity": float, "inpainter": str, "polarity": str, "grain": str, "seed": int}


@dataclass(frozen=True)
class BackendRunner:
    """A backend, run as `darkroom clean` runs it.

    Attributes:
        name: its row, the text it was asked for with.
        options: what decides the result; its coverage limit is not enforced.
        machine: memory, threads and device.
    """

    name: str
    options: CleanOptions
    machine: MachineOptions
    reference: bool = False
    needs_truth: bool = False

    def fingerprint(self) -> Mapping[str, Any]:
        """Options, device, versions, and digests of the code and weights of the backends used."""
        plugins = installed()
        spec = plugins.backend(self.options.backend)
        filler = self.options.inpainter or spec.inpainter
        specs = [spec] if filler is None else [spec, plugins.backend(filler)]
        return {
            "options": asdict(self.options),
            "device": self.machine.device,
            "darkroom": [__version__, code_digest("darkroom.pipeline")],
            "backends": {
                s.name: [plugins.version_of(s.name), code_digest(_package(s))] for s in specs
            },
        }

    @property
    def needs_file(self) -> bool:
        """Infrared lies in the scan's file, or beside it."""
        return self.options.ir != IR_OFF

    def restore(self, given: Given) -> Restoration:
        """Clean in memory; the backend is loaded once for each process."""
        engine, info = _engine(self), given.info
        done = clean_array(
            given.pixels,
            self.options,
            encoding=info.profile.encoding,
            dpi=info.resolution[0] if info.resolution else None,
            engine=engine,
            machine=self.machine,
        )
        score = done.score
        if score is not None and score.dtype != np.uint8:
            score = np.clip(score * 255 + 0.5, 0, 255).astype(np.uint8)
        return Restoration(done.image, done.mask >= 128, score)

    def restore_file(self, scan: Path, output: Path, mask: Path) -> None:
        """Clean from file to file, streaming."""
        extra = OutputOptions(save_mask=mask, receipt=False)
        options = replace(self.options, max_coverage=1.0)
        clean_file(scan, output, Request(options, self.machine, extra))

    def __hash__(self) -> int:
        return hash(self.name)


def backend_runner(
    text: str, *, device: str = "auto", jobs: int | None = None, memory: int | None = None
) -> BackendRunner:
    """The runner of "name" or "name:option=value,option=value".

    Args:
        text: as on the command line. `sensitivity`, `inpainter`, `polarity`, `grain` and `seed`
            are those of `darkroom clean`; other options are the backend's own.
        device: as for `darkroom clean`.
        jobs: threads of each worker.
        memory: bytes that each worker may use; as for `darkroom clean` by default.

    Raises:
        UsageError: a malformed option or value.
        BackendError: the backend is unknown or cannot be loaded.
    """
    name, given = parse_backend(text)
    shared: dict[str, Any] = {}
    for option in SHARED.keys() & given.keys():
        try:
            shared[option] = SHARED[option](given.pop(option))
        except ValueError as error:
            raise UsageError(f"--backend {text}: {option}: {error}") from error
    own: dict[str, dict[str, Any]] = {name: dict(given)} if given else {}
    # A row is what its own backend finds on the picture, whatever else lies in the file.
    ir = IR_AUTO if name == INFRARED else IR_OFF
    options = CleanOptions(backend=name, options=own, ir=ir, **shared)
    machine = MachineOptions(device=device, jobs=jobs)
    if memory is not None:
        machine = replace(machine, max_memory=memory)
    load_engine(options, device, installed())
    return BackendRunner(text, options, machine)


def _package(spec: BackendSpec) -> str:
    """The package that the backend's code lies in."""
    return spec.factory.partition(":")[0].rpartition(".")[0] or spec.factory.partition(":")[0]


@cache
def code_digest(package: str) -> str:
    """SHA-256 over a package's code and weights; of a lone module, over its file."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return "unknown"
    files = [Path(spec.origin)] if spec.origin and not spec.submodule_search_locations else []
    for folder in spec.submodule_search_locations or ():
        files += [f for f in Path(folder).rglob("*") if f.suffix in SOURCES]
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


@lru_cache(maxsize=1)
def _engine(runner: BackendRunner) -> Engine:
    machine = runner.machine
    return load_engine(runner.options, machine.device, installed(), threads=machine.threads)

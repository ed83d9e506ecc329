"""What is got ready once for all files of a batch: loaded backends, and the cuts of frames."""

from typing import Any

from darkroom.config import scratch_folder
from darkroom.errors import DarkroomError
from darkroom.io.scratch import Scratch
from darkroom.options import CleanOptions
from darkroom.pipeline.engine import Engine, load_backend, load_engine
from darkroom.pipeline.plan import Plan, current_rss, free_memory, make_plan
from darkroom.pipeline.request import Request
from darkroom.protocols import Backend, BackendSpec, Device
from darkroom.scan import ScanInfo

CACHE_SHARE = 0.2  # of the free budget, for what readers keep decoded
WORK_SHARE = 0.75  # for tiles and bands


class Workbench:
    """Loads a backend when it is first needed, and keeps it for the next file.

    Args:
        request: what the batch is asked to do.
        engine: backends already loaded, which take the place of those the request names.
    """

    def __init__(self, request: Request, engine: Engine | None = None) -> None:
        self.request = request
        self._engine = engine
        self._loaded: dict[str, Backend] = {}
        self._failed: dict[str, DarkroomError] = {}
        self._plans: dict[object, Plan] = {}
        self._free = self._measure()
        self._grown = 0

    def _measure(self) -> int:
        return max(0, free_memory(self.request.machine))

    def limits(self) -> dict[str, Any]:
        """How scans are opened: their caches leave most of the budget to the run."""
        self._free, self._grown = self._measure(), 0
        cache = int(self._free * CACHE_SHARE)
        machine = self.request.machine
        return {
            "cache_bytes": cache,
            "max_pixels": machine.max_pixels,
            # What decodes in one piece does so before the run needs its own share.
            "scratch": Scratch(scratch_folder(machine.scratch), memory=self._free - cache),
        }

    def engine(self, options: CleanOptions) -> Engine:
        """The backends that `options` name: the request's own, or those of its infrared.

        Raises:
            BackendError: an unknown or broken backend, missing modules, or an unusable device.
            UsageError: an option the backend does not have.
        """
        request = self.request
        if self._engine is not None and options == request.options:
            return self._engine
        given = request.mask_given
        return load_engine(
            options, request.machine.device, request.plugins, mask_given=given, make=self._load
        )

    def filler(self) -> Engine:
        """What fills where it is known what to repair, as with a mask that is given.

        Raises:
            BackendError: as for `engine`.
        """
        request = self.request
        device, plugins = request.machine.device, request.plugins
        return load_engine(request.options, device, plugins, mask_given=True, make=self._load)

    def _load(self, spec: BackendSpec, options: CleanOptions, device: Device) -> Backend:
        # Within a request a backend has the same options wherever it is used.
        if spec.name in self._failed:
            raise self._failed[spec.name]
        if spec.name not in self._loaded:
            before = current_rss()
            try:
                self._loaded[spec.name] = load_backend(spec, options, device)
            except DarkroomError as error:
                self._failed[spec.name] = error  # a second try would take as long
                raise
            self._grown += max(0, current_rss() - before)
        return self._loaded[spec.name]

    def plan(self, info: ScanInfo, engine: Engine, rows: int | None) -> Plan:
        """The cut of a frame; frames alike are cut alike.

        Args:
            info: of the scan.
            engine: what looks at it.
            rows: as for `make_plan`.

        Raises:
            UsageError: the budget is too small.
        """
        size = (info.width, info.height, info.samples, info.dtype.str)
        key = (size, tuple(map(id, engine.parts)), rows)
        if key not in self._plans:
            # Caches were given their share before backends were loaded.
            left = (self._free * (1 - CACHE_SHARE) - self._grown) / WORK_SHARE
            free = min(self._measure(), int(left))
            self._plans[key] = make_plan(info, engine, self.request.machine, rows, free)
        return self._plans[key]

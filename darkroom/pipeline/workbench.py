"""What is got ready once for all files of a batch: loaded backends, and the cuts of frames."""

from typing import Any

from darkroom.config import scratch_folder
from darkroom.errors import DarkroomError
from darkroom.io.scratch import Scratch
from darkroom.options import CleanOptions
from darkroom.pipeline.engine import Engine, load_backend, load_engine
from darkroom.pipeline.plan import Plan, current_rss, free_memory, make_plan
from darkroom.pipeline.request import Request
from darkroom.pipeline.roll import given_map
from darkroom.protocols import Backend, BackendSpec, Device
from darkroom.roll.fixed import RollMap
from darkroom.scan import ScanInfo

CACHE_SHARE = 0.2  # of the free budget, for what readers keep decoded
WORK_SHARE = 0.75  # for tiles and bands


class Workbench:
    """Loads a backend when it is first needed, and keeps it for the next file.

    Args:
        request: what the batch is asked to do.
        engine: backends already loaded, which take the place of those the request names.
        roll: where dirt stays on the frames of the batch, or None where that is not known.
    """

    def __init__(
        self, request: Request, engine: Engine | None = None, roll: RollMap | None = None
    ) -> None:
        self.request = request
        self._roll = roll
        self._engine = engine
        self._loaded: dict[str, Backend] = {}
        self._failed: dict[str, DarkroomError] = {}
        self._plans: dict[object, Plan] = {}
        self._free = self._measure()
        self._grown = 0

    def roll_map(self, info: ScanInfo) -> RollMap | None:
        """Where dirt stays on frames of this size: what the request names, or the batch has shown.

        Raises:
            InputError: the file named is neither a map nor a blank frame, or cannot be read.
        """
        named = self.request.reference
        if named is not None and self._roll is None:
            self._roll = given_map(named, self.request, self.limits())
        if self._roll is None or not self._roll.fits(info.width, info.height):
            return None
        return self._roll

    def misfit(self, info: ScanInfo) -> list[str]:
        """A word on a map that is of frames of another size; nothing where there is none."""
        roll = self._roll
        if roll is None or roll.fits(info.width, info.height):
            return []
        return [
            f"dirt that stays in place is known of frames of {roll.width} x {roll.height} pixels, "
            f"not of {info.width} x {info.height}"
        ]

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
        return self._load_engine(options, request.mask_given)

    def filler(self) -> Engine:
        """What fills where it is known what to repair, as with a mask that is given.

        Raises:
            BackendError: as for `engine`.
        """
        return self._load_engine(self.request.options, mask_given=True)

    def _load_engine(self, options: CleanOptions, mask_given: bool) -> Engine:
        machine = self.request.machine
        how: dict[str, Any] = {"mask_given": mask_given, "threads": machine.threads}
        return load_engine(options, machine.device, self.request.plugins, make=self._load, **how)

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
        size = (info.width, info.height, info.samples, info.dtype.str, info.resolution)
        key = (size, tuple(map(id, engine.parts)), rows)
        if key not in self._plans:
            # Caches were given their share before backends were loaded.
            left = (self._free * (1 - CACHE_SHARE) - self._grown) / WORK_SHARE
            free = min(self._measure(), int(left))
            self._plans[key] = make_plan(info, engine, self.request.machine, rows, free)
        return self._plans[key]

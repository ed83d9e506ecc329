"""What a clean is asked to do: one object from the command line to the stages."""

from dataclasses import dataclass, field
from pathlib import Path

from darkroom.errors import UsageError
from darkroom.options import (
    INFRARED,
    IR_AUTO,
    IR_OFF,
    ROLL_AUTO,
    ROLL_OFF,
    CleanOptions,
    MachineOptions,
    OutputOptions,
)
from darkroom.plugins.manager import Plugins, installed
from darkroom.presets import Preset


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, the same for every file of a batch.

    Attributes:
        options: what decides the result.
        machine: memory, threads, device.
        output: what else is written, and what may be replaced.
        preset: where `options` came from, for the receipt.
        plugins: where backends, readers and writers come from; the installed ones by default.
    """

    options: CleanOptions = field(default_factory=CleanOptions)
    machine: MachineOptions = field(default_factory=MachineOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    preset: Preset | None = None
    plugins: Plugins = field(default_factory=installed)

    @property
    def mask_given(self) -> bool:
        """Whether a mask says what to repair, so that nobody looks for artefacts."""
        return self.output.mask is not None

    @property
    def reference(self) -> Path | None:
        """The file that says where dirt stays, or None where none is named."""
        named = self.options.reference
        return None if named in (ROLL_AUTO, ROLL_OFF) else Path(named)

    def check(self, files: int = 1) -> None:
        """Refuse what contradicts itself or cannot go well for any file.

        Args:
            files: how many scans it is for.

        Raises:
            UsageError: two wishes exclude each other, or one file is named for several scans.
            BackendError: there is no such backend.
        """
        if self.output.skip_existing and self.output.overwrite:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        self._check_infrared(files)
        if self.reference is not None and self.mask_given:
            raise UsageError(
                f"--reference {self.reference} and --mask exclude each other",
                hint="A mask already says what to repair.",
            )
        finders = ("detector", "restorer", *(["inpainter"] if self.mask_given else []))
        self.plugins.backend(self.options.backend, finders)
        if self.options.inpainter is not None:
            self.plugins.backend(self.options.inpainter, ("inpainter",))

    def _check_infrared(self, files: int) -> None:
        ir = self.options.ir
        named = ir not in (IR_AUTO, IR_OFF)
        if self.options.backend == INFRARED and ir == IR_OFF:
            raise UsageError(f"--backend {INFRARED} and --ir off exclude each other")
        if named and self.mask_given:
            raise UsageError(
                f"--ir {ir} and --mask exclude each other",
                hint="A mask already says what to repair.",
            )
        if named and files > 1:
            raise UsageError(
                f"--ir {ir}: one infrared file for {files} scans",
                hint="Name the files NAME_IR.tif beside NAME.tif; --ir auto finds them.",
            )

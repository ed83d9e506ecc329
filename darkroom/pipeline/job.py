"""One file of a batch: where it comes from, where its outputs go."""

from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import OutputError
from darkroom.io.guard import Inputs
from darkroom.pipeline.infrared_run import infrared_file
from darkroom.pipeline.output import refuse_existing
from darkroom.pipeline.receipt import receipt_path
from darkroom.pipeline.request import Request

MASK_ENDING = ".mask.png"


def mask_path(beside: Path) -> Path:
    """Where the mask of a scan lies: under the scan's whole name, so that no two share one."""
    return beside.with_name(beside.name + MASK_ENDING)


@dataclass(frozen=True, slots=True)
class Job:
    """What becomes of one file.

    Attributes:
        source: the scan.
        target: the cleaned scan to write, or None for masks or statistics only.
        mask: the mask to write, or None.
        request: what is asked for.
    """

    source: Path
    target: Path | None
    mask: Path | None
    request: Request

    @classmethod
    def clean(cls, source: Path, target: Path | None, request: Request) -> "Job":
        """Clean a scan, and save its mask where that is asked for."""
        output = request.output
        if output.dry_run:
            return cls(source, None, None, request)
        if isinstance(output.save_mask, Path):
            return cls(source, target, output.save_mask, request)
        mask = mask_path(target or source) if output.save_mask else None
        return cls(source, target, mask, request)

    @classmethod
    def detect(cls, source: Path, mask: Path | None, request: Request) -> "Job":
        """Find artefacts and write their mask only."""
        return cls(source, None, None if request.output.dry_run else mask, request)

    @property
    def receipt(self) -> Path | None:
        """Where the receipt goes, if there is to be one."""
        if self.target is None or not self.request.output.receipt:
            return None
        return receipt_path(self.target)

    @property
    def outputs(self) -> list[Path]:
        """All files that it makes."""
        return [path for path in (self.target, self.mask, self.receipt) if path is not None]

    @property
    def inputs(self) -> dict[str, Path]:
        """All files that it may read, by their part in it."""
        output = self.request.output
        parts = {
            "source": self.source,
            "given_mask": output.mask,
            "exclude": output.exclude,
            "infrared": infrared_file(self.source, self.request.options),
            "reference": self.request.reference,
        }
        return {part: path for part, path in parts.items() if path is not None}

    @property
    def read(self) -> list[Path]:
        """All files that must not be written over: inputs, preset, files named in options."""
        paths = list(self.inputs.values())
        if self.request.preset is not None:
            paths.append(Path(self.request.preset.origin))
        for options in self.request.options.options.values():
            paths += [Path(value) for value in options.values() if isinstance(value, str)]
        return paths

    def check(self) -> None:
        """Refuse what could lose something, before any work is done.

        Raises:
            OutputError: an output exists, or would replace an input or another output.
        """
        Inputs(self.read).refuse(*self.outputs)
        seen = Inputs()
        for output in self.outputs:
            if seen.find(output) is not None:
                raise OutputError(f"{output}: two outputs would have this name")
            seen.add(output)
        if not self.request.output.overwrite:
            for path in (self.target, self.mask):
                if path is not None:
                    refuse_existing(path)

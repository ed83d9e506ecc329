"""The options of a run: names, types, defaults, and what users may write for them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from darkroom.errors import UsageError
from darkroom.machine import default_memory, processors

MICRONS_PER_INCH = 25_400.0
UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}
UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9, "k": 2**10, "m": 2**20, "g": 2**30}

# What `ir` may say instead of the name of a file, and the backend that it stands for.
IR_AUTO, IR_OFF = "auto", "off"
INFRARED = "infrared"

# What `reference` may say instead of the name of a file.
ROLL_AUTO, ROLL_OFF = "auto", "off"

Polarity = Literal["auto", "bright", "dark", "both"]
Grain = Literal["match", "none"]
Scratches = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class Length:
    """A length on the film: in pixels, or in micrometres by the scan's resolution."""

    value: float
    unit: Literal["px", "um"] = "px"

    @classmethod
    def parse(cls, text: str | float) -> "Length":
        """Read "12", "12px", "300um" or "300µm".

        Raises:
            UsageError: anything else.
        """
        match = re.fullmatch(r"\s*([0-9.]+)\s*(px|um|µm|μm)?\s*", str(text))
        try:
            value = float(match[1]) if match else -1.0
        except ValueError:
            value = -1.0
        if match is None or value < 0:
            raise UsageError(
                f"{text!r} is not a length", hint="Write pixels (12px) or micrometres (300um)."
            )
        return cls(value, "px" if match[2] in (None, "px") else "um")

    def pixels(self, dpi: float | None) -> float:
        """The length in pixels.

        Raises:
            UsageError: micrometres were asked for and the scan's resolution is not known.
        """
        if self.unit == "px":
            return self.value
        if not dpi:
            raise UsageError(
                "the scan does not say its resolution, so a size in micrometres cannot be used",
                hint="Give the size in pixels, for example 12px.",
            )
        return self.value * dpi / MICRONS_PER_INCH

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit}"


def parse_size(text: str | int) -> int:
    """Bytes from "2GiB", "500MB", "700m" or a plain number.

    Raises:
        UsageError: anything else.
    """
    match = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", str(text))
    try:
        if match:
            return int(float(match[1]) * UNITS[match[2].lower()])
    except (KeyError, ValueError):
        pass
    raise UsageError(f"{text!r} is not a memory size", hint="Write for example 2GiB or 700MiB.")


def parse_share(text: str | float) -> float:
    """A share 0..1 from "2%" or 0.02.

    Raises:
        UsageError: anything else.
    """
    match = re.fullmatch(r"\s*([0-9.eE+-]+)\s*(%?)\s*", str(text))
    try:
        value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{text!r} is not a share", hint="Write for example 2% or 0.02.")
    return value


@dataclass(frozen=True, slots=True)
class CleanOptions:
    """What decides the result of cleaning; a preset may set any of these.

    Attributes:
        backend: name of a detector or restorer.
        inpainter: name of the inpainter for a detector, or None for the detector's own choice.
        sensitivity: 0 (nearly no false alarm) to 100 (faint specks too).
        min_size: shortest artefact repaired.
        max_size: longest artefact repaired, or None.
        polarity: whether artefacts are brighter or darker than the picture.
        max_coverage: largest share of pixels the mask may hold; more refuses the run.
        ir: "auto" lets the backend `infrared` find artefacts where the scan has an infrared channel
            of use, "off" never does, and the name of a file takes the channel from there.
        scratches: "auto" looks for line scratches beyond doubt, beside any backend, on frames of
            800 pixels or more; "on" does so more readily and on any, for film that is known to
            have them; "off" looks for none.
        reference: what is known of dirt that stays in place: "auto" learns it from the frames of a
            batch, if they are enough, "off" does not, and the name of a file takes the map of a
            roll, or a blank frame, from there.
        grain: give repairs the grain of their surroundings, or leave them smooth.
        seed: of everything drawn at random (the grain).
        options: options of single backends, {"classical": {"name": value}}.
    """

    backend: str = "unet"
    inpainter: str | None = None
    sensitivity: float = 50.0
    min_size: Length | None = None
    max_size: Length | None = None
    polarity: Polarity = "auto"
    max_coverage: float = 0.02
    ir: str = IR_AUTO
    scratches: Scratches = "auto"
    reference: str = ROLL_AUTO
    grain: Grain = "match"
    seed: int = 0
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.sensitivity <= 100:
            raise UsageError(f"sensitivity {self.sensitivity:g} is not between 0 and 100")


@dataclass(frozen=True, slots=True)
class MachineOptions:
    """How the machine is used; never changes the result.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        tile: side of a tile in pixels, or None for the backend's preference.
        max_memory: peak resident memory of the process in bytes; by default 2 GiB, or less where
            the machine or the container has less.
        jobs: worker threads, or None for one a processor that the process may use.
        max_pixels: largest image opened.
        scratch: folder for temporary files, or None for the system's.
        workers: processes that files are shared out among, and the memory with them.
        scheduler: address of a Dask scheduler whose workers take the place of those, or None.
    """

    device: str = "auto"
    tile: int | None = None
    max_memory: int = field(default_factory=default_memory)
    jobs: int | None = None
    max_pixels: int = 2_000_000_000
    scratch: Path | None = None
    workers: int = 1
    scheduler: str | None = None

    @property
    def threads(self) -> int:
        """How many threads work."""
        return max(1, self.jobs or processors())


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What is written besides the cleaned scan, and what may be replaced.

    Attributes:
        mask: a mask file that says exactly what to repair, instead of detecting.
        exclude: a mask file of areas never to touch.
        save_mask: True for `NAME.mask.png` beside the output, or a path.
        layers: write a multi-page TIFF of result, mask and difference.
        compression: of a TIFF; None repeats the source's.
        overwrite: replace an existing output.
        skip_existing: leave a scan alone whose output exists.
        dry_run: find and count only; write nothing.
        receipt: write `NAME.receipt.json`; NAME is all of the output's, its suffix included.
        reviews: honour what a person decided in a review of the scan, `NAME.review.json`.
    """

    mask: Path | None = None
    exclude: Path | None = None
    save_mask: bool | Path = False
    layers: bool = False
    compression: str | None = None
    overwrite: bool = False
    skip_existing: bool = False
    dry_run: bool = False
    receipt: bool = True
    reviews: bool = True

"""Cleaning arrays instead of files, through the same stages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.errors import UsageError
from darkroom.geometry import Window
from darkroom.options import IR_OFF, CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline.engine import Engine
from darkroom.pipeline.infrared_run import array_infrared
from darkroom.pipeline.progress import Progress, Silent
from darkroom.pipeline.request import Request
from darkroom.pipeline.run import find_artefacts
from darkroom.pipeline.workbench import Workbench
from darkroom.roll.fixed import RollMap
from darkroom.scan import (
    BaseScan,
    Bytes,
    ColorProfile,
    Encoding,
    FrameStats,
    Pixels,
    ScanInfo,
)

DTYPES = ("uint8", "uint16", "float32")


class ArrayScan(BaseScan):
    """A scan that is already in memory.

    Args:
        pixels: (H, W) or (H, W, 1 or 3) of uint8, uint16 or float32.
        encoding: of the samples.
        dpi: pixels per inch, or None.
        name: what messages call it.
    """

    def __init__(
        self,
        pixels: Pixels,
        encoding: Encoding = Encoding.GAMMA,
        dpi: float | None = None,
        name: str = "array",
    ) -> None:
        self.pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3) or not self.pixels.size:
            raise UsageError(f"an image must be (H, W), (H, W, 1) or (H, W, 3), not {pixels.shape}")
        if self.pixels.dtype.name not in DTYPES:
            raise UsageError(f"an image must be {', '.join(DTYPES)}, not {pixels.dtype}")
        height, width, channels = self.pixels.shape
        info = ScanInfo(
            Path(name),
            "array",
            width,
            height,
            channels,
            self.pixels.dtype,
            photometric="rgb" if channels == 3 else "minisblack",
            profile=ColorProfile(None, encoding),
            resolution=(dpi, dpi) if dpi else None,
        )
        super().__init__(info)

    def _read(self, window: Window) -> Pixels:
        """A view of the pixels."""
        return self.pixels[window.slices]


@dataclass(frozen=True, slots=True)
class CleanResult:
    """A cleaned array.

    Attributes:
        image: the shape and dtype of the input.
        mask: uint8 (H, W), 0 or 255; outside it the image is bit-identical.
        score: uint8 (H, W) of 255 x score, or None where the mask was given.
        artefacts: number of separate places repaired.
        stats: the survey.
        infrared: what became of the infrared, as in a receipt, or None without one.
    """

    image: Pixels
    mask: Bytes
    score: Bytes | None
    artefacts: int
    stats: FrameStats
    infrared: dict[str, Any] | None = None


def clean_array(
    pixels: Pixels,
    options: CleanOptions | None = None,
    *,
    mask: Bytes | None = None,
    infrared: Pixels | None = None,
    encoding: Encoding = Encoding.GAMMA,
    dpi: float | None = None,
    engine: Engine | None = None,
    machine: MachineOptions | None = None,
    progress: Progress | None = None,
    roll: RollMap | None = None,
) -> CleanResult:
    """Clean an image in memory, as `darkroom clean` would clean the same samples in a file.

    Args:
        pixels: (H, W) or (H, W, 1 or 3) of uint8, uint16 or float32.
        options: what decides the result; `max_coverage` is not enforced here.
        mask: uint8 (H, W): repair exactly the pixels at or above 128 instead of detecting.
        infrared: (H, W) of uint8, uint16 or float32, of any size with the picture's proportions:
            the scan's infrared channel. It is used unless `options.ir` is "off".
        encoding: of the samples.
        dpi: pixels per inch, for sizes in micrometres.
        engine: backends already loaded, to save loading them for every image.
        machine: memory, threads, device.
        progress: told of each stage.
        roll: where dirt stays on the frames of the roll that the image is of, or None.

    Raises:
        DarkroomError: as the stages do.
    """
    # The mask is an array here; its name says only that there is one.
    named = OutputOptions(mask=None if mask is None else Path("mask"))
    request = Request(options or CleanOptions(), machine or MachineOptions(), named)
    bench = Workbench(request, engine, roll)
    scan = ArrayScan(pixels, encoding, dpi)
    given = None if mask is None else ArrayScan(np.asarray(mask, np.uint8), name="mask")
    progress = progress or Silent()
    run = None
    if infrared is not None and request.options.ir != IR_OFF and given is None:
        plane = ArrayScan(infrared, Encoding.LINEAR, name="infrared")
        run = array_infrared(plane, request.options)
    with find_artefacts(bench, scan, progress, mask=given, infrared=run) as found:
        image = np.concatenate([after for _, _, after, _ in found.repaired(progress)])
        whole = scan.info.window
        score = None if found.score is None else found.score.read(whole)[..., 0]
        return CleanResult(
            image.reshape(pixels.shape),
            found.mask.read(whole)[..., 0],
            score,
            len(found.parts),
            found.stats,
            found.decision.infrared,
        )

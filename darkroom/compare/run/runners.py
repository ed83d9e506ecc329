"""What is compared: backends, and the two references that are always there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from darkroom.compare.measure.regions import components, grow
from darkroom.errors import BackendError, UsageError
from darkroom.scan import Bytes, Pixels, ScanInfo

IDENTITY = "identity"
ORACLE = "oracle + inpaint"


@dataclass(frozen=True, slots=True)
class Given:
    """What a runner is given.

    Attributes:
        pixels: (H, W, 1 or 3) native samples, its own to write into.
        info: the file they come from.
        artefacts: bool (H, W), the damaged pixels, for a runner that needs the truth; else None.
        white: the float that white is, where samples are floats.
    """

    pixels: Pixels
    info: ScanInfo
    artefacts: NDArray[np.bool_] | None = None
    white: float = 1.0


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a runner made of a picture.

    Attributes:
        image: like the picture it was given, in shape and sample type.
        mask: bool (H, W), what it chose to repair; None if it does not say, then the pixels that
            changed stand for it.
        score: uint8 (H, W), its confidence that a pixel is damaged, 0 to 255, or None.
        seconds: time of the restoration alone where the runner knows better than a clock around
            the call, else None.
    """

    image: Pixels
    mask: NDArray[np.bool_] | None = None
    score: Bytes | None = None
    seconds: float | None = None


class Runner(Protocol):
    """Something to compare. It is sent to worker processes, so it must pickle.

    Attributes:
        name: its row in the report.
        reference: a yardstick rather than a competitor: not held to `--fail-under`.
        needs_truth: it cannot run without the truth mask.
    """

    @property
    def name(self) -> str:
        """Its row."""

    @property
    def reference(self) -> bool:
        """Whether it is a yardstick."""

    @property
    def needs_truth(self) -> bool:
        """Whether it wants the truth mask."""

    def fingerprint(self) -> Mapping[str, Any]:
        """Everything but the picture that its result depends on, for the cache."""

    def restore(self, given: Given) -> Restoration:
        """Restore a picture, or a band of one too large to be held."""


@runtime_checkable
class FileRunner(Protocol):
    """A runner that can also stream a whole scan from file to file.

    Attributes:
        needs_file: it always does, since it asks for more than the picture.
    """

    @property
    def needs_file(self) -> bool:
        """Whether it cannot work on pixels alone."""

    def restore_file(self, scan: Path, output: Path, mask: Path) -> None:
        """Write the restored scan and its mask (0 and 255, one sample)."""


@dataclass(frozen=True)
class Identity:
    """Leaves every pixel alone."""

    name: str = IDENTITY
    reference: bool = True
    needs_truth: bool = False

    def fingerprint(self) -> Mapping[str, Any]:
        """Nothing but its name."""
        return {"reference": "identity"}

    def restore(self, given: Given) -> Restoration:
        """The picture as it is."""
        return Restoration(given.pixels, np.zeros(given.pixels.shape[:2], bool))


@dataclass(frozen=True)
class OracleInpaint:
    """Inpaints exactly the truth mask, grown by one pixel: what a perfect detector would allow.

    Fast marching after Telea (2004) as in OpenCV, on crops around each component.

    Attributes:
        name: its row.
        radius: neighbourhood of the method in pixels.
    """

    name: str = ORACLE
    radius: int = 3
    reference: bool = True
    needs_truth: bool = True

    def fingerprint(self) -> Mapping[str, Any]:
        """Method and radius."""
        return {"reference": "telea", "radius": self.radius, "version": 2}

    def restore(self, given: Given) -> Restoration:
        """Fill the artefacts.

        Raises:
            BackendError: no truth mask is known.
        """
        if given.artefacts is None:
            raise BackendError("the oracle needs a ground truth")
        mask = grow(given.artefacts.astype(np.uint8), 1)
        filled = inpaint(given.pixels, mask, self.radius, given.white)
        return Restoration(filled, mask.astype(bool))


def inpaint(picture: Pixels, mask: Bytes, radius: int, white: float = 1.0) -> Pixels:
    """Telea's method on the crop of each connected part of the mask.

    Args:
        picture: (H, W, S).
        mask: uint8 (H, W), what is not 0 is filled.
        radius: neighbourhood in pixels.
        white: what floats are scaled by: OpenCV fills floats wrongly, so they go as 16 bits.

    Returns:
        A copy with the masked samples replaced.
    """
    output = np.array(picture)
    floats = picture.dtype.kind == "f"
    total, labels = components(mask)
    margin = 4 * radius
    boxes: list[tuple[slice, slice]] = find_objects(labels, total)
    for number, (rows, columns) in enumerate(boxes, 1):
        crop = (_grow(rows, margin, mask.shape[0]), _grow(columns, margin, mask.shape[1]))
        holes = mask[crop]
        own = labels[crop] == number
        for sample in range(picture.shape[2]):
            source = picture[crop][..., sample]
            if floats:
                known = np.nan_to_num(source / white, nan=0.0, posinf=1.0, neginf=0.0)
                source = np.rint(65535 * known.clip(0, 1)).astype(np.uint16)
            filled: Any = cv2.inpaint(
                np.ascontiguousarray(source), holes, radius, cv2.INPAINT_TELEA
            )
            output[crop][..., sample][own] = (
                filled[own] * (white / 65535) if floats else filled[own]
            )
    return output


def _grow(span: slice, margin: int, limit: int) -> slice:
    return slice(max(0, span.start - margin), min(limit, span.stop + margin))


@dataclass(frozen=True)
class CallableRunner:
    """Any function of a picture, for the Python API and for tools outside darkroom.

    Attributes:
        name: its row.
        function: (H, W, S) picture -> Restoration. Must be importable to run in several processes.
        version: part of the cache key; change it when the function changes.
    """

    name: str
    function: Callable[[Pixels], Restoration]
    version: str = "1"
    reference: bool = False
    needs_truth: bool = False

    def fingerprint(self) -> Mapping[str, Any]:
        """Module, name and version of the function."""
        where = f"{self.function.__module__}.{self.function.__qualname__}"
        return {"callable": where, "name": self.name, "version": self.version}

    def restore(self, given: Given) -> Restoration:
        """Call the function."""
        return self.function(given.pixels)


def parse_backend(text: str) -> tuple[str, dict[str, str]]:
    """Split "name:option=value,option=value".

    Raises:
        UsageError: an option has no value, or none has a name.
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        option, equals, value = part.partition("=")
        if not equals or not option:
            raise UsageError(
                f"--backend {text}: {part!r} is no option",
                hint="write NAME or NAME:option=value,option=value",
            )
        options[option.strip()] = value.strip()
    if not name.strip():
        raise UsageError(f"--backend {text!r} names no backend")
    return name.strip(), options

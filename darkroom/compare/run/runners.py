"""What is compared: backends, and the two references that are always there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.regions import components
from darkroom.errors import BackendError, UsageError
from darkroom.scan import Bytes, Pixels

IDENTITY = "identity"
ORACLE = "oracle + inpaint"


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

    def restore(self, picture: Pixels, artefacts: NDArray[np.bool_] | None) -> Restoration:
        """Restore (H, W, S) native samples; `artefacts` is the truth mask, for the oracle."""


@runtime_checkable
class FileRunner(Protocol):
    """A runner that can also stream a whole scan from file to file."""

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

    def restore(self, picture: Pixels, artefacts: NDArray[np.bool_] | None) -> Restoration:
        """The picture as it is."""
        return Restoration(picture, np.zeros(picture.shape[:2], bool))


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
        return {"reference": "telea", "radius": self.radius, "version": 1}

    def restore(self, picture: Pixels, artefacts: NDArray[np.bool_] | None) -> Restoration:
        """Fill the artefacts.

        Raises:
            BackendError: no truth mask is known.
        """
        if artefacts is None:
            raise BackendError("the oracle needs a ground truth")
        mask = cv2.dilate(artefacts.astype(np.uint8), np.ones((3, 3), np.uint8))
        mask = np.asarray(mask, np.uint8)
        return Restoration(inpaint(picture, mask.astype(np.uint8), self.radius), mask.astype(bool))


def inpaint(picture: Pixels, mask: Bytes, radius: int) -> Pixels:
    """Telea's method on each component's crop: (H, W, S) in, the same out."""
    output = np.array(picture)
    total, labels = components(mask)
    margin = 4 * radius
    for number, (rows, columns) in enumerate(_boxes(labels, total), 1):
        crop = (_grow(rows, margin, mask.shape[0]), _grow(columns, margin, mask.shape[1]))
        holes = mask[crop]
        own = labels[crop] == number
        for sample in range(picture.shape[2]):
            source = np.ascontiguousarray(picture[crop][..., sample])
            filled = np.asarray(cv2.inpaint(source, holes, radius, cv2.INPAINT_TELEA))
            output[crop][..., sample][own] = filled[own]
    return output


def _boxes(labels: NDArray[np.int32], number: int) -> list[tuple[slice, slice]]:
    from scipy.ndimage import find_objects

    boxes: list[tuple[slice, slice]] = find_objects(labels, number)
    return boxes


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

    def restore(self, picture: Pixels, artefacts: NDArray[np.bool_] | None) -> Restoration:
        """Call the function."""
        return self.function(picture)


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

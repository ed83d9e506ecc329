"""The receipt of a run: what was done, and the proof that nothing else was."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Pixels

SCHEMA = 1


@dataclass(slots=True)
class Receipt:
    """What one run did; written as `NAME.receipt.json`.

    Attributes:
        source: the scan.
        output: the cleaned scan, or None for a dry run.
        mask: the mask file, or None.
        darkroom: version of the program.
        backend: name of the backend.
        backend_version: version of the distribution it came from.
        inpainter: name of the inpainter, or None where the backend fills itself.
        device: where it computed.
        preset: name of the preset, or None.
        preset_digest: SHA-256 of its text.
        options: everything that decides the result.
        width: columns.
        height: rows.
        artefacts: number of separate places repaired.
        changed_pixels: pixels that differ from the source.
        masked_pixels: pixels under the mask, which alone may differ.
        untouched_before: SHA-256 of the source's samples with those under the mask set to 0.
        untouched_after: the same of the output, read back from the disk.
        noise: of the survey, as a share of full scale.
        seconds: wall time.
        peak_memory: largest resident memory of the process so far, in bytes.
        infrared: where the infrared was found, whether it was used or why not, and what it showed;
            None where there is none or it was not wanted.
        warnings: what a user should know.
        lost: metadata that the output's format cannot carry.
    """

    source: str
    output: str | None
    mask: str | None
    darkroom: str
    backend: str
    backend_version: str
    inpainter: str | None
    device: str
    preset: str | None
    preset_digest: str | None
    options: dict[str, Any]
    width: int
    height: int
    artefacts: int = 0
    changed_pixels: int = 0
    masked_pixels: int = 0
    untouched_before: str | None = None
    untouched_after: str | None = None
    noise: float = 0.0
    seconds: float = 0.0
    peak_memory: int = 0
    infrared: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def megapixels(self) -> float:
        """Millions of pixels of the scan."""
        return self.width * self.height / 1e6

    @property
    def coverage(self) -> float:
        """Share of pixels under the mask."""
        return self.masked_pixels / (self.width * self.height)

    @property
    def changed_share(self) -> float:
        """Share of pixels that differ from the source."""
        return self.changed_pixels / (self.width * self.height)

    def as_dict(self) -> dict[str, Any]:
        """The receipt as plain values, with its schema number and derived figures."""
        return {
            "schema": SCHEMA,
            **asdict(self),
            "megapixels": round(self.megapixels, 6),
            "coverage": self.coverage,
            "changed_share": self.changed_share,
            "megapixels_per_second": self.megapixels / self.seconds if self.seconds else None,
        }

    def as_json(self) -> str:
        """The receipt as indented JSON."""
        return json.dumps(self.as_dict(), indent=2, default=_plain) + "\n"


def _plain(value: object) -> object:
    """What JSON has no form for: paths and lengths as text."""
    return str(value) if isinstance(value, Path) else asdict(value)  # type: ignore[call-overload]


class UntouchedDigest:
    """SHA-256 over all samples, with picture samples under the mask set to zero.

    Two scans with equal digests are bit-identical wherever the mask is 0, and in their extra
    samples everywhere.
    """

    def __init__(self, channels: int) -> None:
        self._hash = hashlib.sha256()
        self._channels = channels

    def update(self, rows: Pixels, marked: NDArray[np.intp]) -> None:
        """Add the next rows: (n, W, S) samples and which pixels are under the mask, row by row."""
        if marked.size:
            pixels = rows.reshape(-1, rows.shape[2]).copy()
            pixels[marked, : self._channels] = 0
            rows = pixels
        self._hash.update(np.ascontiguousarray(rows).data)

    def hexdigest(self) -> str:
        """The digest of everything added."""
        return self._hash.hexdigest()

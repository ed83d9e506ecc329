"""The receipt of a run: what was done, and the proof that nothing else was."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import bands
from darkroom.io.beside import RECEIPT_ENDING
from darkroom.io.files import reading
from darkroom.io.scratch import Spool
from darkroom.packed import ROWS, pack, unpack
from darkroom.scan import Bytes, Pixels
from darkroom.values import read_json

SCHEMA = 2
LARGEST = 1 << 30  # bytes; no receipt comes near


@dataclass(slots=True)
class Receipt:
    """What one run did; written beside its output, under its whole name and `.receipt.json`.

    Attributes:
        source: the scan.
        output: the cleaned scan, or None for a dry run.
        mask: the mask file, or None.
        files: every file read or written, by its part ("source", "output", "mask", "given_mask",
            "exclude", "infrared", "reference"): its `path` as seen from the receipt's folder, its
            size in `bytes`, and the `sha256` of all of it.
        darkroom: version of the program.
        backend: name of the backend.
        backend_version: version of the distribution it came from.
        inpainter: name of the inpainter, or None where the backend fills itself.
        inpainter_version: version of the distribution that came from, or None.
        weights: by backend, the `file` its weights came from and the `sha256` of their tensors.
        numeric: what the last bit of a result can depend on: `precision` by backend,
            `processor` (what of it the libraries use) and versions of `libraries`.
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
        packed_mask: the mask itself, as `pack_mask` makes it.
        noise: of the survey, as a share of full scale.
        seconds: wall time.
        peak_memory: largest resident memory of the process so far, in bytes.
        infrared: where the infrared was found, whether it was used or why not, and what it showed;
            None where there is none or it was not wanted.
        reference: of dirt that stays in place, where it was known: how many `places` the map has,
            its `sha256`, from how many `pictures` among how many `frames` it was learnt (None
            where it was given), and how many thin places were `divided` out of this frame.
        decisions: of a review that were honoured: their `file`, its `sha256`, how many marks were
            `vetoed`, how many pixels `erased` and `painted`; None where there are none.
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
    inpainter_version: str | None = None
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: dict[str, dict[str, str]] = field(default_factory=dict)
    numeric: dict[str, Any] = field(default_factory=dict)
    artefacts: int = 0
    changed_pixels: int = 0
    masked_pixels: int = 0
    untouched_before: str | None = None
    untouched_after: str | None = None
    packed_mask: dict[str, Any] | None = None
    noise: float = 0.0
    seconds: float = 0.0
    peak_memory: int = 0
    infrared: dict[str, Any] | None = None
    reference: dict[str, Any] | None = None
    decisions: dict[str, Any] | None = None
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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], origin: Path | str) -> Self:
        """The receipt that `as_dict` described; older schemas leave out what they did not have.

        Raises:
            InputError: a newer schema, or no receipt.
        """
        schema = values.get("schema")
        if not isinstance(schema, int) or schema < 1:
            raise InputError(f"{origin}: not a receipt of darkroom")
        if schema > SCHEMA:
            raise InputError(
                f"{origin}: a receipt of schema {schema}; this version reads up to {SCHEMA}",
                hint="Update darkroom.",
            )
        known = {f.name for f in fields(cls)}
        try:
            return cls(**{key: value for key, value in values.items() if key in known})
        except TypeError as error:
            raise InputError(f"{origin}: the receipt is incomplete: {error}") from error


def receipt_path(output: Path) -> Path:
    """Where the receipt of an output lies: under its whole name, so that no two share one."""
    return output.with_name(output.name + RECEIPT_ENDING)


def load_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises:
        InputError: the file cannot be read, is no receipt, or is of a newer version.
    """
    with reading(path, "receipt"):
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: too large to be a receipt")
        values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a receipt of darkroom")
    return Receipt.from_dict(values, path)


def pack_mask(mask: Spool) -> dict[str, Any]:
    """The mask of a frame as plain values for a receipt.

    Args:
        mask: uint8, 0 or 255.

    Returns:
        `width` and `height` in pixels; `data`, as `darkroom.packed` packs it; and `sha256` of the
        same bits before they are compressed.
    """
    digest = hashlib.sha256()

    def rows() -> Iterator[Bytes]:
        for window in bands(mask.width, mask.height, ROWS):
            band = mask.read(window)[..., 0]
            digest.update(_bits(band))
            yield band

    data = pack(rows())
    return {
        "width": mask.width,
        "height": mask.height,
        "sha256": digest.hexdigest(),
        "data": data,
    }


def unpack_mask(packed: Mapping[str, Any]) -> Iterator[tuple[int, Bytes]]:
    """The mask of a receipt from top to bottom: (first row, uint8 (rows, width), 0 or 255).

    Raises:
        InputError: it is damaged, or its digest differs, which is known after the last rows.
    """
    digest = hashlib.sha256()
    try:
        width, height = int(packed["width"]), int(packed["height"])
        text, expected = str(packed["data"]), packed["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the mask of a receipt is damaged: {error!r}") from error
    for y, band in unpack(text, width, height):
        digest.update(_bits(band))
        yield y, band
    if digest.hexdigest() != expected:
        raise InputError("the mask of a receipt is not the one that was packed: its digest differs")


def _bits(band: Bytes) -> bytes:
    return np.packbits(band > 0, axis=1).tobytes()


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

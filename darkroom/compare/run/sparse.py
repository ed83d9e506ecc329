"""A restoration kept as what it changed: small for a tool that changes little."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import BackendError
from darkroom.scan import Bytes, Pixels


@dataclass(frozen=True, slots=True)
class Plane:
    """A bool plane of one bit a pixel.

    Attributes:
        bits: uint8 (H, ceil(W / 8)), most significant bit first.
        width: W.
    """

    bits: Bytes
    width: int

    @classmethod
    def pack(cls, plane: NDArray[np.bool_]) -> Self:
        """Pack a bool (H, W)."""
        return cls(np.packbits(plane, axis=1), plane.shape[1])

    @classmethod
    def stack(cls, bands: "list[Plane]") -> Self:
        """Join the planes of consecutive bands of rows."""
        return cls(np.concatenate([band.bits for band in bands]), bands[0].width)

    def rows(self, top: int = 0, bottom: int | None = None) -> NDArray[np.bool_]:
        """Unpack some rows: bool (bottom - top, W)."""
        bits = self.bits[top:bottom]
        return np.unpackbits(bits, axis=1, count=self.width).astype(bool)


@dataclass(frozen=True, slots=True)
class Changes:
    """The pixels of a restoration that differ from the scan.

    Attributes:
        where: which pixels differ in any sample.
        values: (N, S) their new samples, native dtype, row by row.
        starts: (H + 1,) index into `values` at which each row begins.
    """

    where: Plane
    values: Pixels
    starts: NDArray[np.int64]

    @classmethod
    def between(cls, scan: Pixels, output: Pixels) -> Self:
        """Compare two (H, W) or (H, W, S) pictures of one shape and dtype.

        Raises:
            BackendError: the shapes or sample types differ.
        """
        if scan.shape != output.shape or scan.dtype != output.dtype:
            raise BackendError(
                f"the backend returned {output.shape} {output.dtype}, "
                f"not {scan.shape} {scan.dtype} like the scan"
            )
        scan, output = _samples(scan), _samples(output)
        both_nan = np.logical_and(_nan(scan), _nan(output))
        differs = np.any((scan != output) & np.logical_not(both_nan), axis=2)
        return cls.at(differs, output)

    @classmethod
    def at(cls, differs: NDArray[np.bool_], output: Pixels) -> Self:
        """From a plane of changed pixels, bool (H, W), and the picture (H, W, S)."""
        starts = np.concatenate([[0], np.cumsum(differs.sum(axis=1, dtype=np.int64))])
        return cls(Plane.pack(differs), output[differs], starts)

    def apply(self, scan: Pixels, top: int = 0) -> Pixels:
        """The restored picture for rows `top` and on of the scan, given those rows."""
        bottom = top + scan.shape[0]
        output = np.array(scan)
        inside = self.where.rows(top, bottom)
        _samples(output)[inside] = self.values[self.starts[top] : self.starts[bottom]]
        return output

    @classmethod
    def stack(cls, bands: "list[Changes]") -> Self:
        """Join the changes of consecutive bands of rows."""
        where = Plane.stack([band.where for band in bands])
        values = np.concatenate([band.values for band in bands])
        counts = np.concatenate([np.diff(band.starts) for band in bands])
        starts = np.concatenate([[0], np.cumsum(counts)])
        return cls(where, values, starts)


def _samples(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _nan(pixels: Pixels) -> Any:
    return np.isnan(pixels) if pixels.dtype.kind == "f" else False

"""Segments of TIFF pixels to arrays and back: compression, predictor, byte order.

Decoding is strict: a segment that gives fewer bytes than its size says is an error, never
filled up, because a pixel made up here would be written to the cleaned scan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from darkroom.io.jpeg.header import MOST_SCANS, jpeg_size
from darkroom.io.tiff.ifd import ByteOrder

NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD = 1, 5, 7, 8, 32946, 32773, 50000
Raw: TypeAlias = bytes | bytearray | memoryview


class SegmentError(ValueError):
    """A segment cannot be decoded to the size it must have."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How the segments of one page are coded.

    Attributes:
        compression: TIFF code.
        predictor: 1 none, 2 horizontal, 3 floating point.
        order: byte order of the samples.
        dtype: of a sample, native byte order.
        samples: samples a pixel within a segment (1 where planes are apart).
        reversed_bits: FillOrder 2.
        ycc: JPEG holds YCbCr and gives RGB.
        tables: JPEG tables shared by all segments.
    """

    compression: int
    predictor: int
    order: ByteOrder
    dtype: np.dtype[Any]
    samples: int
    reversed_bits: bool = False
    ycc: bool = False
    tables: bytes | None = None

    def row_bytes(self, columns: int) -> int:
        """Bytes of one decoded row."""
        return columns * self.samples * self.dtype.itemsize


def decode(data: bytes, coding: Coding, columns: int, rows: int, most_rows: int) -> NDArray[Any]:
    """Decode one segment.

    Args:
        data: bytes as stored.
        coding: how they are coded.
        columns: width of the segment.
        rows: rows wanted.
        most_rows: rows the segment may hold (the last strip is sometimes padded).

    Returns:
        (rows, columns, samples) in native byte order.

    Raises:
        SegmentError: if the data are damaged or too short.
    """
    if coding.reversed_bits:
        data = bytes(imagecodecs.bitorder_decode(data))
    if coding.compression == JPEG:
        return _decode_jpeg(data, coding, columns, rows)
    row_bytes = coding.row_bytes(columns)
    raw = _decompress(data, coding.compression, row_bytes * most_rows)
    if len(raw) < row_bytes * rows:
        raise SegmentError(f"a segment holds {len(raw)} bytes of {row_bytes * rows}")
    return unpack(memoryview(raw)[: row_bytes * rows], coding, columns)


def decode_into(
    data: NDArray[np.uint8], out: NDArray[np.uint8], coding: Coding, shape: tuple[int, ...]
) -> int:
    """Decompress a segment into memory that is given, predictor and byte order left as they are.

    Args:
        data: uint8 (n,), the bytes as stored.
        out: uint8 (m,), room for all rows that the segment may hold.
        coding: how it is coded; JPEG, PackBits or ZSTD, in the usual order of bits.
        shape: (rows, bytes of a row, 1) of `out`.

    Returns:
        Bytes decoded.

    Raises:
        SegmentError: if the data are damaged.
    """
    try:
        if coding.compression == JPEG:
            pixels = out.view(coding.dtype).reshape(shape[0], -1, coding.samples)
            space, back = _jpeg_spaces(coding)
            flat = pixels if coding.samples > 1 else pixels[..., 0]
            _jpeg_into(data, tables=coding.tables, colorspace=space, outcolorspace=back, out=flat)
            return out.nbytes
        return len(_INTO[coding.compression](data, out=out))
    except Exception as error:
        raise SegmentError(f"a segment cannot be decompressed ({error})") from error


def unpack(raw: Raw, coding: Coding, columns: int) -> NDArray[Any]:
    """Whole rows of decompressed bytes as (rows, columns, samples), predictor undone."""
    if coding.predictor == 3:
        # Bytes of a row are sorted by significance, so the file's byte order does not matter.
        stored = np.frombuffer(raw, coding.dtype).reshape(-1, columns, coding.samples)
        return np.asarray(imagecodecs.floatpred_decode(stored, axis=-2))
    pixels = np.frombuffer(raw, coding.dtype.newbyteorder(coding.order))
    pixels = pixels.reshape(-1, columns, coding.samples).astype(coding.dtype, copy=False)
    if coding.predictor == 2:
        integers = pixels.view(f"u{coding.dtype.itemsize}")
        return np.asarray(imagecodecs.delta_decode(integers, axis=1)).view(coding.dtype)
    return pixels


def encode(pixels: NDArray[Any], coding: Coding, level: int | None = None) -> bytes:
    """Encode (rows, columns, samples) as one segment; JPEG is not offered."""
    if coding.predictor == 3:
        stored = np.asarray(imagecodecs.floatpred_encode(np.ascontiguousarray(pixels), axis=-2))
    elif coding.predictor == 2:
        integers = np.ascontiguousarray(pixels).view(f"u{coding.dtype.itemsize}")
        stored = np.asarray(imagecodecs.delta_encode(integers, axis=1))
        stored = stored.astype(stored.dtype.newbyteorder(coding.order), copy=False)
    else:
        stored = pixels.astype(coding.dtype.newbyteorder(coding.order), copy=False)
    data = np.ascontiguousarray(stored)
    if coding.compression == NONE:
        return data.tobytes()
    if coding.compression == PACKBITS:
        # TIFF wants every row packed by itself.
        return bytes(
            imagecodecs.packbits_encode(data.view(np.uint8).reshape(len(data), -1), axis=-1)
        )
    return bytes(_ENCODERS[coding.compression](data.tobytes(), level))


def _decompress(data: bytes, compression: int, most: int) -> Raw:
    if compression == NONE:
        return data
    try:
        raw: Raw = _DECODERS[compression](data, most)
    except KeyError:
        raise SegmentError(f"compression {compression} is not supported") from None
    except Exception as error:
        raise SegmentError(f"a segment cannot be decompressed ({error})") from error
    return raw


def _inflate(data: bytes, most: int) -> Raw:
    try:
        return bytes(imagecodecs.deflate_decode(data, out=most))
    except Exception:
        # Some writers leave the checksum off, which the slower decoder can tell us about.
        return bytes(imagecodecs.zlib_decode(data, out=most))


def _decode_jpeg(data: bytes, coding: Coding, columns: int, rows: int) -> NDArray[Any]:
    space, out = _jpeg_spaces(coding)
    try:
        size = jpeg_size(data)
        if size.width * size.height > 2 * columns * rows + 4096:
            raise SegmentError("larger than its page says")
        if data.count(b"\xff\xda") > MOST_SCANS:
            raise SegmentError(f"it comes in more than {MOST_SCANS} scans")
        if data.find(b"\xff\xd9", data.find(b"\xff\xda")) < 0:
            raise SegmentError("its end marker is missing")
        pixels = np.asarray(
            imagecodecs.jpeg_decode(data, tables=coding.tables, colorspace=space, outcolorspace=out)
        )
    except Exception as error:
        raise SegmentError(f"a JPEG segment cannot be decoded ({error})") from error
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.dtype != coding.dtype or pixels.shape[2] != coding.samples:
        raise SegmentError("a JPEG segment holds another kind of pixels than its page says")
    if pixels.shape[0] < rows or pixels.shape[1] < columns:
        raise SegmentError("a JPEG segment is smaller than its page says")
    return pixels[:rows, :columns]


def _jpeg_spaces(coding: Coding) -> tuple[int | None, int | None]:
    """Colour space of a JPEG segment, and of the pixels wanted, as libjpeg numbers them."""
    if coding.ycc:
        return 3, 2
    return (2, 2) if coding.samples == 3 else (None, None)


# These take arrays too, which their annotations do not say.
_jpeg_into: Any = imagecodecs.jpeg8_decode
_INTO: dict[int, Any] = {PACKBITS: imagecodecs.packbits_decode, ZSTD: imagecodecs.zstd_decode}
_DECODERS: dict[int, Callable[[bytes, int], Raw]] = {
    LZW: lambda data, most: bytes(imagecodecs.lzw_decode(data, out=most)),
    DEFLATE: _inflate,
    OLD_DEFLATE: _inflate,
    PACKBITS: lambda data, most: bytes(imagecodecs.packbits_decode(data, out=most)),
    ZSTD: lambda data, most: bytes(imagecodecs.zstd_decode(data, out=most)),
}
_ENCODERS: dict[int, Callable[[bytes, int | None], Raw]] = {
    LZW: lambda data, level: imagecodecs.lzw_encode(data),
    DEFLATE: lambda data, level: imagecodecs.deflate_encode(data, level=level or 6),
    OLD_DEFLATE: lambda data, level: imagecodecs.deflate_encode(data, level=level or 6),
    ZSTD: lambda data, level: imagecodecs.zstd_encode(data, level=level or 9),
}

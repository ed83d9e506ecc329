"""Decoding one large segment a slice of rows at a time, so that it never lies whole in memory."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from darkroom.io import tiff_codecs as codecs
from darkroom.io.lzw_stream import LzwError, inflate_lzw
from darkroom.io.tiff_codecs import Coding, SegmentError

BLOCK = 1 << 20  # compressed bytes read at a time
WHOLE_LIMIT = 2 << 30  # most bytes decoded in one piece where a codec cannot be streamed
Read = Callable[[int, int], bytes]


def stream_rows(
    read: Read,
    offset: int,
    count: int,
    coding: Coding,
    columns: int,
    rows: int,
    slice_rows: int,
    most_rows: int,
) -> Iterator[NDArray[Any]]:
    """Yield a segment's pixels in slices of `slice_rows` rows, the last one shorter.

    Args:
        read: (offset, count) -> bytes of the file.
        offset: of the segment.
        count: bytes of the segment.
        coding: how it is coded.
        columns: its width.
        rows: its rows.
        slice_rows: rows of each slice.
        most_rows: rows it may hold at most.

    Raises:
        SegmentError: if it is damaged or too short.
    """
    row_bytes = coding.row_bytes(columns)
    chunks = _chunks(read, offset, count, coding, most_rows * row_bytes)
    if chunks is None:
        if rows * row_bytes > WHOLE_LIMIT:
            raise SegmentError("it is too large to be decoded in one piece")
        pixels = codecs.decode(read(offset, count), coding, columns, rows, most_rows)
        for y in range(0, rows, slice_rows):
            yield pixels[y : y + slice_rows]
        return
    held, left = bytearray(), rows
    try:
        for chunk in chunks:
            held += chunk
            while left and len(held) >= (take := min(slice_rows, left)) * row_bytes:
                yield codecs.unpack(bytes(held[: take * row_bytes]), coding, columns)
                del held[: take * row_bytes]
                left -= take
            if not left:
                held.clear()  # padding; the stream is read on for its checksum
    except LzwError as error:
        raise SegmentError(str(error)) from error
    if left:
        raise SegmentError(f"it ends {left} rows early")


def _chunks(
    read: Read, offset: int, count: int, coding: Coding, most: int
) -> Iterator[bytes] | None:
    """Decompressed bytes in pieces, or None where the codec cannot be streamed."""
    if coding.reversed_bits:
        return None
    if coding.compression == codecs.NONE:
        return (read(offset + at, min(BLOCK, count - at)) for at in range(0, count, BLOCK))
    if coding.compression in (codecs.DEFLATE, codecs.OLD_DEFLATE):
        return _inflated(read, offset, count, most)
    if coding.compression == codecs.LZW:
        return inflate_lzw(read, offset, count)
    return None


def _inflated(read: Read, offset: int, count: int, most: int) -> Iterator[bytes]:
    """A deflate stream to its end, checksum included, inflated in blocks of bounded size."""
    inflater = zlib.decompressobj()
    at = produced = 0
    while not inflater.eof:
        data = inflater.unconsumed_tail
        if not data:
            if at >= count:
                raise SegmentError("it is cut short")
            data = read(offset + at, min(BLOCK, count - at))
            at += len(data)
        try:
            block = inflater.decompress(data, 4 * BLOCK)
        except zlib.error as error:
            raise SegmentError(str(error)) from error
        produced += len(block)
        if produced > most:
            raise SegmentError("it holds more than its size says")
        yield block

"""Decoding one large segment a slice of rows at a time, so that it never lies whole in memory."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from darkroom.io import tiff_codecs as codecs
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
    if coding.compression in (codecs.DEFLATE, codecs.OLD_DEFLATE) and not coding.reversed_bits:
        chunks = _inflated(read, offset, count, rows * row_bytes)
    elif coding.compression == codecs.NONE and not coding.reversed_bits:
        chunks = (read(offset + at, min(BLOCK, count - at)) for at in range(0, count, BLOCK))
    else:
        if rows * row_bytes > WHOLE_LIMIT:
            raise SegmentError("it is too large to be decoded in one piece")
        pixels = codecs.decode(read(offset, count), coding, columns, rows, most_rows)
        for y in range(0, rows, slice_rows):
            yield pixels[y : y + slice_rows]
        return
    held, left = bytearray(), rows
    for chunk in chunks:
        held += chunk
        while left and len(held) >= (take := min(slice_rows, left)) * row_bytes:
            yield codecs.unpack(bytes(held[: take * row_bytes]), coding, columns)
            del held[: take * row_bytes]
            left -= take
        if not left:
            return
    raise SegmentError(f"it ends {left} rows early")


def _inflated(read: Read, offset: int, count: int, wanted: int) -> Iterator[bytes]:
    """A deflate stream, inflated in blocks of bounded size, no further than `wanted` bytes."""
    inflater = zlib.decompressobj()
    at = 0
    while wanted > 0 and not inflater.eof:
        data = inflater.unconsumed_tail
        if not data:
            if at >= count:
                return
            data = read(offset + at, min(BLOCK, count - at))
            at += len(data)
        try:
            block = inflater.decompress(data, 4 * BLOCK)
        except zlib.error as error:
            raise SegmentError(str(error)) from error
        wanted -= len(block)
        yield block

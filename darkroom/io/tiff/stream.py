"""Decoding one large segment a slice of rows at a time, so that it never lies whole in memory."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.io.jpeg.header import MOST_SCANS, coefficient_bytes, jpeg_size
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.tiff import codecs as codecs
from darkroom.io.tiff.codecs import Coding, SegmentError
from darkroom.io.tiff.lzw import LzwError, inflate_lzw

BLOCK = 1 << 20  # compressed bytes read at a time
_MOST_EXPANSION = 40_000  # of ZSTD, whose blocks of 128 KiB take four bytes at least
STREAMED = (codecs.NONE, codecs.LZW, codecs.DEFLATE, codecs.OLD_DEFLATE)  # by their codecs
MAPPED_MEMORY = 16 << 20  # what of a spool is in memory while a codec fills it, about
Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Segment:
    """One strip or tile of a file.

    Attributes:
        read: (offset, count) -> bytes of the file.
        offset: where it starts.
        count: its bytes.
        coding: how it is coded.
        columns: its width.
        rows: rows wanted.
        most_rows: rows it may hold (the last strip is sometimes padded).
    """

    read: Read
    offset: int
    count: int
    coding: Coding
    columns: int
    rows: int
    most_rows: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one decoded row."""
        return self.coding.row_bytes(self.columns)

    def pieces(self) -> Iterator[bytes]:
        """The bytes as stored, in order."""
        for at in range(0, self.count, BLOCK):
            yield self.read(self.offset + at, min(BLOCK, self.count - at))


def stream_rows(segment: Segment, slice_rows: int, scratch: Scratch) -> Iterator[NDArray[Any]]:
    """Yield a segment's pixels in slices of `slice_rows` rows, the last one shorter.

    Args:
        segment: what to decode.
        slice_rows: rows of each slice.
        scratch: where a segment is unpacked to whose codec gives nothing before its end.

    Raises:
        SegmentError: if it is damaged or too short.
    """
    if segment.coding.reversed_bits:
        segment = _in_usual_order(segment)
    chunks = _chunks(segment)
    if chunks is None:
        yield from unpacked_rows(segment, slice_rows, scratch)
        return
    coding, row_bytes = segment.coding, segment.row_bytes
    held, left = bytearray(), segment.rows
    try:
        for chunk in chunks:
            held += chunk
            while left and len(held) >= (take := min(slice_rows, left)) * row_bytes:
                yield codecs.unpack(bytes(held[: take * row_bytes]), coding, segment.columns)
                del held[: take * row_bytes]
                left -= take
            if not left:
                held.clear()  # padding; the stream is read on for its checksum
    except LzwError as error:
        raise SegmentError(str(error)) from error
    if left:
        raise SegmentError(f"it ends {left} rows early")


def _in_usual_order(segment: Segment) -> Segment:
    """The segment with its bits turned round as they are read."""

    def read(offset: int, count: int) -> bytes:
        return bytes(imagecodecs.bitorder_decode(segment.read(offset, count)))

    return replace(segment, read=read, coding=replace(segment.coding, reversed_bits=False))


def _chunks(segment: Segment) -> Iterator[bytes] | None:
    """Decompressed bytes in pieces, or None where the codec cannot be streamed."""
    coding = segment.coding
    if coding.compression == codecs.NONE:
        return segment.pieces()
    if coding.compression in (codecs.DEFLATE, codecs.OLD_DEFLATE):
        most = segment.most_rows * segment.row_bytes
        return _inflated(segment.read, segment.offset, segment.count, most)
    if coding.compression == codecs.LZW:
        return inflate_lzw(segment.read, segment.offset, segment.count)
    return None


def unpacked_rows(segment: Segment, slice_rows: int, scratch: Scratch) -> Iterator[NDArray[Any]]:
    """The rows of a segment that its codec decodes in one call only: from disk to disk.

    The stored bytes and the decoded ones lie in spools that are mapped for the call, so that
    neither is in memory as a whole. Arguments and errors as for `stream_rows`.
    """
    coding, row_bytes, rows = segment.coding, segment.row_bytes, segment.rows
    if rows * row_bytes > _MOST_EXPANSION * segment.count:
        raise SegmentError("it is too short for its size")
    if coding.compression == codecs.JPEG:
        size = jpeg_size(segment.read(segment.offset, min(segment.count, BLOCK)))
        if (size.width, size.components) != (segment.columns, coding.samples):
            raise SegmentError("a JPEG segment holds another kind of pixels than its page says")
        need = coefficient_bytes(segment.read(segment.offset, min(segment.count, BLOCK)))
        if scratch.memory is not None and need > scratch.memory:
            raise SegmentError("a progressive JPEG that does not fit into the memory allowed")
        most_rows = size.height
    else:
        most_rows = segment.most_rows
    if not rows <= most_rows <= max(2 * rows, segment.most_rows):
        raise SegmentError("it is of another size than its page says")
    with scratch.spool(row_bytes, most_rows, 1, np.uint8) as raw:
        _unpack_into(segment, raw, scratch)
        for y in range(0, rows, slice_rows):
            count = min(slice_rows, rows - y)
            data = raw.read(Window(0, y, row_bytes, count)).tobytes()
            if coding.compression == codecs.JPEG:
                shape = (count, segment.columns, coding.samples)
                yield np.frombuffer(data, coding.dtype).reshape(shape)
            else:
                yield codecs.unpack(data, coding, segment.columns)


def _unpack_into(segment: Segment, raw: Spool, scratch: Scratch) -> None:
    """Decode a segment into a spool of its bytes."""
    with scratch.spool(segment.count, 1, 1, np.uint8) as packed:
        at = 0
        scans = 0
        for piece in segment.pieces():
            scans += piece.count(b"\xff\xda")
            if segment.coding.compression == codecs.JPEG and scans > MOST_SCANS:
                raise SegmentError(f"it comes in more than {MOST_SCANS} scans")
            packed.write(Window(at, 0, len(piece), 1), np.frombuffer(piece, np.uint8))
            at += len(piece)
        with packed.mapped(written=True) as stored:
            try:
                with raw.mapped(written=False) as out:
                    try:
                        shape = out.shape
                        decoded = codecs.decode_into(
                            stored.ravel(), out.ravel(), segment.coding, shape
                        )
                    finally:
                        del out
            finally:
                del stored  # or the traceback of an error would keep the mapping
    if decoded < segment.rows * segment.row_bytes:
        raise SegmentError(f"a segment holds {decoded} bytes of {segment.rows * segment.row_bytes}")


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
            block = inflater.decompress(data, BLOCK)
        except zlib.error as error:
            raise SegmentError(str(error)) from error
        produced += len(block)
        if produced > most:
            raise SegmentError("it holds more than its size says")
        yield block

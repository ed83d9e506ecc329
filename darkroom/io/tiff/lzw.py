"""Decoding a large LZW strip in pieces.

The encoder starts its table afresh with a clear code every few kilobytes. Between two of them
the width of each code depends only on its number, so the next clear code is found by looking at
all codes at once, and the stretches in between can be decoded each by itself.
Source: TIFF 6.0, section 13.
"""

from collections.abc import Callable, Iterator

import imagecodecs
import numpy as np
from numpy.typing import NDArray

CLEAR, END = 256, 257
_MOST_CODES = 4200  # after a clear code; the table is full after 3838
_PIECE = 48 << 10  # compressed bytes decoded at a time: a flat image expands them a thousandfold
_BUFFER = 1 << 20


class LzwError(ValueError):
    """The stream is damaged, or has no clear codes where it should."""


def _code_table() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First bit after the clear code, and width, of each code in a stretch."""
    number = np.arange(_MOST_CODES + 1)
    # The decoder's table ends at 256 + n before code n; widths grow one entry early.
    width = 9 + np.sum([256 + number >= (1 << bits) - 2 for bits in (9, 10, 11)], axis=0)
    return np.concatenate([[0], np.cumsum(width[:-1])]), width


_FIRST_BIT, _WIDTH = _code_table()
_STRETCH_BYTES = int(_FIRST_BIT[-1] + 12 + 7) // 8 + 4


def inflate_lzw(read: Callable[[int, int], bytes], offset: int, count: int) -> Iterator[bytes]:
    """The decoded bytes of an LZW strip in pieces of bounded size, to its end code.

    Args:
        read: (offset, count) -> bytes of the file.
        offset: of the strip.
        count: bytes of the strip.

    Raises:
        LzwError: if the stream is damaged.
    """
    base = 0  # strip offset of the buffer
    buffer = np.frombuffer(read(offset, min(_BUFFER, count)), np.uint8)
    if _code(buffer, 0, 9) != CLEAR:
        raise LzwError("it does not start with a clear code")
    start = bit = 9  # first bit after a clear code: of the piece, of the stretch
    while True:
        at_end = base + len(buffer) >= count
        if not at_end and bit // 8 + _STRETCH_BYTES > len(buffer):
            if start > 9 or bit > 9:
                yield _decoded(buffer, start, bit)
            base += bit // 8
            start = bit = bit % 8
            buffer = np.frombuffer(read(offset + base, min(_BUFFER, count - base)), np.uint8)
            continue
        stop, code = _stretch(buffer, bit)
        if code != CLEAR:
            yield _decoded(buffer, start, stop)
            return
        bit = stop
        if (bit - start) // 8 > _PIECE:
            yield _decoded(buffer, start, bit)
            start = bit


def _stretch(buffer: NDArray[np.uint8], bit: int) -> tuple[int, int]:
    """The bit after the next clear or end code, and that code.

    A stretch that ends with the data counts as ended.
    """
    positions = _FIRST_BIT + bit
    inside = int(np.searchsorted(positions + _WIDTH, 8 * len(buffer), "right"))
    positions, width = positions[:inside], _WIDTH[:inside]
    # Three bytes hold any code; the last ones are completed by zeros.
    data = np.concatenate([buffer[bit // 8 : bit // 8 + _STRETCH_BYTES], np.zeros(3, np.uint8)])
    first = positions // 8 - bit // 8
    word = data[first].astype(np.int64) << 16
    word |= data[first + 1].astype(np.int64) << 8
    word |= data[first + 2]
    codes = (word >> (24 - positions % 8 - width)) & ((1 << width) - 1)
    marks = np.flatnonzero((codes == CLEAR) | (codes == END))
    if len(marks):
        number = int(marks[0])
        return int(positions[number] + width[number]), int(codes[number])
    if inside < len(_FIRST_BIT):
        return 8 * len(buffer), END
    raise LzwError("a clear code is missing")


def _decoded(buffer: NDArray[np.uint8], start: int, stop: int) -> bytes:
    """Decode the bits from `start`, which follow a clear code, to `stop`."""
    # As many clear codes of nine bits in front as bring the bits to their place in a byte.
    clears = start % 8 or 8
    prefix = 0
    for _ in range(clears):
        prefix = prefix << 9 | CLEAR
    head = (prefix << (-9 * clears % 8)).to_bytes((9 * clears + 7) // 8, "big")
    body = buffer[start // 8 : (stop + 7) // 8].tobytes()
    if start % 8 and body:
        joined = head[-1] | (body[0] & (0xFF >> start % 8))
        data = head[:-1] + bytes([joined]) + body[1:]
    else:
        data = head + body
    try:
        return bytes(imagecodecs.lzw_decode(data))
    except Exception as error:
        raise LzwError(str(error)) from error


def _code(buffer: NDArray[np.uint8], bit: int, width: int) -> int:
    word = int.from_bytes(buffer[bit // 8 : bit // 8 + 3].tobytes().ljust(3, b"\0"), "big")
    return word >> (24 - bit % 8 - width) & ((1 << width) - 1)

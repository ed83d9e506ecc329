"""Masks as text small enough to stand in a JSON file.

A packed mask is base64 of a zlib stream (RFC 1950) of the rows from top to bottom, one bit a pixel,
the first pixel of a row in the highest bit of its first byte, each row filled up to whole bytes.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from darkroom.errors import InputError
from darkroom.geometry import bands
from darkroom.mask import REPAIR
from darkroom.scan import Bytes

ROWS = 256  # unpacked at a time


def pack(rows: Iterable[Bytes]) -> str:
    """Pack bands of rows, uint8 (n, width), that follow one another; non-zero pixels are marked."""
    stream = zlib.compressobj(6)
    parts = [stream.compress(np.packbits(band > 0, axis=1).tobytes()) for band in rows]
    return base64.b64encode(b"".join([*parts, stream.flush()])).decode("ascii")


def unpack(text: str, width: int, height: int) -> Iterator[tuple[int, Bytes]]:
    """The bands of a packed mask: (first row, uint8 (n, width) of 0 or 255), top to bottom.

    Raises:
        InputError: the text is damaged or of a mask of another size.
    """
    stride = -(-width // 8)
    stream = zlib.decompressobj()
    try:
        data = stream.unconsumed_tail + base64.b64decode(text, validate=True)
        for window in bands(width, height, ROWS):
            wanted = stride * window.height
            block = bytearray()
            while len(block) < wanted and not stream.eof:
                part = stream.decompress(data, wanted - len(block))
                if not part and not stream.unconsumed_tail:
                    break
                block += part
                data = stream.unconsumed_tail
            if len(block) != wanted:
                raise ValueError("too short")
            packed = np.frombuffer(block, np.uint8).reshape(window.height, stride)
            yield window.y, np.unpackbits(packed, axis=1, count=width) * np.uint8(REPAIR)
        if stream.decompress(data, 1) or not stream.eof:
            raise ValueError("too long")
    except (ValueError, zlib.error, binascii.Error) as error:
        raise InputError(
            f"a packed mask is damaged or not of {width} x {height} pixels: {error}",
            hint="Clean the scan again; the file that holds the mask was changed or cut short.",
        ) from error

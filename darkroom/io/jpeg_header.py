"""The markers at the start of a JPEG stream: size, components and metadata segments.

Source: ITU-T T.81, annex B.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class JpegSize(NamedTuple):
    """Facts of the frame header.

    Attributes:
        width: columns.
        height: rows.
        components: 1 grey, 3 colour, 4 CMYK.
        bits: of a sample.
        process: marker's low byte, 0xC0 baseline, 0xC2 progressive, 0xC3 lossless.
    """

    width: int
    height: int
    components: int
    bits: int
    process: int


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker's low byte, payload) of each segment before the first scan.

    Raises:
        ValueError: if the stream is not a JPEG or ends early.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG stream")
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if at + 4 > len(data) or data[at] != 0xFF:
            raise ValueError("the JPEG header is cut short")
        marker = data[at + 1]
        if marker in _STANDALONE:
            at += 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        payload = data[at + 4 : at + 2 + length]
        if length < 2 or len(payload) != length - 2:
            raise ValueError("the JPEG header is cut short")
        yield marker, payload
        if marker == 0xDA:
            return
        at += 2 + length


def jpeg_size(data: bytes) -> JpegSize:
    """The frame header of a JPEG stream.

    Raises:
        ValueError: if there is none.
    """
    for marker, payload in segments(data):
        if marker in _FRAMES and len(payload) >= 6:
            bits, height, width, components = struct.unpack_from(">BHHB", payload)
            return JpegSize(width, height, components, bits, marker)
    raise ValueError("a JPEG stream without a frame")

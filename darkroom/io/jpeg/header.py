"""The markers at the start of a JPEG stream: size, components and metadata segments.

Source: ITU-T T.81, annex B.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

MOST_SEGMENTS = 20_000  # before the picture; real files have tens
MOST_SCANS = 128  # of a picture; encoders make ten, and each is decoded over all of it
_FILLING = re.compile(b"\xff+")
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
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
    """(marker's low byte, payload) of each segment up to the header of the first scan.

    Raises:
        ValueError: if the stream is not a JPEG or ends early.
    """
    return ((marker, payload) for marker, payload, _ in _segments(data))


def data_start(data: bytes) -> int:
    """Where the coded data of the first scan begin; errors as for `segments`."""
    return [end for _, _, end in _segments(data)][-1]


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker's low byte, payload, where it ends) of each segment."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG stream")
    at = 2
    for _ in range(MOST_SEGMENTS):
        filling = _FILLING.match(data, at)
        at = max(at, filling.end() - 1) if filling else at
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
        yield marker, payload, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length
    raise ValueError(f"a JPEG header of more than {MOST_SEGMENTS:,} segments")


def coefficient_bytes(data: bytes) -> int:
    """Memory that libjpeg needs to hold all coefficients, or 0 where it works row by row.

    A progressive stream, or one whose components come in scans of their own, says nothing of any
    row before its end (T.81, sections G.1 and A.2).

    Raises:
        ValueError: if the stream has no frame.
    """
    frame: bytes | None = None
    for marker, payload in segments(data):
        if marker in _FRAMES and len(payload) >= 6:
            frame, process = payload, marker
        if marker == 0xDA and frame is not None and len(payload) and len(frame) >= 6:
            components = [frame[6 + 3 * i : 9 + 3 * i] for i in range(frame[5])]
            if any(len(component) < 3 for component in components):
                break
            if process not in _PROGRESSIVE and payload[0] == len(components):
                return 0
            return _coefficients(frame, [c[1] for c in components])
    if frame is None:
        raise ValueError("a JPEG stream without a frame")
    return 0


def _coefficients(frame: bytes, sampling: list[int]) -> int:
    """Two bytes for each coefficient of the blocks that cover each component."""
    height, width = struct.unpack_from(">HH", frame, 1)
    across = max(max(s >> 4 for s in sampling), 1)
    down = max(max(s & 15 for s in sampling), 1)
    mcus = -(-width // (8 * across)) * -(-height // (8 * down))
    return sum(mcus * (s >> 4) * (s & 15) * 64 * 2 for s in sampling)


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

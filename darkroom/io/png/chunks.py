"""The chunks of a PNG: header, image data, and metadata that another PNG can hold.

Source: PNG specification, third edition, chapters 5 and 11.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import InputError
from darkroom.io.encoding import icc_judgement
from darkroom.io.files import TRUNCATED_HINT, PositionedFile
from darkroom.metadata import Chunk
from darkroom.scan import ColorProfile, Encoding

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEY = "XML:com.adobe.xmp"
# Chunks that say how to show the samples (before a palette would stand), and others of the
# specification that hold as long as samples keep their meaning.
COLOUR = ("cICP", "mDCV", "cLLI", "gAMA", "cHRM", "sRGB", "sBIT")
OTHERS = ("bKGD", "tRNS", "tIME", "pHYs")
TEXTS = ("tEXt", "zTXt", "iTXt")
MADE_ANEW = ("IHDR", "PLTE", "IDAT", "IEND", "iCCP", "eXIf")
MOST_CHUNKS = 10_000  # ancillary ones; real files have tens
CHANNELS = {0: (1, 0), 2: (3, 0), 4: (1, 1), 6: (3, 1)}  # colour type -> picture, extra samples
METRE = 0.0254  # metres in an inch
_METADATA = 64 << 20  # bytes of metadata at most, before and after inflating
_MOST_PIECES, _LEAST_PIECE = 100_000, 512  # image data in more and smaller pieces take minutes


@dataclass(frozen=True, slots=True)
class Header:
    """IHDR."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool

    def pack(self, height: int) -> bytes:
        """The chunk's data for an image of another height."""
        return struct.pack(
            ">IIBBBBB", self.width, height, self.bits, self.colour, 0, 0, self.interlaced
        )


def chunk(name: bytes, data: bytes) -> bytes:
    """A whole chunk: length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def scan_chunks(
    file: PositionedFile, losses: list[str]
) -> tuple[Header, list[Chunk], list[tuple[int, int]]]:
    """Header, the small chunks, and (offset, length) of each piece of image data.

    What of the small chunks is damaged, or more than a picture can need, goes to `losses`.
    """
    path, at = file.path, len(SIGNATURE)
    if file.head(8) != SIGNATURE:
        raise InputError(f"{path}: not a PNG file")
    header: Header | None = None
    chunks: list[Chunk] = []
    data: list[tuple[int, int]] = []
    room, too_many = _METADATA, 0
    while True:
        length, name = struct.unpack(">I4s", file.read(at, 8))
        if length >= 1 << 31 or at + 12 + length > file.size:
            raise InputError(f"{path}: truncated within a chunk", hint=TRUNCATED_HINT)
        if name == b"IDAT":
            data.append((at + 8, length))
        elif name == b"IEND":
            break
        elif name[:1].islower() and (length > room or len(chunks) == MOST_CHUNKS):
            too_many += 1
            if too_many > _MOST_PIECES * 10:
                raise InputError(f"{path}: holds more than a million chunks", hint=TRUNCATED_HINT)
        else:
            room -= length
            body = file.read(at + 8, length + 4)
            if zlib.crc32(name + body[:-4]) != struct.unpack(">I", body[-4:])[0]:
                if name[:1].isupper():
                    raise InputError(f"{path}: a chunk is damaged", hint=TRUNCATED_HINT)
                losses.append(f"PNG chunk {name.decode('latin-1')} (damaged in the source)")
            elif name == b"IHDR" and header is None:
                header = _header(path, body[:-4])
            else:
                chunks.append(Chunk(name.decode("latin-1"), body[:-4], bool(data)))
        at += 12 + length
    if header is None or not data:
        raise InputError(f"{path}: holds no image data", hint=TRUNCATED_HINT)
    if len(data) > _MOST_PIECES and file.size < _LEAST_PIECE * len(data):
        raise InputError(
            f"{path}: its image data are cut into {len(data):,} pieces",
            hint="open it in another program and save it again",
        )
    if too_many:
        losses.append(f"{too_many:,} further PNG chunks (more than a picture can need)")
    return header, chunks, data


def _header(path: Path, data: bytes) -> Header:
    if len(data) != 13:
        raise InputError(f"{path}: its header is damaged", hint=TRUNCATED_HINT)
    width, height, bits, colour, method, filters, interlace = struct.unpack(">IIBBBBB", data)
    if colour == 3:
        raise InputError(
            f"{path}: palette PNGs are not supported", hint="convert it to grey or RGB first"
        )
    if colour not in CHANNELS or method or filters or interlace > 1:
        raise InputError(f"{path}: its header is damaged", hint=TRUNCATED_HINT)
    if bits not in (8, 16):
        raise InputError(
            f"{path}: {bits}-bit PNGs are not supported", hint="convert it to 8 or 16 bits first"
        )
    return Header(width, height, bits, colour, bool(interlace))


def kept(name: str) -> bool:
    """Whether a chunk is carried: understood, made anew, or by its letters safe to copy.

    The fourth letter says whether a chunk still holds once samples have changed (PNG
    specification, third edition, section 5.4).
    """
    return name in (*COLOUR, *OTHERS, *TEXTS, *MADE_ANEW) or name[3].islower()


def carried(chunks: list[Chunk]) -> Iterator[Chunk]:
    """The chunks that another PNG repeats as they are, in the order in which it does.

    Of those that may stand once, the first.
    """
    seen = set()
    for each in sorted(chunks, key=_place):
        once = each.name in (*COLOUR, *OTHERS)
        if each.name in MADE_ANEW or not kept(each.name) or (once and each.name in seen):
            continue
        if not each.data.startswith(XMP_KEY.encode() + b"\0"):
            seen.add(each.name)
            yield each


def _place(each: Chunk) -> int:
    return 0 if each.name in COLOUR else 1 if each.name in OTHERS else 2


def resolution(first: dict[str, bytes]) -> tuple[float, float] | None:
    """Horizontal and vertical pixels per inch by the chunk pHYs, or None."""
    body = first.get("pHYs", b"")
    if len(body) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", body)
    return (x * METRE, y * METRE) if unit == 1 and x and y else None


def profile(first: dict[str, bytes]) -> ColorProfile:
    """The profile and encoding by the chunks iCCP, sRGB and gAMA."""
    icc = None
    if "iCCP" in first:
        _, _, rest = first["iCCP"].partition(b"\0")
        icc = _inflate(rest[1:])
    encoding, reason = icc_judgement(icc)
    if icc is None and "sRGB" in first:
        encoding, reason = Encoding.GAMMA, "its sRGB chunk"
    elif icc is None and len(first.get("gAMA", b"")) == 4:
        gamma = struct.unpack(">I", first["gAMA"])[0]
        encoding = Encoding.LINEAR if abs(gamma - 100_000) < 5_000 else Encoding.GAMMA
        reason = f"its gAMA chunk: gamma {100_000 / max(1, gamma):.2f}"
    return ColorProfile(icc, encoding, reason)


def texts(chunks: list[Chunk], losses: list[str]) -> Iterator[tuple[str, str]]:
    """Key and value of each text chunk; those that cannot be read go to `losses`."""
    room = _METADATA
    for each in chunks:
        if each.name in TEXTS:
            key, text = _text(each, room)
            if text is None:
                losses.append(f"PNG text {key!r} (damaged in the source, or too large)")
            else:
                room -= len(text)
                yield key, text


def _text(each: Chunk, most: int) -> tuple[str, str | None]:
    """Key and value of a text chunk; None if it is damaged or longer than `most` bytes."""
    name, (key, _, rest) = each.name, each.data.partition(b"\0")
    value: bytes | None = None
    coding = "latin-1"
    if name == "tEXt":
        value = rest
    elif name == "zTXt":
        value = _inflate(rest[1:], most)
    elif name == "iTXt" and len(rest) >= 2:
        packed, parts = rest[0], rest[2:].split(b"\0", 2)
        coding = "utf-8"
        if len(parts) == 3:
            value = _inflate(parts[2], most) if packed else parts[2]
    return key.decode("latin-1"), None if value is None else value.decode(coding, "replace")


def _inflate(data: bytes, most: int = _METADATA) -> bytes | None:
    """Inflated metadata, or None if damaged or longer than `most` bytes."""
    inflater = zlib.decompressobj()
    try:
        result = inflater.decompress(data, max(1, most))
    except zlib.error:
        return None
    return result if inflater.eof else None

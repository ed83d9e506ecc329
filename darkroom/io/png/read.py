"""PNG, read as a stream: 8 and 16 bits, grey or RGB, with or without alpha.

The rows are inflated a band at a time; each band's filters are undone by libpng itself, which
gets the band as a small PNG of its own, headed by the last row of the band before. So any size
is read exactly, in a few MiB. Source: PNG specification, third edition.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io.encoding import icc_judgement
from darkroom.io.exif import exif_orientation, exif_resolution
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, check_size, reading
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.spooled import SpooledScan
from darkroom.scan import ColorProfile, Encoding, Metadata, ScanInfo

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEY = "XML:com.adobe.xmp"
CARRIED = ("gAMA", "cHRM", "sRGB", "cICP", "sBIT", "bKGD", "tRNS", "tIME", "pHYs")
CHANNELS = {0: (1, 0), 2: (3, 0), 4: (1, 1), 6: (3, 1)}  # colour type -> picture, extra samples
METRE = 0.0254  # metres in an inch
_BAND = 2 << 20
_LARGEST_CHUNK = 64 << 20  # of metadata, before and after inflating


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


@dataclass(frozen=True, slots=True)
class Pass:
    """A grid of pixels that a PNG stores as an image of its own: first row and column, steps."""

    y: int
    x: int
    down: int
    across: int

    def rows(self, header: Header) -> int:
        """Rows of the grid."""
        return -(-(header.height - self.y) // self.down)

    def columns(self, header: Header) -> int:
        """Columns of the grid."""
        return -(-(header.width - self.x) // self.across)

    def store(self, spool: Spool, row: int, pixels: NDArray[Any]) -> None:
        """Put rows of the grid, from `row` on, to their places in the image."""
        top = self.y + row * self.down
        window = Window(0, top, spool.width, (len(pixels) - 1) * self.down + 1)
        if (self.down, self.across) == (1, 1):
            spool.write(window, pixels)
            return
        if self.across == 1:  # whole rows: nothing of them is there yet
            for i, line in enumerate(pixels):
                spool.write(Window(0, top + i * self.down, spool.width, 1), line[None])
            return
        step = max(1, _BAND // (spool.width * spool.samples * spool.dtype.itemsize * self.down))
        for first in range(0, len(pixels), step):
            part = pixels[first : first + step]
            y = top + first * self.down
            window = Window(0, y, spool.width, (len(part) - 1) * self.down + 1)
            image = spool.read(window).copy()
            image[:: self.down, self.x :: self.across] = part
            spool.write(window, image)


# Adam7: PNG specification, third edition, section 8.2.
ADAM7 = (
    *(Pass(0, 0, 8, 8), Pass(0, 4, 8, 8), Pass(4, 0, 8, 4), Pass(0, 2, 4, 4)),
    *(Pass(2, 0, 4, 2), Pass(0, 1, 2, 2), Pass(1, 0, 2, 1)),
)


def chunk(name: bytes, data: bytes) -> bytes:
    """A whole chunk: length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def open_png(path: Path, *, cache_bytes: int, max_pixels: int, scratch: Scratch) -> SpooledScan:
    """Open a PNG; see `darkroom.io.open_scan`.

    Raises:
        InputError: if it is damaged, or has a palette or fewer than 8 bits.
    """
    file = PositionedFile(path)
    try:
        with reading(path, "PNG file"):
            header, chunks, data = _scan_chunks(file)
            check_size(path, header.width, header.height, max_pixels)
            info = _describe(path, header, chunks)

        def decode(spool: Spool) -> None:
            _decode(file, header, data, spool)

        return SpooledScan(info, decode, scratch, file.close)
    except BaseException:
        file.close()
        raise


def _scan_chunks(
    file: PositionedFile,
) -> tuple[Header, list[tuple[str, bytes]], list[tuple[int, int]]]:
    """Header, the small chunks, and (offset, length) of each piece of image data."""
    path, at = file.path, len(SIGNATURE)
    if file.head(8) != SIGNATURE:
        raise InputError(f"{path}: not a PNG file")
    header: Header | None = None
    chunks: list[tuple[str, bytes]] = []
    data: list[tuple[int, int]] = []
    while True:
        length, name = struct.unpack(">I4s", file.read(at, 8))
        if length >= 1 << 31 or at + 12 + length > file.size:
            raise InputError(f"{path}: truncated within a chunk", hint=TRUNCATED_HINT)
        if name == b"IDAT":
            data.append((at + 8, length))
        elif name == b"IEND":
            break
        elif length <= _LARGEST_CHUNK:
            body = file.read(at + 8, length + 4)
            if zlib.crc32(name + body[:-4]) != struct.unpack(">I", body[-4:])[0]:
                if name[:1].isupper():
                    raise InputError(f"{path}: a chunk is damaged", hint=TRUNCATED_HINT)
            elif name == b"IHDR" and header is None:
                header = _header(path, body[:-4])
            else:
                chunks.append((name.decode("latin-1"), body[:-4]))
        at += 12 + length
    if header is None or not data:
        raise InputError(f"{path}: holds no image data", hint=TRUNCATED_HINT)
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


def _describe(path: Path, header: Header, chunks: list[tuple[str, bytes]]) -> ScanInfo:
    first: dict[str, bytes] = {}
    for name, body in chunks:
        first.setdefault(name, body)
    text = [pair for name, body in chunks for pair in _text(name, body)]
    xmp = next((value for key, value in text if key == XMP_KEY), None)
    channels, extra = CHANNELS[header.colour]
    exif = first.get("eXIf")
    return ScanInfo(
        path=path,
        format="png",
        width=header.width,
        height=header.height,
        channels=channels,
        dtype=np.dtype(np.uint8 if header.bits == 8 else np.uint16),
        extra=extra,
        photometric="rgb" if channels == 3 else "minisblack",
        profile=_profile(first),
        resolution=_resolution(first) or exif_resolution(exif),
        orientation=exif_orientation(exif),
        metadata=Metadata(
            exif=exif,
            xmp=xmp.encode() if xmp else None,
            text=tuple(pair for pair in text if pair[0] != XMP_KEY),
        ),
        extra_kinds=(2,) * extra,
        storage={"png_chunks": {name: first[name] for name in CARRIED if name in first}},
        layout=f"{header.bits}-bit, {'interlaced' if header.interlaced else 'rows'}, deflate",
    )


def _resolution(first: dict[str, bytes]) -> tuple[float, float] | None:
    body = first.get("pHYs", b"")
    if len(body) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", body)
    return (x * METRE, y * METRE) if unit == 1 and x and y else None


def _profile(first: dict[str, bytes]) -> ColorProfile:
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


def _text(name: str, body: bytes) -> Iterator[tuple[str, str]]:
    """The key and value of a text chunk, if it is one and whole."""
    key, _, rest = body.partition(b"\0")
    value: bytes | None = None
    coding = "latin-1"
    if name == "tEXt":
        value = rest
    elif name == "zTXt":
        value = _inflate(rest[1:])
    elif name == "iTXt" and len(rest) >= 2:
        packed, parts = rest[0], rest[2:].split(b"\0", 2)
        coding = "utf-8"
        if len(parts) == 3:
            value = _inflate(parts[2]) if packed else parts[2]
    if value is not None:
        yield key.decode("latin-1"), value.decode(coding, "replace")


def _inflate(data: bytes) -> bytes | None:
    """Inflated metadata, or None if damaged or absurdly large."""
    inflater = zlib.decompressobj()
    try:
        result = inflater.decompress(data, _LARGEST_CHUNK)
    except zlib.error:
        return None
    return result if inflater.eof else None


def _decode(
    file: PositionedFile, header: Header, data: list[tuple[int, int]], spool: Spool
) -> None:
    """Inflate, unfilter and store the image band by band, pass by pass.

    Without interlacing there is one pass, which holds every row and column.
    """
    passes = [Pass(0, 0, 1, 1)] if not header.interlaced else list(ADAM7)
    passes = [p for p in passes if p.y < header.height and p.x < header.width]
    pixel = spool.samples * spool.dtype.itemsize
    wanted = sum(p.rows(header) * (p.columns(header) * pixel + 1) for p in passes)
    blocks = _inflated(file, data, wanted)
    held = bytearray()
    for part in passes:
        part_header = replace(header, width=part.columns(header), interlaced=False)
        size = part.columns(header) * pixel + 1
        previous, row = bytes(size - 1), 0
        while row < part.rows(header):
            rows = min(max(1, _BAND // size), part.rows(header) - row)
            while len(held) < rows * size:
                block = next(blocks, None)
                if block is None:
                    raise InputError(
                        f"{file.path}: truncated: row {part.y + row * part.down} of "
                        f"{header.height} is not there",
                        hint=TRUNCATED_HINT,
                    )
                held += block
            band = b"\0" + previous + bytes(held[: rows * size])
            pixels = _unfilter(part_header, band, rows + 1)[1:]
            del held[: rows * size]
            part.store(spool, row, pixels)
            previous = pixels[-1].astype(spool.dtype.newbyteorder(">")).tobytes()
            row += rows
    for _ in blocks:
        pass  # to the end, for the checksums


def _unfilter(header: Header, rows: bytes, height: int) -> NDArray[Any]:
    """Filtered rows to pixels (height, width, samples), by way of a PNG that holds just them."""
    body = chunk(b"IDAT", zlib.compress(rows, 0))
    image = SIGNATURE + chunk(b"IHDR", header.pack(height)) + body + chunk(b"IEND", b"")
    pixels = np.asarray(imagecodecs.png_decode(image))
    return pixels.reshape(height, header.width, -1)


def _inflated(file: PositionedFile, data: list[tuple[int, int]], wanted: int) -> Iterator[bytes]:
    """The image data inflated in blocks, checksums checked, to their end."""
    inflater, produced = zlib.decompressobj(), 0
    for compressed in _compressed(file, data):
        rest = compressed
        while rest and not inflater.eof:
            block = inflater.decompress(rest, _BAND)
            rest = inflater.unconsumed_tail
            produced += len(block)
            if produced > wanted:
                raise InputError(f"{file.path}: holds more pixels than its header says")
            yield block
    if not inflater.eof:
        raise InputError(f"{file.path}: truncated: the image data end early", hint=TRUNCATED_HINT)


def _compressed(file: PositionedFile, data: list[tuple[int, int]]) -> Iterator[bytes]:
    for offset, length in data:
        check = zlib.crc32(b"IDAT")
        for at in range(0, length, 1 << 20):
            piece = file.read(offset + at, min(1 << 20, length - at))
            check = zlib.crc32(piece, check)
            yield piece
        if check != struct.unpack(">I", file.read(offset + length, 4))[0]:
            raise InputError(f"{file.path}: the image data are damaged", hint=TRUNCATED_HINT)

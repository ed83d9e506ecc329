"""JPEG: 8-bit grey and RGB, decoded by libjpeg-turbo."""

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io.encoding import icc_judgement
from darkroom.io.exif import (
    STALE_THUMBNAIL,
    exif_orientation,
    exif_resolution,
    without_thumbnail,
)
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, check_size, reading
from darkroom.io.jpeg.header import (
    MOST_SCANS,
    coefficient_bytes,
    data_start,
    jpeg_size,
    segments,
)
from darkroom.io.photoshop import STALE_THUMBNAIL as photoshop_thumbnail
from darkroom.io.photoshop import iptc_record, without_thumbnails
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.spooled import BAND_MEMORY, SpooledScan
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import UNDEFINED
from darkroom.metadata import Metadata, Tag
from darkroom.scan import ColorProfile, Encoding, ScanInfo

EXIF_MARK, XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
ICC_MARK, IRB_MARK = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
APP1, APP2, APP13, COMMENT = 0xE1, 0xE2, 0xED, 0xFE
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
# Application segments but JFIF's own and Adobe's, which say how the pixels are coded.
OTHER_SEGMENTS = frozenset(range(0xE1, 0xF0)) - {0xEE}
HEADER = 32 << 20  # bytes at the start that hold all metadata
_BLOCK = 1 << 20
_decode_into: Any = imagecodecs.jpeg8_decode  # it takes arrays too, which its annotation lacks
_EXPANSION = 2048  # a flat block of 64 samples takes at least two bits


def open_jpeg(path: Path, *, cache_bytes: int, max_pixels: int, scratch: Scratch) -> SpooledScan:
    """Open a JPEG; see `darkroom.io.open_scan`.

    Raises:
        InputError: if it is damaged, CMYK or not of 8 bits.
    """
    file = PositionedFile(path)
    try:
        with reading(path, "JPEG file"):
            head = file.head(HEADER)
            info = _describe(path, head, max_pixels)
            coefficients = coefficient_bytes(head)
        if info.nbytes > file.size * _EXPANSION:
            raise InputError(f"{path}: too short for its size", hint=TRUNCATED_HINT)
        if coefficients:
            reason = "a progressive JPEG has to be decoded as a whole"
            scratch.require_memory(path, coefficients, reason)

        def decode(spool: Spool) -> None:
            require_end(path, file)
            decode_jpeg(path, file, spool, scratch)

        memory = BAND_MEMORY + coefficients
        return SpooledScan(info, decode, scratch, file.close, memory=memory, further_disk=file.size)
    except BaseException:
        file.close()
        raise


def require_end(path: Path, file: PositionedFile) -> None:
    """Refuse a stream that libjpeg would fill up with grey, or that has scans without number.

    Raises:
        InputError: if its end marker is missing, or there are too many scans.
    """
    scans, last = 1, b""
    for at in range(data_start(file.head(HEADER)), file.size, _BLOCK):
        block = last + file.read(at, min(_BLOCK, file.size - at))
        # Within coded data every 0xff is followed by 0 or a restart marker.
        end = block.find(b"\xff\xd9")
        scans += block.count(b"\xff\xda", 0, end if end >= 0 else None)
        if scans > MOST_SCANS:
            raise InputError(
                f"{path}: its picture comes in more than {MOST_SCANS} scans",
                hint="open it in another program and save it again",
            )
        if end >= 0:
            return
        last = block[-1:]
    raise InputError(f"{path}: truncated: its end marker is missing", hint=TRUNCATED_HINT)


def decode_jpeg(path: Path, file: PositionedFile, spool: Spool, scratch: Scratch) -> None:
    """Decode a JPEG file into a spool, with neither of them in memory as a whole.

    The stream is copied first: libjpeg wants it as memory, and a source that vanishes or shrinks
    under a mapping would end the process.
    """
    with scratch.spool(file.size, 1, 1, np.uint8) as packed:
        for at in range(0, file.size, _BLOCK):
            count = min(_BLOCK, file.size - at)
            block = np.frombuffer(file.read(at, count), np.uint8)
            packed.write(Window(at, 0, count, 1), block)
        with packed.mapped(written=True) as data:
            try:
                _decode_mapped(path, data.ravel(), spool)
            finally:
                del data  # or the traceback of an error would keep the mapping


def _decode_mapped(path: Path, data: NDArray[np.uint8], spool: Spool) -> None:
    """Decode a stream, uint8 (n,), into a spool."""
    size = jpeg_size(data[:HEADER].tobytes())
    if (size.height, size.width, size.components) != (spool.height, spool.width, spool.samples):
        raise InputError(f"{path}: holds another image than its header says")
    try:
        with spool.mapped(written=False) as pixels:
            try:
                _decode_into(data, out=pixels if spool.samples > 1 else pixels[..., 0])
            finally:
                del pixels
    finally:
        del data


def _describe(path: Path, head: bytes, max_pixels: int) -> ScanInfo:
    size = jpeg_size(head)
    check_size(path, size.width, size.height, max_pixels)
    if size.components not in (1, 3):
        raise InputError(
            f"{path}: JPEGs of {size.components} components (CMYK) are not supported",
            hint="convert it to grey or RGB first",
        )
    if size.bits != 8:
        raise InputError(f"{path}: {size.bits}-bit JPEGs are not supported")
    metadata, icc, resolution = _metadata(head)
    encoding, reason = icc_judgement(icc)
    if not icc:
        encoding, reason = Encoding.GAMMA, "JPEGs without an ICC profile mean sRGB"
    return ScanInfo(
        path=path,
        format="jpeg",
        width=size.width,
        height=size.height,
        channels=size.components,
        dtype=np.dtype(np.uint8),
        photometric="rgb" if size.components == 3 else "minisblack",
        profile=ColorProfile(icc, encoding, reason),
        resolution=resolution or exif_resolution(metadata.exif),
        orientation=exif_orientation(metadata.exif),
        metadata=metadata,
        layout=f"8-bit, {'progressive' if size.process == 0xC2 else 'sequential'} JPEG",
    )


def _metadata(head: bytes) -> tuple[Metadata, bytes | None, tuple[float, float] | None]:
    exif = xmp = resolution = None
    profile: dict[int, bytes] = {}
    tags, text, photoshop = [], [], b""
    lost: dict[str, None] = {}  # in order, each once
    for marker, data in segments(head):
        if marker == 0xE0 and data[:5] == b"JFIF\0" and len(data) >= 12:
            resolution = _jfif_resolution(data)
        elif marker == APP1 and data.startswith(EXIF_MARK) and exif is None:
            exif = data[len(EXIF_MARK) :]
        elif marker == APP1 and data.startswith(XMP_MARK) and xmp is None:
            xmp = data[len(XMP_MARK) :]
        elif marker == APP2 and data.startswith(ICC_MARK) and len(data) > 14:
            profile[data[12]] = data[14:]
        elif marker == APP13 and data.startswith(IRB_MARK):
            photoshop += data[len(IRB_MARK) :]
        elif marker == COMMENT:
            text.append(("Comment", data.rstrip(b"\0").decode("utf-8", "replace")))
        elif marker in OTHER_SEGMENTS:
            lost[_segment_name(marker, data)] = None
    exif, thumbnail = without_thumbnail(exif)
    if thumbnail:
        lost[STALE_THUMBNAIL] = None
    iptc = iptc_record(photoshop)
    photoshop, thumbnail = without_thumbnails(photoshop)
    if thumbnail:
        lost[photoshop_thumbnail] = None
    if photoshop:
        tags.append(Tag(T.PHOTOSHOP, UNDEFINED, len(photoshop), photoshop))
    icc = b"".join(profile[number] for number in sorted(profile)) or None
    metadata = Metadata(
        tags=tuple(tags), exif=exif, xmp=xmp, iptc=iptc, text=tuple(text), left_out=tuple(lost)
    )
    return metadata, icc, resolution


def _segment_name(marker: int, data: bytes) -> str:
    """What to call an application segment that is not carried."""
    mark = data[:16].split(b"\0", 1)[0].decode("latin-1")
    if data.startswith(EXTENDED_XMP):
        return "further parts of XMP (extended XMP)"
    if data.startswith(b"MPF\0"):
        return "further pictures of the file (MPF)"
    return f"JPEG segment APP{marker - 0xE0}" + (f" ({mark})" if mark.isalnum() else "")


def _jfif_resolution(data: bytes) -> tuple[float, float] | None:
    unit, x, y = struct.unpack_from(">BHH", data, 7)
    scale = {1: 1.0, 2: 2.54}.get(unit)
    return (x * scale, y * scale) if scale and x and y else None

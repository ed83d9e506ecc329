"""A Photoshop file of two layers: the scan as it was, and over it the repairs, which can be erased.

The merged picture, which programs show that know no layers, is the cleaned one.
"""

import struct
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import imagecodecs
import numpy as np

from darkroom.errors import UsageError
from darkroom.geometry import Window, bands
from darkroom.io.atomic import writing
from darkroom.io.exif import exif_of_tags
from darkroom.io.photoshop import EXIF, ICC, IPTC, RESOLUTION, XMP, pack_resource
from darkroom.io.psd.layout import ALPHA, GREY, LARGEST_FILE, LARGEST_SIDE, RAW, RGB, RLE, Header
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.sink import AtomicSink
from darkroom.io.tiff.ifd import IfdError, pack_exif, parse_exif
from darkroom.io.tiff.tags import ORIENTATION
from darkroom.scan import Bytes, Pixels, ScanInfo

SCAN_LAYER, REPAIR_LAYER = "scan", "darkroom repairs"
BAND = 4 << 20  # bytes written in one go
EMPTY_ROWS = 64
NOTHING = b"\x80"  # which PackBits passes over


class PsdSink(AtomicSink):
    """A layered Photoshop file being written; see `darkroom.io.sink.ScanSink`.

    `write_layers` makes the layers; with `write_rows` alone there is only the merged picture. The
    file is put together by `finish`, since its first bytes say how long the packed repairs are.

    Raises:
        UsageError: if the format cannot hold such pixels.
        OutputError: as `AtomicFile`.
    """

    def __init__(
        self, path: Path, info: ScanInfo, *, overwrite: bool = False, scratch: Scratch | None = None
    ) -> None:
        if info.dtype.kind == "f" or info.photometric == "miniswhite":
            raise UsageError(
                f"{path}: a Photoshop file holds grey and RGB of 8 or 16 bits", hint="name it .tif"
            )
        if max(info.width, info.height) > LARGEST_SIDE[True]:
            raise UsageError(f"{path}: too large for a Photoshop file", hint="name it .tif")
        self.exact = True
        self.losses = list(info.metadata.left_out)
        self._resources = _resources(info, self.losses)
        if info.extra:
            self.losses.append(f"{info.extra} further sample{'s' * (info.extra > 1)}")
        if info.orientation != 1:
            self.losses.append(f"orientation {info.orientation} (layers lie as the scan is stored)")
        self.layout = f"Photoshop file, {8 * info.dtype.itemsize}-bit"
        scratch = scratch or Scratch()
        spool = (info.width, info.height, info.channels, info.dtype)
        self._before, self._after = scratch.spool(*spool), scratch.spool(*spool)
        self._mask = scratch.spool(info.width, info.height, 1, np.uint8)
        self._layered = False
        super().__init__(path, info, overwrite=overwrite)

    def write_rows(self, rows: Pixels) -> None:
        """The next rows of the merged picture: (n, width, samples)."""
        self._after.write(self._next(rows), rows[..., : self.info.channels])

    def write_layers(self, before: Pixels, after: Pixels, mask: Bytes) -> None:
        """The next rows of the scan, of the cleaned scan, and their mask (n, width)."""
        self._layered = True
        window = self._next(after)
        self._after.write(window, after[..., : self.info.channels])
        self._before.write(window, before[..., : self.info.channels])
        self._mask.write(window, mask)

    def _next(self, rows: Pixels) -> Window:
        return Window(0, self._count(rows), self.info.width, len(rows))

    def _complete(self) -> None:
        """Put the file together."""
        self._require_all()
        with writing(self.path):
            self._write_file(self._atomic.file)

    def _release(self) -> None:
        for spool in (self._before, self._after, self._mask):
            spool.close()

    # -- putting it together ------------------------------------------------------------------

    def _write_file(self, file: IO[bytes]) -> None:
        info = self.info
        raw = info.width * info.height * info.dtype.itemsize  # bytes of a plane
        packed = _Packed(self) if self._layered else None
        plain = (1 + self._layered) * info.channels * raw
        total = plain + (packed.nbytes if packed else 0) + len(self._resources) + (1 << 16)
        big = total > LARGEST_FILE or max(info.width, info.height) > LARGEST_SIDE[False]
        if big:
            self.layout = self.layout.replace("Photoshop file", "large Photoshop file (PSB)")
        bits, mode = 8 * info.dtype.itemsize, RGB if info.channels == 3 else GREY
        file.write(Header(big, info.channels, info.width, info.height, bits, mode).pack())
        file.write(struct.pack(">I", 0))
        file.write(struct.pack(">I", len(self._resources)) + self._resources)
        if packed is None:
            file.write(_length(0, big))
        else:
            self._write_layers(file, packed, big, raw)
            packed.close()
        file.write(struct.pack(">H", RAW))
        self._write_planes(file, self._after, False)

    def _write_layers(self, file: IO[bytes], packed: "_Packed", big: bool, raw: int) -> None:
        channels = range(self.info.channels)
        sizes = dict.fromkeys(channels, 2 + raw)
        records = self._record(SCAN_LAYER, sizes, big)
        records += self._record(REPAIR_LAYER, packed.sizes(big), big)
        length = 2 + len(records) + sum(sizes.values()) + sum(packed.sizes(big).values())
        padding = -length % 4
        deep = self.info.dtype.itemsize > 1
        # Samples of 16 bits have their layers in a block of their own, after two empty lengths.
        block = b"8BIM" + b"Lr16" + _length(length + padding, big)
        around = len(_length(0, big)) + 4
        whole = around + length + padding + (len(block) if deep else 0)
        file.write(_length(whole, big))
        file.write(_length(0 if deep else length + padding, big))
        if deep:
            file.write(struct.pack(">I", 0) + block)
        file.write(struct.pack(">h", 2) + records)
        self._write_planes(file, self._before, True)
        packed.write(file, big)
        file.write(bytes(padding))
        if not deep:
            file.write(struct.pack(">I", 0))

    def _record(self, name: str, sizes: dict[int, int], big: bool) -> bytes:
        info = self.info
        out = struct.pack(">4iH", 0, 0, info.height, info.width, len(sizes))
        for channel, size in sizes.items():
            out += struct.pack(">h", channel) + _length(size, big)
        text = bytes([len(name)]) + name.encode("ascii")
        more = struct.pack(">II", 0, 0) + text + bytes(-len(text) % 4)
        # Normal blending, opaque, visible.
        return out + b"8BIMnorm" + struct.pack(">4BI", 255, 0, 0, 0, len(more)) + more

    def _write_planes(self, file: IO[bytes], spool: Spool, headed: bool) -> None:
        """Each channel by itself, uncompressed."""
        rows = max(1, BAND // max(1, spool.width * spool.samples * spool.dtype.itemsize))
        for channel in range(self.info.channels):
            if headed:
                file.write(struct.pack(">H", RAW))
            for window in bands(spool.width, spool.height, rows):
                plane = spool.read(window)[..., channel]
                file.write(plane.astype(plane.dtype.newbyteorder(">")).tobytes())


class _Packed:
    """The layer of repairs, packed row by row and waiting on disk.

    Args:
        sink: whose repairs they are.
    """

    def __init__(self, sink: PsdSink) -> None:
        import tempfile

        info = sink.info
        self._numbers = (ALPHA, *range(info.channels))
        self._sizes: dict[int, list[int]] = {number: [] for number in self._numbers}
        folder = sink._mask._folder
        with writing(sink.path):
            self._files = {n: tempfile.TemporaryFile(dir=folder) for n in self._numbers}  # noqa: SIM115
        top = np.iinfo(info.dtype).max
        for window in bands(info.width, info.height, EMPTY_ROWS):
            mask = sink._mask.read(window)[..., 0]
            pixels = sink._after.read(window) * (mask > 0)[..., None].astype(info.dtype)
            alpha = (mask > 0).astype(info.dtype) * top
            for number in self._numbers:
                self._pack(number, alpha if number == ALPHA else pixels[..., number])

    def _pack(self, number: int, rows: Any) -> None:
        stored = np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder(">")))
        for row in stored.view(np.uint8):
            data = bytes(imagecodecs.packbits_encode(row))
            # Some readers skip a byte after a channel of odd length, and others do not.
            data += NOTHING * (len(data) % 2)
            self._sizes[number].append(len(data))
            self._files[number].write(data)

    @property
    def nbytes(self) -> int:
        """Bytes of all channels with what stands before them."""
        return sum(self.sizes(True).values())

    def sizes(self, big: bool) -> dict[int, int]:
        """Bytes of each channel with what stands before it."""
        count = 4 if big else 2
        return {n: 2 + count * len(sizes) + sum(sizes) for n, sizes in self._sizes.items()}

    def write(self, file: IO[bytes], big: bool) -> None:
        """Append all channels to the file."""
        for number in self._numbers:
            counts = np.array(self._sizes[number], ">u4" if big else ">u2")
            file.write(struct.pack(">H", RLE) + counts.tobytes())
            packed = self._files[number]
            packed.seek(0)
            while piece := packed.read(BAND):
                file.write(piece)

    def close(self) -> None:
        """Give the disk space back."""
        for file in self._files.values():
            file.close()


def create_psd(
    path: Path,
    info: ScanInfo,
    *,
    compression: str | None = None,
    overwrite: bool = False,
    scratch: Scratch | None = None,
    **_: Any,
) -> PsdSink:
    """A sink for a layered Photoshop file."""
    return PsdSink(path, info, overwrite=overwrite, scratch=scratch)


def _length(value: int, big: bool) -> bytes:
    return struct.pack(">Q" if big else ">I", value)


def _resources(info: ScanInfo, losses: list[str]) -> bytes:
    """Profile, resolution and metadata as image resources; the rest goes to `losses`."""
    metadata = info.metadata
    out = b""
    if info.resolution:
        x, y = (round(value * 65536) for value in info.resolution)
        if max(x, y) < 1 << 32:
            out += pack_resource(RESOLUTION, struct.pack(">IHHIHH", x, 1, 1, y, 1, 1))
    exif = _upright_exif(info, losses)
    for number, data in (
        (IPTC, metadata.iptc),
        (ICC, info.profile.icc),
        (EXIF, exif),
        (XMP, metadata.xmp),
    ):
        if data:
            out += pack_resource(number, data)
    return out


def _upright_exif(info: ScanInfo, losses: list[str]) -> bytes:
    """An EXIF block without orientation: some editors would turn the layers by it."""
    if not info.metadata.exif:
        return exif_of_tags(replace(info, orientation=1), losses)
    try:
        order, tags = parse_exif(info.metadata.exif, losses)
    except (IfdError, ValueError, ArithmeticError):
        losses.append("EXIF (damaged in the source)")
        return b""
    return pack_exif([tag for tag in tags if tag.code != ORIENTATION], order)

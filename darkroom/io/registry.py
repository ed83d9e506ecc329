"""Which reader opens a file, which writer makes one."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from darkroom.errors import InputError, UsageError
from darkroom.io.files import PositionedFile
from darkroom.io.scratch import Scratch
from darkroom.io.sink import ScanSink
from darkroom.plugins.manager import Plugins, installed
from darkroom.protocols import ReaderSpec, WriterSpec
from darkroom.scan import Scan, ScanInfo

CACHE_BYTES = 128 << 20
MAX_PIXELS = 2_000_000_000

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TIFF_SUFFIXES = (".tif", ".tiff")
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe")
RAW_SUFFIXES = (
    *(".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".cr2", ".cr3", ".crw", ".raf", ".orf"),
    *(".rw2", ".raw", ".pef", ".srw", ".3fr", ".fff", ".3f", ".iiq", ".mos", ".mef", ".mrw"),
    *(".kdc", ".dcr", ".k25", ".erf", ".x3f", ".rwl", ".gpr", ".cap", ".eip", ".dcs"),
)
# Camera raw files that do not begin like a TIFF: CR3, RAF, ORF, RW2, CRW, MRW, X3F.
RAW_MAGIC = (
    *(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"II\x1a\0\0\0HEAPCCDR"),
    *(b"\0MRM", b"FOVb"),
)

READERS = (
    ReaderSpec("TIFF", TIFF_SUFFIXES, TIFF_MAGIC, "darkroom.io.tiff.family:open_tiff_or_raw"),
    ReaderSpec("PNG", (".png",), (b"\x89PNG\r\n\x1a\n",), "darkroom.io.png.read:open_png"),
    ReaderSpec(
        "JPEG", (".jpg", ".jpeg", ".jpe"), (b"\xff\xd8\xff",), "darkroom.io.jpeg.read:open_jpeg"
    ),
    # Without suffixes: named they are read, but layered files are no scans of a folder.
    ReaderSpec("Photoshop", (), (b"8BPS",), "darkroom.io.psd.read:open_psd"),
    ReaderSpec("camera raw", RAW_SUFFIXES, RAW_MAGIC, "darkroom.io.raw.libraw:open_raw"),
)
WRITERS = (
    WriterSpec("TIFF", TIFF_SUFFIXES, "darkroom.io.tiff.family:create_tiff"),
    WriterSpec("PNG", (".png",), "darkroom.io.png.write:create_png"),
    WriterSpec("Photoshop", (".psd", ".psb"), "darkroom.io.psd.write:create_psd"),
    WriterSpec("JPEG", JPEG_SUFFIXES, "darkroom.io.jpeg.write:create_jpeg"),
)
_HEAD = 64  # bytes; enough for every magic


class _Spec(Protocol):
    @property
    def opener(self) -> str: ...


def all_readers(plugins: Plugins | None = None) -> tuple[ReaderSpec, ...]:
    """The built-in readers and those of plugins, by default the installed ones."""
    return (*READERS, *(plugins or installed()).readers)


def all_writers(plugins: Plugins | None = None) -> tuple[WriterSpec, ...]:
    """The built-in writers and those of plugins, by default the installed ones."""
    return (*WRITERS, *(plugins or installed()).writers)


def scan_suffixes(readers: Sequence[ReaderSpec] = READERS) -> frozenset[str]:
    """Suffixes that some reader claims, for walking folders."""
    return frozenset(suffix for spec in readers for suffix in spec.suffixes)


def choose_reader(path: Path, readers: Sequence[ReaderSpec] = READERS) -> ReaderSpec:
    """The reader for a file: by its first bytes, then by its suffix.

    Raises:
        InputError: if the file is missing, empty, not readable or of no known kind.
    """
    with PositionedFile(path) as file:
        head = file.head(_HEAD)
    ranked = sorted(readers, key=lambda spec: -spec.priority)
    for spec in ranked:
        if any(head.startswith(magic) for magic in spec.magic):
            return spec
    for spec in ranked:
        if path.suffix.lower() in spec.suffixes and _may_lack_magic(spec, head):
            return spec
    raise InputError(
        f"{path}: {_guess(head)}", hint="darkroom reads TIFF, PNG, JPEG and camera raw files"
    )


def open_scan(
    path: Path,
    *,
    cache_bytes: int = CACHE_BYTES,
    max_pixels: int = MAX_PIXELS,
    scratch: Scratch | None = None,
    readers: Sequence[ReaderSpec] | None = None,
) -> Scan:
    """Open a scan with the reader that its first bytes call for.

    Args:
        path: the file.
        cache_bytes: most memory for decoded pixels that the scan keeps.
        max_pixels: larger images are refused as decompression bombs.
        scratch: where spools go; the system's temporary folder if None.
        readers: what to choose from; the built-in ones and those of plugins if None.

    Raises:
        InputError: if the file cannot be opened or is not supported.
    """
    spec = choose_reader(path, all_readers() if readers is None else readers)
    opener = cast("Callable[..., Scan]", _load(spec))
    return opener(
        path, cache_bytes=cache_bytes, max_pixels=max_pixels, scratch=scratch or Scratch()
    )


def create_scan(
    path: Path,
    info: ScanInfo,
    *,
    compression: str | None = None,
    overwrite: bool = False,
    writers: Sequence[WriterSpec] | None = None,
    **options: Any,
) -> ScanSink:
    """A sink for pixels that `info` describes, in the format that the suffix asks for.

    Args:
        path: the file to make.
        info: what will be written, and the metadata to carry.
        compression: of a TIFF: "none", "lzw", "deflate", "packbits", "zstd"; None for the source's.
        overwrite: replace an existing file.
        writers: what to choose from; the built-in ones and those of plugins if None.
        options: further options of the writer.

    Raises:
        OutputError: if the file exists or its folder cannot be written.
        UsageError: if no writer knows the suffix, or the format cannot hold these pixels.
    """
    suffix = path.suffix.lower()
    writers = all_writers() if writers is None else writers
    for spec in sorted(writers, key=lambda spec: -spec.priority):
        if suffix in spec.suffixes:
            creator = cast("Callable[..., ScanSink]", _load(spec))
            return creator(path, info, compression=compression, overwrite=overwrite, **options)
    known = ", ".join(suffix for spec in writers for suffix in spec.suffixes)
    raise UsageError(
        f"{path}: cannot write {suffix or 'a file without suffix'}", hint=f"use {known}"
    )


def _load(spec: _Spec) -> Any:
    module, _, name = spec.opener.partition(":")
    return getattr(importlib.import_module(module), name)


def _may_lack_magic(spec: ReaderSpec, head: bytes) -> bool:
    """Whether a file that begins with none of a reader's magics may still be its."""
    if not spec.magic:
        return True
    text = head.isascii() and not any(byte < 9 for byte in head)
    return spec.suffixes == RAW_SUFFIXES and not text


def _guess(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return "a HEIF, AVIF or video file, which is not supported"
    known = {b"GIF8": "GIF", b"BM": "BMP", b"%PDF": "PDF"}
    known |= {b"RIFF": "WebP", b"PK": "ZIP", b"v/1\x01": "OpenEXR", b"\0\0\0\x0cjP": "JPEG 2000"}
    known |= {b"\x1f\x8b": "gzip", b"qoif": "QOI", b"\xffO\xffQ": "JPEG 2000"}
    for magic, name in known.items():
        if head.startswith(magic):
            return f"a {name} file, which is not supported"
    if head.isascii() and not any(byte < 9 for byte in head):
        return "holds text, not an image"
    if not any(head):
        return "holds only zeros; it is damaged"
    return "is not an image of a known kind"

"""Faithful synthetic files of every layout that darkroom reads, with what is known to be in them.

No scanner's own file is needed: each writer puts pages, tags and samples where the scanner or
camera program puts them. `LAYOUTS` is what tests, the fuzz run and the table in docs/formats.md
go through.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from pictures import make_picture as small_picture
from PIL import Image

from darkroom.io.encoding import linear_srgb_profile

VUESCAN = "VueScan 9 x64 (9.8.20)"
SILVERFAST = "SilverFast 9.2.0 r1"
MAKE, MODEL, SOFTWARE, X_RESOLUTION = 271, 272, 305, 282
COLOR_MATRIX, AS_SHOT_NEUTRAL, ILLUMINANT, CAMERA_MODEL = 50721, 50728, 50778, 50708
DNG_VERSION, LINEAR_RAW, CFA, MASK_PAGE = 50706, 34892, 32803, 4


@dataclass(frozen=True)
class Expected:
    """What a file must turn out to hold.

    Attributes:
        pixels: (H, W, samples) of the picture, further samples included; None for camera raw,
            whose pixels are what LibRaw develops.
        infrared: (H, W), or None.
        where: "sample", "page" or "file" for the infrared.
        encoding: "linear", "gamma" or "unknown".
        tags: values that must come out of the cleaned file, by tag number.
    """

    pixels: np.ndarray | None
    infrared: np.ndarray | None = None
    where: str | None = None
    encoding: str = "unknown"
    tags: dict[int, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """A kind of file: its title in the documentation, its suffix and its writer."""

    title: str
    suffix: str
    write: Callable[[Path, tuple[int, int]], Expected]

    @property
    def name(self) -> str:
        """A file name of its own."""
        return "".join(c if c.isalnum() or c == "_" else "-" for c in self.title) + self.suffix


# What the page of the picture says itself where the rest stands in the first directory.
SUB_PAGE = {"metadata": None, "software": False, "resolution": (4000, 4000), "resolutionunit": 2}
LAYOUTS: list[Layout] = []


def make_picture(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """As in `pictures`; a large one repeats a small one, shifted from row to row of pieces."""
    height, width = shape[:2]
    if height * width <= 1 << 18:
        return small_picture(shape, dtype, seed)
    piece = small_picture((256, 320, *shape[2:]), dtype, seed)
    across = np.concatenate([piece] * -(-width // 320), axis=1)[:, :width]
    down = [np.roll(across, 37 * i, axis=1) for i in range(-(-height // 256))]
    return np.concatenate(down)[:height]


def layout(title: str, suffix: str = ".tif") -> Callable[..., Any]:
    """Enter a writer into LAYOUTS."""

    def enter(write: Callable[[Path, tuple[int, int]], Expected]) -> Callable[..., Expected]:
        LAYOUTS.append(Layout(title, suffix, write))
        return write

    return enter


def _scanner_tags(software: str, dpi: int = 4000) -> tuple[dict[str, Any], dict[int, Any]]:
    """Arguments for tifffile, and the same tags as they must be found again."""
    texts = [(MAKE, 2, 0, "Nikon", True), (MODEL, 2, 0, "LS-5000 ED", True)]
    private = (65000, 7, 6, b"\1\2\3\4\5\6", True)
    options = {"software": software, "resolution": (dpi, dpi), "resolutionunit": 2}
    kept = {MAKE: "Nikon", MODEL: "LS-5000 ED", SOFTWARE: software, 65000: b"\1\2\3\4\5\6"}
    return {**options, "extratags": [*texts, private], "metadata": None}, kept


def _dng_tags(model: str) -> list[tuple[Any, ...]]:
    matrix = (8, 10, -1, 10, 0, 10, -2, 10, 9, 10, 1, 10, 0, 10, 1, 10, 7, 10)
    return [
        (DNG_VERSION, 1, 4, bytes((1, 4, 0, 0)), True),
        (50707, 1, 4, bytes((1, 1, 0, 0)), True),
        (CAMERA_MODEL, 2, 0, model, True),
        (COLOR_MATRIX, 10, 9, matrix, True),
        (AS_SHOT_NEUTRAL, 5, 3, (5, 10, 10, 10, 7, 10), True),
        (ILLUMINANT, 3, 1, 21, True),
    ]


def _dng_kept(model: str) -> dict[int, Any]:
    return {tag: value for tag, _, _, value, _ in _dng_tags(model)[2:]} | {CAMERA_MODEL: model}


def _set_subfile(path: Path, page: int, value: int) -> None:
    """tifffile refuses to write `NewSubfileType` 4 for grey pages."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[page].tags["NewSubfileType"].overwrite(value)


# -- VueScan ----------------------------------------------------------------------------------


def _vuescan_tiff(path: Path, size: tuple[int, int], samples: int, dtype: str = "u2") -> Expected:
    pixels = make_picture((*size, samples), dtype)
    options, kept = _scanner_tags(VUESCAN)
    if samples > 3:
        options["extrasamples"] = ["unspecified"]
    stored = pixels if samples > 1 else pixels[..., 0]
    kind = "rgb" if samples > 2 else "minisblack"
    tifffile.imwrite(path, stored, photometric=kind, compression="lzw", rowsperstrip=32, **options)
    infrared = pixels[..., 3] if samples > 3 else None
    encoding = "linear" if dtype == "u2" else "gamma"
    return Expected(pixels, infrared, "sample" if samples > 3 else None, encoding, kept)


@layout("VueScan raw TIFF, 1 sample")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _vuescan_tiff(path, size, 1)


@layout("VueScan raw TIFF, 3 samples")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _vuescan_tiff(path, size, 3)


@layout("VueScan raw TIFF, 4 samples")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _vuescan_tiff(path, size, 4)


@layout("VueScan raw TIFF, 4 samples of 8 bits")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _vuescan_tiff(path, size, 4, "u1")


def _scanner_dng(path: Path, size: tuple[int, int], samples: int) -> Expected:
    """A thumbnail in the first directory, the picture as LinearRaw in a SubIFD."""
    pixels = make_picture((*size, samples), "u2")
    options, kept = _scanner_tags(VUESCAN)
    options["extratags"] += _dng_tags("Nikon LS-5000 ED")
    with tifffile.TiffWriter(path) as tif:
        thumbnail = make_picture((16, 24, 3), "u1", seed=7)
        tif.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, **options)
        tif.write(
            pixels if samples > 1 else pixels[..., 0],
            photometric=LINEAR_RAW if samples > 1 else "minisblack",
            planarconfig="contig" if samples > 1 else None,
            rowsperstrip=32,
            **SUB_PAGE,
        )
    if samples == 1:  # tifffile thinks LinearRaw must have three samples
        with tifffile.TiffFile(path, mode="r+b") as tif:
            tags = tif.pages[0].pages[0].tags
            tags["PhotometricInterpretation"].overwrite(LINEAR_RAW)
    infrared = pixels[..., 3] if samples > 3 else None
    kept |= _dng_kept("Nikon LS-5000 ED")
    return Expected(pixels, infrared, "sample" if samples > 3 else None, "linear", kept)


@layout("VueScan raw DNG, RGB", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _scanner_dng(path, size, 3)


@layout("VueScan raw DNG, RGB and infrared", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _scanner_dng(path, size, 4)


@layout("VueScan raw DNG in lossless JPEG", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    """What a DNG converter makes of it: still four samples, which LibRaw could not give back."""
    pixels = make_picture((*size, 4), "u2")
    options, kept = _scanner_tags(VUESCAN)
    options["extratags"] += _dng_tags("Nikon LS-5000 ED")
    packed = imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=16)
    with tifffile.TiffWriter(path) as tif:
        thumbnail = make_picture((16, 24, 3), "u1", seed=7)
        tif.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, **options)
        tif.write(
            iter([packed]), shape=pixels.shape, dtype="u2", photometric=LINEAR_RAW,
            compression="jpeg", planarconfig="contig", rowsperstrip=size[0], bitspersample=16,
            **SUB_PAGE,
        )  # fmt: skip
    kept |= _dng_kept("Nikon LS-5000 ED")
    return Expected(pixels, pixels[..., 3], "sample", "linear", kept)


@layout("Grey 16-bit DNG", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _scanner_dng(path, size, 1)


# -- SilverFast -------------------------------------------------------------------------------


@layout("SilverFast HDR TIFF")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels = make_picture((*size, 3), "u2")
    options, kept = _scanner_tags(SILVERFAST)
    profile = linear_srgb_profile()
    tifffile.imwrite(
        path, pixels, photometric="rgb", byteorder="<", iccprofile=profile, rowsperstrip=64,
        **options,
    )  # fmt: skip
    return Expected(pixels, None, None, "linear", kept)


@layout("SilverFast HDRi TIFF")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels, infrared = make_picture((*size, 3), "u2"), make_picture(size, "u2", seed=1)
    options, kept = _scanner_tags(SILVERFAST)
    with tifffile.TiffWriter(path) as tif:
        tif.write(pixels, photometric="rgb", rowsperstrip=64, **options)
        preview = make_picture((16, 24, 3), "u1", seed=7)
        tif.write(preview, photometric="rgb", subfiletype=1, metadata=None)
        tif.write(infrared, photometric="minisblack", subfiletype=2, metadata=None)
    _set_subfile(path, 2, MASK_PAGE)
    return Expected(pixels, infrared, "page", "linear", kept)


@layout("SilverFast HDRi DNG", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels, infrared = make_picture((*size, 3), "u2"), make_picture(size, "u2", seed=1)
    options, kept = _scanner_tags(SILVERFAST)
    options["extratags"] += _dng_tags("Plustek OpticFilm 8200i")
    with tifffile.TiffWriter(path) as tif:
        thumbnail = make_picture((16, 24, 3), "u1", seed=7)
        tif.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, **options)
        tif.write(pixels, photometric=LINEAR_RAW, planarconfig="contig", **SUB_PAGE)
        tif.write(infrared, photometric="minisblack", subfiletype=2, metadata=None)
    _set_subfile(path, 1, MASK_PAGE)
    kept |= _dng_kept("Plustek OpticFilm 8200i")
    return Expected(pixels, infrared, "page", "linear", kept)


# -- infrared beside the scan -----------------------------------------------------------------


def _with_sidecar(path: Path, size: tuple[int, int], ending: str) -> Expected:
    pixels, infrared = make_picture((*size, 3), "u2"), make_picture(size, "u2", seed=1)
    options, kept = _scanner_tags("Some scanner")
    tifffile.imwrite(path, pixels, photometric="rgb", **options)
    beside = path.with_name(f"{path.stem}{ending}.tif")
    tifffile.imwrite(beside, infrared, photometric="minisblack", metadata=None)
    return Expected(pixels, infrared, "file", tags=kept)


@layout("TIFF with NAME_IR.tif beside it")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _with_sidecar(path, size, "_IR")


@layout("TIFF with NAME-ir.tif beside it")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _with_sidecar(path, size, "-ir")


# -- other scanners ---------------------------------------------------------------------------


@layout("Coolscan NEF", ".nef")
def _(path: Path, size: tuple[int, int]) -> Expected:
    """Big-endian; a small RGB preview first, the processed scan in a SubIFD, no filter array."""
    pixels = make_picture((*size, 3), "u2")
    options, kept = _scanner_tags("Nikon Scan 4.0.3")
    with tifffile.TiffWriter(path, byteorder=">") as tif:
        preview = make_picture((16, 24, 3), "u1", seed=7)
        tif.write(preview, photometric="rgb", subfiletype=1, subifds=1, **options)
        tif.write(pixels, photometric="rgb", subfiletype=0, **SUB_PAGE)
    return Expected(pixels, tags=kept)


def _flextight(path: Path, size: tuple[int, int]) -> Expected:
    """Big-endian; three directories that all call themselves full-size, the largest not first."""
    pixels = make_picture((*size, 3), "u2")
    options, kept = _scanner_tags("FlexColor 4.8.8", dpi=3200)
    with tifffile.TiffWriter(path, byteorder=">") as tif:
        half = make_picture((max(1, size[0] // 8), max(1, size[1] // 8), 3), "u1", seed=7)
        tif.write(half, photometric="rgb", subfiletype=0, metadata=None, software=False)
        tif.write(pixels, photometric="rgb", subfiletype=0, rowsperstrip=1, **options)
        tif.write(half[:4, :6], photometric="rgb", subfiletype=0, metadata=None, software=False)
    return Expected(pixels, tags=kept)


@layout("Flextight FFF", ".fff")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _flextight(path, size)


@layout("Flextight 3F", ".3f")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _flextight(path, size)


@layout("Grey 16-bit TIFF")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels = make_picture((*size, 1), "u2")
    options, kept = _scanner_tags("Epson Scan 2")
    tifffile.imwrite(path, pixels[..., 0], photometric="minisblack", rowsperstrip=16, **options)
    return Expected(pixels, tags=kept)


def _planar(path: Path, size: tuple[int, int], samples: int) -> Expected:
    pixels = make_picture((*size, samples), "u2")
    options, kept = _scanner_tags(VUESCAN)
    if samples > 3:
        options["extrasamples"] = ["unspecified"]
    tifffile.imwrite(
        path, np.moveaxis(pixels, -1, 0), photometric="rgb", planarconfig="separate",
        compression="zlib", predictor=2, rowsperstrip=32, **options,
    )  # fmt: skip
    infrared = pixels[..., 3] if samples > 3 else None
    return Expected(pixels, infrared, "sample" if samples > 3 else None, "linear", kept)


@layout("Planar TIFF, RGB")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _planar(path, size, 3)


@layout("Planar TIFF, RGB and infrared")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _planar(path, size, 4)


@layout("BigTIFF in tiles")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels = make_picture((*size, 3), "u2")
    options, kept = _scanner_tags("Heidelberg LinoColor")
    tifffile.imwrite(
        path, pixels, photometric="rgb", bigtiff=True, tile=(64, 64), compression="zlib",
        predictor=2, **options,
    )  # fmt: skip
    return Expected(pixels, tags=kept)


# -- one strip for everything -----------------------------------------------------------------


def _one_strip(path: Path, size: tuple[int, int], compression: str, dtype: str = "u2") -> Expected:
    pixels = make_picture((*size, 3), dtype)
    options, kept = _scanner_tags("Lab 1.0")
    predictor = 2 if compression in ("zlib", "lzw", "zstd") else None
    tifffile.imwrite(
        path, pixels, photometric="rgb", rowsperstrip=size[0], compression=compression,
        predictor=predictor, **options,
    )  # fmt: skip
    return Expected(pixels, tags=kept)


@layout("TIFF in one strip, deflate")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _one_strip(path, size, "zlib")


@layout("TIFF in one strip, LZW")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _one_strip(path, size, "lzw")


@layout("TIFF in one strip, ZSTD")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _one_strip(path, size, "zstd")


@layout("TIFF in one strip, PackBits")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _one_strip(path, size, "packbits")


@layout("TIFF in one strip, JPEG")
def _(path: Path, size: tuple[int, int]) -> Expected:
    _one_strip(path, size, "jpeg", "u1")
    with tifffile.TiffFile(path) as tif:
        pixels = tif.asarray()  # JPEG is not exact: what libjpeg makes of it is the truth
    return Expected(pixels, tags=_scanner_tags("Lab 1.0")[1])


# -- interchange formats ----------------------------------------------------------------------


def _pillow(path: Path, pixels: np.ndarray, **options: Any) -> dict[int, Any]:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "Noritsu", "HS-1800"
    Image.fromarray(pixels.squeeze()).save(path, exif=exif, dpi=(300, 300), **options)
    return {MAKE: "Noritsu", MODEL: "HS-1800"}


@layout("JPEG, baseline", ".jpg")
def _(path: Path, size: tuple[int, int]) -> Expected:
    kept = _pillow(path, make_picture((*size, 3), "u1"), quality=92)
    return Expected(np.asarray(Image.open(path)), encoding="gamma", tags=kept)


@layout("JPEG, progressive", ".jpg")
def _(path: Path, size: tuple[int, int]) -> Expected:
    kept = _pillow(path, make_picture((*size, 1), "u1"), quality=92, progressive=True)
    return Expected(np.asarray(Image.open(path))[..., None], encoding="gamma", tags=kept)


@layout("PNG, 8 bits", ".png")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels = make_picture((*size, 3), "u1")
    return Expected(pixels, tags=_pillow(path, pixels, compress_level=1))


@layout("PNG, 16 bits", ".png")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels = make_picture((*size, 3), "u2")
    path.write_bytes(imagecodecs.png_encode(pixels, level=1))
    return Expected(pixels)


@layout("PNG, interlaced", ".png")
def _(path: Path, size: tuple[int, int]) -> Expected:
    """Seven passes of ever finer grids (PNG specification, third edition, section 8)."""
    pixels = make_picture((*size, 3), "u1")
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    body = bytearray()
    for y, x, down, across in (*passes, (1, 0, 2, 1)):
        part = pixels[y::down, x::across]
        if part.size:
            rows = part.reshape(len(part), -1)
            body += np.concatenate([np.zeros((len(rows), 1), "u1"), rows], axis=1).tobytes()
    _write_png(path, struct.pack(">IIBBBBB", size[1], size[0], 8, 2, 0, 0, 1), bytes(body))
    return Expected(pixels)


def _write_png(path: Path, header: bytes, body: bytes) -> None:
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    packed = zlib.compress(body, 1)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    path.write_bytes(start + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


# -- cameras, through LibRaw ------------------------------------------------------------------


def _camera(path: Path, size: tuple[int, int], pattern: tuple[tuple[int, ...], ...]) -> Expected:
    """A DNG as a converter makes it: JPEG-sized preview first, the mosaic in a SubIFD."""
    mosaic = make_picture(size, "u2") // 4
    options, _ = _scanner_tags("Adobe DNG Converter 16.0")
    options["extratags"] += _dng_tags("Camera 1")
    rows, columns = len(pattern), len(pattern[0])
    colours = bytes(colour for row in pattern for colour in row)
    filters = [
        (33421, 3, 2, (rows, columns), True),
        (33422, 1, rows * columns, colours, True),
        (50710, 1, 3, bytes((0, 1, 2)), True),
        (50714, 3, 1, 0, True),
        (50717, 3, 1, 16383, True),
    ]
    with tifffile.TiffWriter(path) as tif:
        preview = make_picture((16, 24, 3), "u1", seed=7)
        tif.write(preview, photometric="rgb", subfiletype=1, subifds=1, **options)
        tif.write(mosaic, photometric=CFA, subfiletype=0, extratags=filters, metadata=None)
    return Expected(None, encoding="linear", tags=_camera_kept())


def _camera_kept() -> dict[int, Any]:
    return {MAKE: "Nikon", MODEL: "LS-5000 ED", **_dng_kept("Camera 1")}


BAYER = ((0, 1), (1, 2))
XTRANS = (
    (1, 1, 0, 1, 1, 2), (1, 1, 2, 1, 1, 0), (2, 0, 1, 0, 2, 1),
    (1, 1, 2, 1, 1, 0), (1, 1, 0, 1, 1, 2), (0, 2, 1, 2, 0, 1),
)  # fmt: skip


@layout("Camera raw, Bayer DNG with preview", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _camera(path, size, BAYER)


@layout("Camera raw, X-Trans DNG", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    size = (max(size[0], 600), max(size[1], 900))  # LibRaw's X-Trans code takes no smaller
    return _camera(path, size, XTRANS)


@layout("Camera raw, .fff with a filter array", ".fff")
def _(path: Path, size: tuple[int, int]) -> Expected:
    return _camera(path, size, BAYER)


@layout("Camera raw, linear DNG in lossless JPEG", ".dng")
def _(path: Path, size: tuple[int, int]) -> Expected:
    pixels = make_picture((*size, 3), "u2") // 4
    options, _ = _scanner_tags("Adobe DNG Converter 16.0")
    options["extratags"] += _dng_tags("Camera 1")
    packed = imagecodecs.jpeg8_encode(
        pixels, lossless=True, predictor=1, bitspersample=16, colorspace="rgb", outcolorspace="rgb"
    )
    with tifffile.TiffWriter(path) as tif:
        preview = make_picture((16, 24, 3), "u1", seed=7)
        tif.write(preview, photometric="rgb", subfiletype=1, subifds=1, **options)
        tif.write(
            iter([packed]), shape=pixels.shape, dtype="u2", photometric=LINEAR_RAW,
            compression="jpeg", planarconfig="contig", rowsperstrip=size[0], bitspersample=16,
            metadata=None,
        )  # fmt: skip
    return Expected(None, encoding="linear", tags=_camera_kept())

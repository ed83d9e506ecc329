"""Files that cannot be cleaned: one clear line each, and never anything else."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import make_info, make_picture, read_all, write_scan
from PIL import Image

from darkroom.errors import InputError
from darkroom.io import open_scan


def refused(path: Path, reason: str, **options) -> InputError:
    with pytest.raises(InputError, match=reason) as caught:
        read_all(path, **options)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return caught.value


def test_missing_empty_folder_pipe(tmp_path) -> None:
    refused(tmp_path / "no.tif", "no such file")
    (tmp_path / "empty.tif").touch()
    refused(tmp_path / "empty.tif", "is empty")
    (tmp_path / "folder.tif").mkdir()
    refused(tmp_path / "folder.tif", "is a folder")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.tif")
        refused(tmp_path / "pipe.tif", "not a regular file")
    if os.geteuid():
        (tmp_path / "locked.tif").write_bytes(b"II*\0")
        (tmp_path / "locked.tif").chmod(0)
        refused(tmp_path / "locked.tif", "no permission")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Dear reader, this is not a picture.\n", "holds text"),
        (b"\0" * 1000, "only zeros"),
        (b"GIF89a" + b"\1" * 50, "GIF"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 50, "HEIF"),
        (b"8BPS\0\1" + b"\0" * 50, "Photoshop"),
        (bytes(range(1, 200)), "not an image of a known kind"),
        (b"II*\0", "not a valid TIFF"),
        (b"II*\0\x08\0\0\0", "truncated"),
        (b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "not a valid TIFF"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\xff\xd8\xff\xe0", "not a valid JPEG"),
    ],
)
def test_contents_that_are_no_image(tmp_path, content, reason) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    refused(tmp_path / "a.tif", reason)


def test_magic_wins_over_suffix(tmp_path) -> None:
    pixels = make_picture((8, 9, 3), "u1")
    write_scan(tmp_path / "a.png", make_info(pixels), pixels)
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    with open_scan(tmp_path / "a.tif") as scan:
        assert scan.info.format == "png"


@pytest.mark.parametrize(
    ("shape", "dtype", "options", "reason"),
    [
        ((9, 9), "i2", {}, "16-bit signed"),
        ((9, 9), "u4", {}, "32-bit integer"),
        ((9, 9), "f2", {}, "16-bit floating point"),
        ((9, 9), "f8", {}, "64-bit floating point"),
        ((9, 9), "c8", {}, "64-bit complex"),
        ((9, 9), "bool", {}, "1-bit"),
        ((9, 9, 4), "u1", {"photometric": "separated"}, "CMYK"),
        ((9, 9), "u1", {"photometric": "palette", "colormap": np.zeros((3, 256), "u2")}, "palette"),
        ((9, 9, 3), "u1", {"photometric": "cielab"}, "CIELab"),
        ((9, 9), "u2", {"compression": "lzma"}, "LZMA"),
        ((9, 9, 3), "u1", {"photometric": "rgb", "compression": "jpeg2000"}, "JPEG 2000"),
    ],
)
def test_kinds_of_tiff_that_are_not_supported(tmp_path, shape, dtype, options, reason) -> None:
    path = tmp_path / "a.tif"
    try:
        tifffile.imwrite(path, np.ones(shape, dtype), **options)
    except (ValueError, KeyError) as error:
        pytest.skip(f"this tifffile cannot write it: {error}")
    assert refused(path, reason).hint


@pytest.mark.parametrize("name", ["a.tif", "deflate.tif", "a.png", "a.jpg"])
def test_every_truncation_is_noticed(tmp_path, name) -> None:
    pixels = make_picture((40, 30, 3), "u1")
    path = tmp_path / name
    options = {"compression": "deflate" if name[0] == "d" else "none"} if "tif" in name else {}
    write_scan(path, make_info(pixels), pixels, **options)
    data = path.read_bytes()
    for size in [*range(1, len(data), max(1, len(data) // 60)), len(data) - 1]:
        path.write_bytes(data[:size])
        refused(path, r"\w")


def test_truncated_pixels_before_the_directory(tmp_path) -> None:
    """Writers that put the directory first: the tags are whole, the pixels end early."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, make_picture((40, 30, 3), "u2"), photometric="rgb")
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, "truncated")


def test_images_without_pixels(tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((9, 9), "u1"), metadata=None)
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHI", 256, 4, 1)) + 8
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    refused(path, "no image")


@pytest.mark.parametrize("shape", [(1, 1, 3), (500, 1, 1), (1, 500, 3), (2, 100_000, 3)])
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_thin_and_wide_images(tmp_path, shape, name) -> None:
    pixels = make_picture(shape, "u2")
    path, _ = write_scan(tmp_path / name, make_info(pixels), pixels)
    assert np.array_equal(read_all(path, cache_bytes=1000), pixels)


def test_decompression_bombs_are_refused_before_they_go_off(tmp_path) -> None:
    pixels = np.zeros((300, 300, 1), "u1")
    for name in ("a.tif", "a.png"):
        path, _ = write_scan(tmp_path / name, make_info(pixels), pixels)
        error = refused(path, "more than the limit", max_pixels=80_000)
        assert "--max-pixels" in error.hint
        assert read_all(path, max_pixels=90_000).shape == pixels.shape


def test_a_header_that_promises_more_than_the_file_can_hold(tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.zeros((100, 100), "u1"), compression="zlib", rowsperstrip=100, metadata=None
    )
    data = bytearray(path.read_bytes())
    for code in (256, 257, 278):
        at = data.index(struct.pack("<H", code), 8) + 8
        data[at : at + 4] = struct.pack("<I", 30_000)
    path.write_bytes(data)
    refused(path, "too short")


def test_directories_in_a_circle(tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, make_picture((9, 9, 3), "u1"), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        at = page.offset + 2 + 12 * len(page.tags)
        data = bytearray(path.read_bytes())
        data[at : at + 4] = struct.pack("<I", page.offset)
    path.write_bytes(data)
    assert read_all(path).shape == (9, 9, 3)


def test_palette_images_of_pillow(tmp_path) -> None:
    Image.new("P", (9, 9)).save(tmp_path / "a.tif")
    refused(tmp_path / "a.tif", "palette")

"""Files that would keep a reader busy for minutes are bounded or refused at once."""

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import make_picture, read_all
from PIL import Image

from darkroom.errors import InputError
from darkroom.io import open_scan
from darkroom.io.jpeg.header import MOST_SCANS, jpeg_size
from darkroom.io.png.chunks import chunk

SECONDS = 5.0  # of processor time, within which each is refused


@pytest.fixture(autouse=True)
def quickly():
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


def tiny_segments(path: Path, tiled: bool) -> None:
    """A TIFF of 400 x 300 pixels, cut into tiles of 1 x 1 or strips without end."""
    width, height = (400, 300) if tiled else (3, 130_000)
    number = width * height if tiled else height
    size = 2 if tiled else 2 * width
    at = 8 + number * size
    names = (324, 325) if tiled else (273, 279)
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 1), (277, 3, 1, 1), (names[0], 4, number, at)]
    entries += [(names[1], 4, number, at + 4 * number)]
    entries += [(322, 4, 1, 1), (323, 4, 1, 1)] if tiled else [(278, 4, 1, 1)]
    places = np.arange(number, dtype="<u4") * size + 8, np.full(number, size, "<u4")
    head = b"II*\0" + struct.pack("<I", at + 8 * number)
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    directory = struct.pack("<H", len(entries)) + table + bytes(4)
    path.write_bytes(head + bytes(number * size) + b"".join(map(bytes, places)) + directory)


@pytest.mark.parametrize("tiled", [True, False])
def test_a_picture_in_crumbs(tmp_path, tiled) -> None:
    tiny_segments(tmp_path / "a.tif", tiled)
    with pytest.raises(InputError, match=r"cut into 1[23]0,000 pieces"):
        open_scan(tmp_path / "a.tif")


@pytest.mark.parametrize("shape", [(3_000_000, 10), (10, 3_000_000)])
def test_a_line_is_no_picture(tmp_path, shape) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="no scan has this shape"):
        open_scan(tmp_path / "a.tif")


def test_a_strip_of_film_is_one(tmp_path) -> None:
    pixels = make_picture((80, 4000, 1), "u1")
    tifffile.imwrite(tmp_path / "a.tif", pixels[..., 0])
    assert np.array_equal(read_all(tmp_path / "a.tif"), pixels)


def progressive(scans: int) -> bytes:
    """A progressive JPEG with empty scans appended."""
    data = io.BytesIO()
    picture = Image.fromarray(make_picture((64, 64, 1), "u1")[..., 0])
    picture.save(data, "jpeg", progressive=True)
    body = data.getvalue()
    more = b"\xff\xda\0\x08\1\1\0\1\x3f\x10\0"
    return body[:-2] + more * scans + body[-2:]


def test_scans_without_number(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(progressive(3000))
    with open_scan(tmp_path / "a.jpg") as scan, pytest.raises(InputError, match="more than 128"):
        scan.read(scan.info.window)
    (tmp_path / "b.jpg").write_bytes(progressive(0))
    assert read_all(tmp_path / "b.jpg").shape == (64, 64, 1)


def test_what_lies_in_metadata_or_after_the_picture_counts_not(tmp_path) -> None:
    body = progressive(0)
    noise = b"\xff\xda" * (2 * MOST_SCANS)
    comment = b"\xff\xfe" + struct.pack(">H", len(noise) + 2) + noise
    (tmp_path / "a.jpg").write_bytes(body[:2] + comment + body[2:] + noise)
    assert read_all(tmp_path / "a.jpg").shape == (64, 64, 1)


def test_a_jpeg_cut_within_the_picture_is_refused_whatever_its_thumbnail(tmp_path) -> None:
    body = progressive(0)
    comment = b"\xff\xfe" + struct.pack(">H", len(body) + 2) + body  # ends in an end marker
    (tmp_path / "a.jpg").write_bytes(body[:2] + comment + body[2:-40])
    with open_scan(tmp_path / "a.jpg") as scan, pytest.raises(InputError, match="end marker"):
        scan.read(scan.info.window)


@pytest.mark.parametrize("piece", [b"\xff", b"\xff\xd0", b"\xff\xfe\0\2"])
def test_a_header_without_end(piece) -> None:
    data = b"\xff\xd8" + piece * (16 << 20)
    with pytest.raises(ValueError, match=r"segments|cut short"):
        jpeg_size(data)


def test_values_that_overlap(tmp_path) -> None:
    """Each of many directories claims the same megabyte."""
    shared, number = 1 << 20, 300
    out = bytearray(b"II*\0" + struct.pack("<I", 8 + shared) + bytes(shared))
    for i in range(number):
        following = len(out) + 18 if i + 1 < number else 0
        out += struct.pack("<HHHIII", 1, 65000, 7, shared, 8, following)
    (tmp_path / "a.tif").write_bytes(bytes(out))
    with pytest.raises(InputError, match="holds no image"):
        open_scan(tmp_path / "a.tif")


def test_chunks_without_number(tmp_path) -> None:
    data = io.BytesIO()
    Image.fromarray(make_picture((9, 9, 3), "u1")).save(data, "png")
    body = data.getvalue()
    at = body.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(body[:at] + chunk(b"tEXt", b"k\0v") * 200_000 + body[at:])
    with open_scan(tmp_path / "a.png") as scan:
        assert "190,000 further PNG chunks" in scan.info.metadata.left_out[0]

"""Metadata: what is damaged, stale or of no use to the result is named, the rest is carried."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import make_picture, read_all
from PIL import Image

from darkroom.errors import InputError
from darkroom.io import open_scan
from darkroom.io.exif import STALE_THUMBNAIL, without_thumbnail
from darkroom.io.photoshop import iptc_record, without_thumbnails
from darkroom.io.png.chunks import SIGNATURE, chunk
from darkroom.io.tiff.ifd import pack_exif, parse_exif, tag_name, unpack_value
from darkroom.metadata import Tag

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import tiff_mutations

PREDICTOR, ARTIST, ORIENTATION, STRIP_COUNTS = 317, 315, 274, 279


@pytest.fixture(scope="module")
def scanner(tmp_path_factory) -> tuple[bytes, np.ndarray]:
    path = tmp_path_factory.mktemp("scanner") / "a.tif"
    pixels = tiff_mutations.scanner_file(path)
    return path.read_bytes(), pixels


def with_entry(data: bytes, code: int, at: int, value: bytes) -> bytes:
    """The file with bytes of a tag's entry in the first directory changed."""
    start = struct.unpack_from("<I", data, 4)[0]
    for i in range(struct.unpack_from("<H", data, start)[0]):
        entry = start + 2 + 12 * i
        if struct.unpack_from("<H", data, entry)[0] == code:
            return data[: entry + at] + value + data[entry + at + len(value) :]
    raise AssertionError(code)


@pytest.mark.parametrize(
    ("code", "at", "value"),
    [
        (ARTIST, 8, b"\xff\xff\xff\xff"),  # lies outside the file
        (ARTIST, 7, b"\xff"),  # is longer than the file
        (ARTIST, 2, b"\x63\0"),  # of a type that nobody knows
        (ORIENTATION, 8, b"\x09\0"),  # is no orientation
        (ORIENTATION, 2, b"\x0b\0"),  # a floating point number
    ],
)
def test_a_damaged_tag_costs_itself_and_is_named(tmp_path, scanner, copy, code, at, value) -> None:
    data, pixels = scanner
    (tmp_path / "a.tif").write_bytes(with_entry(data, code, at, value))
    assert np.array_equal(read_all(tmp_path / "a.tif"), pixels)
    for target in ("b.tif", "b.png"):
        losses = copy(tmp_path / "a.tif", tmp_path / target)
        assert any(f"{tag_name(code)} (damaged in the source" in loss for loss in losses), losses
        assert np.array_equal(read_all(tmp_path / target), pixels)
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert tif.pages[0].tags[271].value == "Nikon"


@pytest.mark.parametrize(
    ("code", "at", "value"),
    [
        (PREDICTOR, 2, b"\x63\0"),
        (PREDICTOR, 2, b"\x0b\0"),
        (PREDICTOR, 4, b"\0"),
        (STRIP_COUNTS, 8, b"\xff\xff\xff\xff"),
    ],
)
def test_a_damaged_tag_that_pixels_depend_on_is_refused(tmp_path, scanner, code, at, value) -> None:
    (tmp_path / "a.tif").write_bytes(with_entry(scanner[0], code, at, value))
    with pytest.raises(InputError, match=f"{tag_name(code)} is damaged"):
        open_scan(tmp_path / "a.tif")


def test_tags_out_of_order_are_a_warning(tmp_path, scanner) -> None:
    data, _ = scanner
    # A predictor that is no longer one leaves differences in the place of samples.
    (tmp_path / "a.tif").write_bytes(with_entry(data, PREDICTOR, 0, b"\x2a\x01"))
    with open_scan(tmp_path / "a.tif") as scan:
        assert any("not in order" in warning for warning in scan.warnings)


def jpeg_with(path: Path, exif: bytes) -> None:
    picture = Image.fromarray(make_picture((16, 16, 3), "u1"))
    picture.save(path, exif=b"Exif\0\0" + exif)


def test_the_whole_of_exif_is_carried(tmp_path, copy) -> None:
    tags = [
        Tag(271, 2, 6, b"Nikon\0"),
        Tag(37386, 5, 1, struct.pack("<2I", 50, 1), "exif"),
        Tag(1, 2, 4, b"R98\0", "interop"),
        Tag(2, 7, 4, b"0100", "interop"),
        Tag(1, 2, 2, b"N\0", "gps"),
    ]
    block = pack_exif(tags, "<")
    order, found = parse_exif(block)
    assert [(t.code, t.ifd, unpack_value(t, order)) for t in found] == [
        (t.code, t.ifd, unpack_value(t, "<")) for t in (tags[0], tags[1], tags[4], *tags[2:4])
    ]
    jpeg_with(tmp_path / "a.jpg", block)
    assert copy(tmp_path / "a.jpg", tmp_path / "b.tif") == []
    with open_scan(tmp_path / "b.tif") as scan:
        kept = {(t.code, t.ifd): t.value for t in scan.info.metadata.tags}
    assert kept[1, "interop"] == b"R98\0"
    assert kept[1, "gps"] == b"N\0"
    assert kept[37386, "exif"] == struct.pack("<2I", 50, 1)


def test_a_damaged_exif_directory_is_named(tmp_path, copy) -> None:
    block = bytearray(pack_exif([Tag(271, 2, 6, b"Nikon\0"), Tag(1, 2, 2, b"N\0", "gps")], "<"))
    at = bytes(block).index(struct.pack("<H", 34853))
    block[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
    jpeg_with(tmp_path / "a.jpg", block)
    losses = copy(tmp_path / "a.jpg", tmp_path / "b.tif")
    assert losses == ["GPS directory (damaged in the source)"]


def test_page_number_is_carried(tmp_path, copy) -> None:
    tag = (297, 3, 2, (1, 3), True)
    tifffile.imwrite(tmp_path / "a.tif", make_picture((9, 9, 3), "u1"), extratags=[tag])
    assert copy(tmp_path / "a.tif", tmp_path / "b.tif") == []
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert tif.pages[0].tags[297].value == (1, 3)
    assert "PageNumber" in copy(tmp_path / "a.tif", tmp_path / "b.png")


# -- pictures of the uncleaned picture --------------------------------------------------------


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def test_photoshop_thumbnails_are_taken_out(tmp_path, copy) -> None:
    kept = resource(1005, b"\1" * 16), resource(1028, b"\x1c\2\x78\0\1a")
    block = kept[0] + resource(1036, b"old" * 5) + kept[1] + resource(1033, b"older")
    assert without_thumbnails(block) == (b"".join(kept), True)
    assert without_thumbnails(b"".join(kept)) == (b"".join(kept), False)
    assert iptc_record(block) == b"\x1c\2\x78\0\1a"
    tag = (34377, 7, len(block), block, True)
    tifffile.imwrite(tmp_path / "a.tif", make_picture((9, 9, 3), "u1"), extratags=[tag])
    lost = ["Photoshop thumbnail (showing the picture before cleaning)"]
    assert copy(tmp_path / "a.tif", tmp_path / "b.tif") == lost
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert bytes(tif.pages[0].tags[34377].value) == b"".join(kept)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_thumbnails_are_cut_off(tmp_path, copy, order) -> None:
    block = pack_exif([Tag(271, 2, 6, b"Nikon\0")], order)
    assert without_thumbnail(block) == (block, False)
    at = 8 + 2 + 12
    linked = block[:at] + struct.pack(order + "I", len(block)) + block[at + 4 :]
    linked += struct.pack(order + "HI", 0, 0)
    assert without_thumbnail(linked)[0] == block + linked[len(block) :]
    Image.fromarray(make_picture((9, 9, 3), "u1")).save(tmp_path / "a.png", exif=linked)
    assert copy(tmp_path / "a.png", tmp_path / "b.png") == [STALE_THUMBNAIL]
    assert Image.open(tmp_path / "b.png").getexif()[271] == "Nikon"


def test_segments_of_a_jpeg_that_have_no_place_are_named(tmp_path, copy) -> None:
    Image.fromarray(make_picture((9, 9, 3), "u1")).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    extra = [
        (0xEB, b"JP\0\1rest"),
        (0xE2, b"MPF\0II*\0"),
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0x"),
    ]
    segments = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in extra
    )
    (tmp_path / "a.jpg").write_bytes(data[:2] + segments + data[2:])
    assert copy(tmp_path / "a.jpg", tmp_path / "b.tif") == [
        "JPEG segment APP11 (JP)",
        "further pictures of the file (MPF)",
        "further parts of XMP (extended XMP)",
    ]


# -- chunks of PNG ----------------------------------------------------------------------------


def png(path: Path, before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]]) -> None:
    Image.fromarray(make_picture((9, 8, 3), "u1")).save(path)
    data = path.read_bytes()
    at, end = data.index(b"IDAT") - 4, len(data) - 12
    early, late = (b"".join(chunk(*each) for each in part) for part in (before, after))
    path.write_bytes(data[:at] + early + data[at:end] + late + data[end:])


def chunks_of(path: Path) -> list[tuple[bytes, bytes]]:
    data, at, found = path.read_bytes(), len(SIGNATURE), []
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found.append((name, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return [each for each in found if each[0] not in (b"IHDR", b"IEND")]


def test_chunks_that_are_safe_to_copy_are_copied(tmp_path, copy) -> None:
    before = [
        (b"mDCV", bytes(24)),
        (b"cLLI", bytes(8)),
        (b"iTXt", b"Author\0\0\0de\0Autor\0J\xc3\xbcrgen"),
        (b"prVt", b"private"),
        (b"iDOT", b"of the pixels"),
    ]
    png(tmp_path / "a.png", before, [(b"laTe", b"after the pixels"), (b"tEXt", b"Late\0text")])
    assert copy(tmp_path / "a.png", tmp_path / "b.png") == ["PNG chunk iDOT"]
    found = chunks_of(tmp_path / "b.png")
    for each in (*before[:4], (b"tEXt", b"Late\0text")):
        assert each in found
    assert found.index((b"laTe", b"after the pixels")) == len(found) - 1
    losses = copy(tmp_path / "a.png", tmp_path / "b.tif")
    assert {f"PNG chunk {name}" for name in ("mDCV", "cLLI", "prVt", "iDOT", "laTe")} <= set(losses)


def test_chunks_beyond_all_need_are_named_and_cost_no_time(tmp_path, copy) -> None:
    png(tmp_path / "a.png", [(b"tEXt", b"k%d\0v" % i) for i in range(12_000)], [])
    losses = copy(tmp_path / "a.png", tmp_path / "b.png")
    assert losses == ["2,000 further PNG chunks (more than a picture can need)"]
    assert len(chunks_of(tmp_path / "b.png")) > 10_000


def test_image_data_in_crumbs_are_refused(tmp_path) -> None:
    png(tmp_path / "a.png", [], [(b"IDAT", b"")] * 100_001)
    with pytest.raises(InputError, match="cut into 100,002 pieces"):
        open_scan(tmp_path / "a.png")

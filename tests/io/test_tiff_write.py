"""TIFF writing: other readers see the same pixels, and the source's tags come through."""

import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from pictures import make_info, make_picture, write_scan
from PIL import Image, TiffTags

from darkroom.errors import OutputError, UsageError
from darkroom.io import open_scan
from darkroom.io.tiff import write as tiff_write
from darkroom.io.tiff.ifd import pack_exif, unpack_value
from darkroom.io.tiff.write import TiffSink
from darkroom.metadata import Chunk, Metadata, Storage, Tag
from darkroom.scan import ColorProfile

ICC = bytes(range(256)) * 3
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    samples=st.sampled_from([1, 3, 4]),
    dtype=st.sampled_from(["u1", "u2", "f4"]),
    compression=st.sampled_from(["none", "lzw", "deflate", "packbits", "zstd"]),
    order=st.sampled_from(["<", ">"]),
    planar=st.booleans(),
    tile=st.sampled_from([None, (16, 32), (64, 16)]),
    big=st.booleans(),
    step=st.integers(1, 80),
)
def test_tifffile_reads_what_was_written(
    tmp_path_factory, size, samples, dtype, compression, order, planar, tile, big, step
) -> None:
    pixels = make_picture((*size, samples), dtype)
    storage = Storage(byteorder=order, planar=planar, tile=tile, rows_per_strip=9)
    info = make_info(pixels, storage=storage)
    path = tmp_path_factory.mktemp("write") / "scan.tif"
    with pytest.MonkeyPatch.context() as patch:
        if big:
            patch.setattr(tiff_write, "CLASSIC_LIMIT", 0)
        write_scan(path, info, pixels, step, compression=compression)
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        got = page.asarray()
        got = np.moveaxis(got, 0, -1) if page.planarconfig == 2 and samples > 1 else got
        assert np.array_equal(got.reshape(pixels.shape), pixels)
        assert tif.is_bigtiff == big
        assert tif.byteorder == order
        if tile:
            assert (page.tilewidth, page.tilelength) == tile
    with open_scan(path) as scan:
        assert np.array_equal(scan.read(scan.info.window), pixels)
        assert scan.info.extra_kinds == info.extra_kinds


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits"])
def test_pillow_and_opencv_agree(tmp_path, picture, compression) -> None:
    pixels = picture((80, 60, 3), "u1")
    path, _ = write_scan(tmp_path / "a.tif", make_info(pixels), pixels, compression=compression)
    assert np.array_equal(np.asarray(Image.open(path)), pixels)
    deep = picture((80, 60, 3), "u2")
    path, _ = write_scan(tmp_path / "b.tif", make_info(deep), deep, compression=compression)
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1], deep)


def rich_source(path: Path, order: str) -> dict[int, Tag]:
    """A TIFF with every kind of tag, made by hand; returns its tags as bytes."""
    pixels = make_picture((20, 30, 3), "u2")
    tags = [
        Tag(270, 2, 0, "negative 12"), Tag(271, 2, 0, "Nikon"), Tag(272, 2, 0, "LS-9000"),
        Tag(282, 5, 0, (40001, 10)), Tag(283, 5, 0, (4000, 1)), Tag(296, 3, 0, 2),
        Tag(305, 2, 0, "Scan 1.0"), Tag(306, 2, 0, "2019:05:02 10:11:12"),
        Tag(315, 2, 0, "Ann Ümlaut"), Tag(33432, 2, 0, "(c) Ann"), Tag(34377, 7, 0, b"8BIM"),
        Tag(65000, 12, 0, (1.5, -2.25)), Tag(65001, 9, 0, (-70000, 5)), Tag(65002, 7, 0, b"\0\1\2"),
        Tag(65003, 10, 0, (-1, 3)), Tag(65004, 3, 0, list(range(50))), Tag(65005, 8, 0, -3),
        Tag(33434, 5, 0, (1, 60), "exif"), Tag(36867, 2, 0, "2019:05:02 10:11:12", "exif"),
        Tag(37500, 7, 0, b"maker note" * 9, "exif"), Tag(1, 2, 0, "N", "gps"),
        Tag(2, 5, 0, (48, 1, 8, 1, 30, 1), "gps"),
    ]  # fmt: skip
    info = make_info(
        pixels,
        storage=Storage(byteorder=order),
        metadata=Metadata(tags=tuple(tags), xmp=XMP, iptc=b"\x1c\x02\x05\0\3abc"),
        profile=ColorProfile(ICC),
        orientation=6,
    )
    write_scan(path, info, pixels)
    with open_scan(path) as scan:
        return {(tag.ifd, tag.code): tag for tag in scan.info.metadata.tags}


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_tag_survives_byte_for_byte(tmp_path, copy, order) -> None:
    before = rich_source(tmp_path / "a.tif", order)
    assert len(before) == 22
    assert copy(tmp_path / "a.tif", tmp_path / "b.tif", compression="zstd") == []
    with open_scan(tmp_path / "b.tif") as scan:
        after = {(tag.ifd, tag.code): tag for tag in scan.info.metadata.tags}
        assert after == before
        assert scan.info.profile.icc == ICC
        assert scan.info.metadata.xmp == XMP
        assert scan.info.metadata.iptc == b"\x1c\x02\x05\0\3abc"
        assert scan.info.orientation == 6
        assert scan.info.resolution == (4000.1, 4000.0)


def test_other_readers_see_the_tags(tmp_path) -> None:
    path = tmp_path / "a.tif"
    rich_source(path, "<")
    with tifffile.TiffFile(path) as tif:
        tags = tif.pages[0].tags
        assert tags["Make"].value == "Nikon"
        assert tags["Artist"].value == "Ann Ümlaut"
        assert tags["Orientation"].value == 6
        assert tags["XResolution"].value == (40001, 10)
        assert tags[65000].value == (1.5, -2.25)
        assert tags["InterColorProfile"].value == ICC
        assert tags["ExifTag"].value["ExposureTime"] == (1, 60)
        assert tags["GPSTag"].value["GPSLatitude"] == (48, 1, 8, 1, 30, 1)
    image = Image.open(path)
    exif = image.getexif()
    assert exif.get_ifd(34665)[37500] == b"maker note" * 9
    assert exif.get_ifd(34853)[2] == (48.0, 8.0, 30.0)
    assert exif[TiffTags.lookup(271).value] == "Nikon"
    assert image.info["icc_profile"] == ICC


def test_infrared_and_alpha_samples_keep_their_kind(tmp_path, picture, copy) -> None:
    pixels = picture((20, 30, 4), "u2")
    for kind in (0, 1, 2):
        info = make_info(pixels, extra_kinds=(kind,))
        write_scan(tmp_path / f"{kind}.tif", info, pixels)
        copy(tmp_path / f"{kind}.tif", tmp_path / f"{kind}b.tif")
        with tifffile.TiffFile(tmp_path / f"{kind}b.tif") as tif:
            assert tif.pages[0].extrasamples == (kind,)
            assert np.array_equal(tif.pages[0].asarray(), pixels)


def test_layout_follows_the_source(tmp_path, picture, copy) -> None:
    pixels = picture((100, 90, 3), "u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(48, 32), compression="lzw")
    copy(path, tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        page = tif.pages[0]
        assert (page.tilelength, page.tilewidth, page.compression) == (48, 32, 5)


def test_jpeg_sources_become_lossless_and_say_so(tmp_path, picture, copy) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", picture((32, 32, 3), "u1"), photometric="rgb", compression="jpeg"
    )
    losses = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert losses == ["JPEG compression (written with deflate: it would change every pixel)"]
    with open_scan(tmp_path / "a.tif") as a, open_scan(tmp_path / "b.tif") as b:
        assert np.array_equal(a.read(a.info.window), b.read(b.info.window))


def test_what_a_tiff_cannot_carry_is_named(tmp_path, picture) -> None:
    pixels = picture((10, 10, 3), "u1")
    tags = (
        Tag(37724, 7, 4, b"8BPS"),
        Tag(50706, 1, 4, b"\1\4\0\0"),
        Tag(65010, 13, 1, struct.pack("<I", 8)),
    )
    metadata = Metadata(tags=tags, exif=b"broken", text=(("Warning", "x"), ("Author", "Ann")))
    metadata = replace(metadata, chunks=(Chunk("gAMA", b"\0\0\0\1"),))
    info = make_info(pixels, metadata=metadata)
    path, losses = write_scan(tmp_path / "a.tif", info, pixels)
    assert losses == [
        "EXIF (damaged in the source)",
        "Photoshop layers, which hold the picture before cleaning",
        "DNGVersion (the result is a TIFF, not a DNG)",
        "tag 65010 (points into the source file)",
        "text 'Warning'",
        "PNG chunk gAMA",
    ]
    with tifffile.TiffFile(path) as tif:
        assert tif.pages[0].tags["Artist"].value == "Ann"
        assert 37724 not in tif.pages[0].tags


def test_an_exif_block_becomes_directories(tmp_path, picture) -> None:
    pixels = picture((10, 10, 3), "u1")
    exif = pack_exif(
        [Tag(271, 2, 0, "Canon"), Tag(33437, 5, 0, (28, 10), "exif"), Tag(274, 3, 0, 3)], ">"
    )
    info = make_info(pixels, metadata=Metadata(exif=exif), orientation=3)
    path, losses = write_scan(tmp_path / "a.tif", info, pixels)
    assert losses == []
    with tifffile.TiffFile(path) as tif:
        assert tif.byteorder == ">"
        assert tif.pages[0].tags["ExifTag"].value["FNumber"] == (28, 10)
        assert tif.pages[0].tags["Orientation"].value == 3


def test_layers_are_further_pages(tmp_path, picture) -> None:
    pixels, mask = picture((40, 30, 3), "u2"), picture((40, 30, 1), "u1")
    path = tmp_path / "a.tif"
    with TiffSink(path, make_info(pixels), compression="deflate") as sink:
        sink.write_rows(pixels)
        sink.add_page(make_info(mask), [mask[:25], mask[25:]], description="mask", subfile=4)
        temporary = sink.finish()
        assert temporary.exists() and not path.exists()
        sink.commit()
    with tifffile.TiffFile(path) as tif:
        assert np.array_equal(tif.pages[0].asarray(), pixels)
        assert np.array_equal(tif.pages[1].asarray(), mask[..., 0])
        assert tif.pages[1].description == "mask"
        assert tif.pages[1].subfiletype == 4
        assert len(tif.pages) == 2


def test_bigtiff_is_chosen_by_size(tmp_path, info_of) -> None:
    small = info_of(np.empty((1, 1, 3), "u2"))
    for height, big in ((20_000, False), (40_000, True)):
        info = replace(small, width=20_000, height=height)
        with TiffSink(tmp_path / "a.tif", info) as sink:
            assert sink.layout.startswith("BigTIFF") == big
    with TiffSink(tmp_path / "a.tif", small, more_bytes=5 << 30) as sink:
        assert sink.layout.startswith("BigTIFF")
    assert list(tmp_path.iterdir()) == []


def test_missing_rows_leave_no_file(tmp_path, picture) -> None:
    pixels = picture((10, 10, 3), "u1")
    with (
        TiffSink(tmp_path / "a.tif", make_info(pixels)) as sink,
        pytest.raises(OutputError, match="only 4 of 10 rows"),
    ):
        sink.write_rows(pixels[:4])
        sink.commit()
    assert list(tmp_path.iterdir()) == []


def test_unknown_compression_and_suffix(tmp_path, picture) -> None:
    pixels = picture((10, 10, 3), "u1")
    with pytest.raises(UsageError, match="unknown compression 'jpeg'"):
        write_scan(tmp_path / "a.tif", make_info(pixels), pixels, compression="jpeg")
    with pytest.raises(UsageError, match=r"cannot write \.bmp"):
        write_scan(tmp_path / "a.bmp", make_info(pixels), pixels)
    assert list(tmp_path.iterdir()) == []


def test_values_are_packed_by_their_type(tmp_path) -> None:
    tags = rich_source(tmp_path / "a.tif", ">")
    assert unpack_value(tags["image", 65001], ">") == (-70000, 5)
    assert unpack_value(tags["image", 65003], ">") == (-1, 3)
    assert unpack_value(tags["exif", 33434], ">") == (1, 60)

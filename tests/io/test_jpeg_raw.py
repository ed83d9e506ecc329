"""JPEG and camera raw."""

import io
from dataclasses import replace

import numpy as np
import pytest
import rawpy
import tifffile
from layouts import LAYOUTS
from pictures import make_info, make_picture, read_all, write_scan
from PIL import Image, ImageCms

from darkroom.errors import InputError, UsageError
from darkroom.io import open_scan
from darkroom.metadata import Metadata
from darkroom.scan import Encoding

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def rich_jpeg(path, samples: int = 3, **options) -> np.ndarray:
    exif = Image.Exif()
    exif[271], exif[274] = "Nikon", 8
    exif.get_ifd(34665)[37386] = 50.0
    pixels = make_picture((40, 30, samples), "u1")
    image = Image.fromarray(pixels if samples == 3 else pixels[..., 0])
    image.save(
        path, dpi=(300, 300), exif=exif, icc_profile=SRGB * 200, comment=b"hello", xmp=b"<x/>",
        **options,
    )  # fmt: skip
    return np.asarray(Image.open(path)).reshape(pixels.shape)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_are_libjpegs(tmp_path, samples, progressive) -> None:
    expected = rich_jpeg(tmp_path / "a.jpg", samples, progressive=progressive)
    assert np.array_equal(read_all(tmp_path / "a.jpg"), expected)


@pytest.mark.parametrize(("suffix", "lost"), [(".tif", 0), (".png", 0), (".jpg", 1)])
def test_metadata_survive(tmp_path, copy, suffix, lost) -> None:
    rich_jpeg(tmp_path / "a.jpg")
    losses = copy(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
    assert len(losses) == lost
    with open_scan(tmp_path / f"b{suffix}") as scan:
        assert scan.info.orientation == 8
        assert scan.info.resolution == pytest.approx((300, 300), rel=1e-4)
        assert scan.info.profile.icc == SRGB * 200  # several segments
        assert scan.info.metadata.xmp == b"<x/>"
    exif = Image.open(tmp_path / f"b{suffix}").getexif()
    assert exif[271] == "Nikon"
    assert exif.get_ifd(34665)[37386] == 50.0


def test_photoshop_resources_and_iptc(tmp_path, copy) -> None:
    record = b"\x1c\x02\x05\0\x03abc"
    block = b"8BIM\x04\x04\0\0" + len(record).to_bytes(4, "big") + record
    data = io.BytesIO()
    Image.fromarray(make_picture((8, 8, 3), "u1")).save(data, "JPEG")
    body = b"Photoshop 3.0\0" + block
    segment = b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body
    jpeg = data.getvalue()
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    assert copy(tmp_path / "a.jpg", tmp_path / "b.tif") == []
    with open_scan(tmp_path / "b.tif") as scan:
        assert scan.info.metadata.iptc == record
        assert block in [tag.value for tag in scan.info.metadata.tags]


def test_truncated_jpeg_is_not_filled_with_grey(tmp_path) -> None:
    rich_jpeg(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:-50])
    with pytest.raises(InputError, match="truncated"):
        read_all(tmp_path / "a.jpg")


def test_cmyk_is_refused(tmp_path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="CMYK"):
        open_scan(tmp_path / "a.jpg")


def test_a_jpeg_holds_8_bits_only(tmp_path) -> None:
    pixels = make_picture((8, 8, 3), "u2")
    with pytest.raises(UsageError, match="8-bit"):
        write_scan(tmp_path / "a.jpg", make_info(pixels), pixels)
    assert list(tmp_path.iterdir()) == []


def test_a_written_jpeg_is_close_and_named_as_inexact(tmp_path) -> None:
    pixels = make_picture((64, 64, 1), "u1") // 4 * 3
    path, losses = write_scan(tmp_path / "a.jpg", make_info(pixels), pixels)
    assert losses == ["exact pixels (JPEG changes every one of them a little)"]
    assert np.abs(read_all(path).astype(int) - pixels).mean() < 4


@pytest.fixture
def kodak(shared):
    path = shared / "raw" / "kodak-dc50.kdc"
    if not path.is_file():
        pytest.skip("the sample camera raw file is not on this machine")
    return path


def test_camera_raw_is_developed_linear_and_keeps_its_camera(tmp_path, copy, kodak) -> None:
    with open_scan(kodak) as scan:
        info, pixels = scan.info, scan.read(scan.info.window)
    with rawpy.imread(str(kodak)) as raw:
        expected = raw.postprocess(
            use_camera_wb=True, no_auto_bright=True, gamma=(1, 1), output_bps=16, user_flip=0
        )
    assert np.array_equal(pixels, expected)
    assert info.dtype == np.uint16
    assert info.profile.encoding is Encoding.LINEAR
    lost = copy(kodak, tmp_path / "a.tif")
    assert any("sensor's own samples" in line for line in lost), lost
    assert not any("Make" in line or "Model" in line or "DateTime" in line for line in lost), lost
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        tags = tif.pages[0].tags
        assert tags["Make"].value == "Eastman Kodak Company"
        assert tags["Model"].value.startswith("Kodak Digital Science DC50")
        assert tags["DateTime"].value == "1997:04:23 08:00:47"
        assert np.array_equal(tif.asarray(), expected)
    with open_scan(tmp_path / "a.tif") as scan:
        assert scan.info.profile.encoding is Encoding.LINEAR


def test_the_raw_profile_is_one_that_colour_management_takes(kodak) -> None:
    with open_scan(kodak) as scan:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(scan.info.profile.icc))
    grey = Image.new("RGB", (1, 1), (55, 55, 55))
    shown = ImageCms.profileToProfile(grey, profile, ImageCms.createProfile("sRGB"))
    assert shown.getpixel((0, 0)) == (128, 128, 128)  # sRGB's curve at 55 / 255


def test_a_raw_file_cut_short_is_refused(tmp_path, kodak) -> None:
    (tmp_path / "a.kdc").write_bytes(kodak.read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"a\.kdc"):
        read_all(tmp_path / "a.kdc")


def test_lossless_jpeg_that_claims_more_than_its_bytes_can_hold(tmp_path) -> None:
    # LibRaw by itself would decode zeros for the better part of a minute.
    title = "Camera raw, linear DNG in lossless JPEG"
    layout = next(layout for layout in LAYOUTS if layout.title == title)
    path = tmp_path / "a.dng"
    layout.write(path, (48, 40))
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc3")  # then length, bits, height, width
    data[frame + 5 : frame + 9] = b"\xff\xff\x75\x30"
    path.write_bytes(data)
    with pytest.raises(InputError, match="claim to be 30000 x 65535 pixels"):
        open_scan(path)


def test_text_that_looks_like_raw_only_by_name(tmp_path) -> None:
    (tmp_path / "a.arw").write_bytes(b"\x01\x02\x03\x04" * 500)
    with pytest.raises(InputError, match="not readable as a camera raw file"):
        open_scan(tmp_path / "a.arw")


def test_exif_too_large_for_a_jpeg_is_named(tmp_path) -> None:
    pixels = make_picture((8, 8, 3), "u1")
    info = replace(make_info(pixels), metadata=Metadata(xmp=b"x" * 70_000))
    _, losses = write_scan(tmp_path / "a.jpg", info, pixels)
    assert "XMP (too large for a JPEG)" in losses


def test_jpeg_xl_in_a_dng_is_named(tmp_path) -> None:
    tags = [(50706, 1, 4, bytes((1, 7, 0, 0)), True), (50708, 2, 0, "Camera", True)]
    tifffile.imwrite(
        tmp_path / "a.dng", make_picture((64, 64, 3), "u2"), photometric=34892,
        compression=52546, tile=(64, 64), planarconfig="contig", extratags=tags,
    )  # fmt: skip
    with pytest.raises(InputError, match="compressed with JPEG XL"):
        read_all(tmp_path / "a.dng")

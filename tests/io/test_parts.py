"""The small parts: LZW in pieces, EXIF blocks, tone curves, the choice of readers."""

import contextlib
import io
import struct
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import make_info, make_picture
from PIL import ImageCms

from darkroom.errors import UsageError
from darkroom.io import create_scan, registry
from darkroom.io.encoding import icc_encoding, linear_srgb_profile
from darkroom.io.exif import exif_orientation, exif_resolution
from darkroom.io.tiff import lzw as lzw_stream
from darkroom.io.tiff.ifd import IfdError, pack_exif, parse_exif, retype, unpack_value
from darkroom.io.tiff.lzw import LzwError, inflate_lzw
from darkroom.metadata import Tag
from darkroom.protocols import ReaderSpec
from darkroom.scan import Encoding


def unpack(data: bytes) -> bytes:
    return b"".join(inflate_lzw(lambda at, count: data[at : at + count], 0, len(data)))


@given(
    st.integers(1, 60_000),
    st.sampled_from([1, 2, 4, 16, 256]),
    st.integers(0, 5),
    st.sampled_from([9000, 20_000, 1 << 20]),
)
def test_lzw_in_pieces_equals_lzw_whole(size, values, seed, buffer) -> None:
    data = np.random.default_rng(seed).integers(0, values, size).astype(np.uint8).tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lzw_stream, "_BUFFER", buffer)
        patch.setattr(lzw_stream, "_PIECE", buffer // 4)
        assert unpack(imagecodecs.lzw_encode(data)) == data


def test_damaged_lzw_ends() -> None:
    data = imagecodecs.lzw_encode(np.random.default_rng(0).bytes(30_000))
    with pytest.raises(LzwError):
        unpack(b"\x12" + data[1:])
    for size in range(10, 3000, 97):
        assert len(unpack(data[:size])) < 30_000


def test_exif_blocks_round_trip_in_both_byte_orders() -> None:
    for order in "<>":
        tags = [
            Tag(271, 2, 6, b"Nikon\0"),
            Tag(33434, 5, 1, (1, 250), "exif"),
            Tag(37500, 7, 3, b"abc", "exif"),
            Tag(3, 2, 2, b"E\0", "gps"),
        ]
        block = pack_exif(tags, order)
        found_order, found = parse_exif(block)
        assert found_order == order
        assert [(tag.code, tag.ifd) for tag in found] == [(tag.code, tag.ifd) for tag in tags]
        assert unpack_value(found[1], order) == (1, 250)
        assert found[2].value == b"abc"
    assert pack_exif([], "<") == b""


@given(st.binary(max_size=200), st.integers(0, 199))
def test_damaged_exif_is_an_error_or_empty(noise, at) -> None:
    block = bytearray(pack_exif([Tag(271, 2, 6, b"Nikon\0"), Tag(1, 2, 1, b"N", "gps")], ">"))
    block[8 + at :] = noise
    with contextlib.suppress(IfdError, ValueError, struct.error):
        parse_exif(bytes(block))
    assert exif_orientation(bytes(block)) in range(1, 9)
    exif_resolution(bytes(block))


def test_byte_order_of_values_can_be_turned() -> None:
    tag = Tag(1, 3, 2, b"\1\2\3\4")
    assert retype(tag, "<", ">").value == b"\2\1\4\3"
    assert retype(tag, "<", "<") is tag
    assert retype(Tag(1, 5, 1, bytes(range(8))), "<", ">").value == bytes([3, 2, 1, 0, 7, 6, 5, 4])


def curve_profile(curve: bytes) -> bytes:
    table = struct.pack(">I4sII", 1, b"kTRC", 144, len(curve))
    return bytes(128) + table + curve


@pytest.mark.parametrize(
    ("curve", "encoding"),
    [
        (b"curv\0\0\0\0" + struct.pack(">I", 0), Encoding.LINEAR),
        (b"curv\0\0\0\0" + struct.pack(">IH", 1, 256), Encoding.LINEAR),
        (b"curv\0\0\0\0" + struct.pack(">IH", 1, 563), Encoding.GAMMA),
        (b"curv\0\0\0\0" + struct.pack(">I5H", 5, 0, 16384, 32768, 49151, 65535), Encoding.LINEAR),
        (b"curv\0\0\0\0" + struct.pack(">I5H", 5, 0, 3000, 14000, 34000, 65535), Encoding.GAMMA),
        (b"para\0\0\0\0" + struct.pack(">HHi", 0, 0, 65536), Encoding.LINEAR),
        (b"para\0\0\0\0" + struct.pack(">HHi", 0, 0, 144179), Encoding.GAMMA),
        (b"mft2\0\0\0\0", Encoding.UNKNOWN),
        (b"curv", Encoding.UNKNOWN),
    ],
)
def test_tone_curves(curve, encoding) -> None:
    assert icc_encoding(curve_profile(curve)) is encoding


def test_encoding_of_real_profiles() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert icc_encoding(srgb) is Encoding.GAMMA
    assert icc_encoding(linear_srgb_profile()) is Encoding.LINEAR
    assert icc_encoding(None) is Encoding.UNKNOWN
    assert icc_encoding(b"short") is Encoding.UNKNOWN
    name = ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(linear_srgb_profile())))
    assert name.strip() == "Linear sRGB"


def test_plugins_readers_can_come_first(tmp_path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + bytes(100))
    mine = ReaderSpec("mine", (".tif",), (b"II*\0",), "somewhere:open", priority=5)
    assert registry.choose_reader(path, (*registry.READERS, mine)) is mine
    late = ReaderSpec("late", (".tif",), (b"II*\0",), "somewhere:open", priority=-5)
    assert registry.choose_reader(path, (late, *registry.READERS)).name == "TIFF"
    by_name = ReaderSpec("by name", (".xyz",), (), "somewhere:open")
    (tmp_path / "a.xyz").write_bytes(b"anything")
    assert registry.choose_reader(tmp_path / "a.xyz", (by_name,)) is by_name


def test_suffixes_for_walking_folders() -> None:
    assert {".tif", ".tiff", ".png", ".jpg", ".nef", ".dng"} <= registry.scan_suffixes()


def test_no_suffix_no_writer(tmp_path) -> None:
    with pytest.raises(UsageError, match="without suffix"):
        create_scan(tmp_path / "a", make_info(make_picture((3, 3, 1), "u1")))


def test_importing_the_package_loads_no_codec() -> None:
    script = (
        "import sys, darkroom.io; "
        "print([m for m in ('imagecodecs', 'rawpy', 'tifffile', 'PIL', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

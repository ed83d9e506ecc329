"""PNG: exact at 8 and 16 bits through libpng's eyes, streamed, with its chunks."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import make_info, make_picture, read_all, write_scan
from PIL import Image, ImageCms, PngImagePlugin

from darkroom.errors import InputError, UsageError
from darkroom.geometry import Window
from darkroom.io import open_scan
from darkroom.io.png import read as png_read
from darkroom.io.png import write as png_write
from darkroom.io.png.chunks import SIGNATURE, chunk
from darkroom.io.png.write import filter_rows
from darkroom.metadata import Chunk, Metadata, Tag
from darkroom.scan import ColorProfile, Encoding

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    samples=st.sampled_from([1, 2, 3, 4]),
    dtype=st.sampled_from(["u1", "u2"]),
    step=st.integers(1, 70),
    band=st.sampled_from([1, 300, 1 << 20]),
)
def test_round_trip_and_libpng_agree(tmp_path_factory, size, samples, dtype, step, band) -> None:
    pixels = make_picture((*size, samples), dtype)
    path = tmp_path_factory.mktemp("png") / "a.png"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png_write, "_BAND", band)
        patch.setattr(png_read, "_BAND", band)
        write_scan(path, make_info(pixels), pixels, step)
        assert np.array_equal(
            imagecodecs.png_decode(path.read_bytes()),
            pixels.squeeze(-1) if samples == 1 else pixels,
        )
        path.write_bytes(imagecodecs.png_encode(pixels.squeeze(-1) if samples == 1 else pixels))
        assert np.array_equal(read_all(path), pixels)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_undone(tmp_path, monkeypatch, dtype, kind) -> None:
    """Rows filtered by hand, as the specification defines each filter."""
    monkeypatch.setattr(png_read, "_BAND", 200)
    pixels = make_picture((9, 8, 3), dtype)
    rows = np.frombuffer(pixels.astype(pixels.dtype.newbyteorder(">")).tobytes(), np.uint8)
    rows = rows.reshape(9, -1).astype(int)
    step, out = 3 * pixels.itemsize, b""
    for y in range(9):
        line = [kind]
        for x in range(rows.shape[1]):
            left = rows[y, x - step] if x >= step else 0
            up = rows[y - 1, x] if y else 0
            corner = rows[y - 1, x - step] if y and x >= step else 0
            guess = left + up - corner
            distance = [abs(guess - value) for value in (left, up, corner)]
            paeth = (left, up, corner)[distance.index(min(distance))]
            expected = (0, left, up, (left + up) // 2, paeth)[kind]
            line.append((rows[y, x] - expected) % 256)
        out += bytes(line)
    header = struct.pack(">IIBBBBB", 8, 9, 8 * pixels.itemsize, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(out)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(SIGNATURE + body)
    assert np.array_equal(read_all(tmp_path / "a.png"), pixels)


def test_interlaced(tmp_path) -> None:
    # Adam7 of a 1-column image: passes 1, 3 and 5... hold rows 0, 4, 2, 6 and the odd ones.
    pixels = make_picture((8, 1, 1), "u1")
    order = [0, 4, 2, 6, 1, 3, 5, 7]
    data = b"".join(bytes([0, pixels[y, 0, 0]]) for y in order)
    header = struct.pack(">IIBBBBB", 1, 8, 8, 0, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(SIGNATURE + body)
    assert np.array_equal(read_all(tmp_path / "a.png"), pixels)


def rich_png(path) -> np.ndarray:
    pixels = make_picture((30, 20, 3), "u1")
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Ann")
    text.add_text("Long", "x" * 500, zip=True)
    text.add_itxt("Comment", "日本", zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x/>")
    exif = Image.Exif()
    exif[271], exif[274] = "Nikon", 6
    exif.get_ifd(34665)[37386] = 50.0
    image = Image.fromarray(pixels)
    image.save(path, pnginfo=text, dpi=(4000, 3000), exif=exif, icc_profile=SRGB)
    return pixels


def test_chunks_survive_into_png(tmp_path, copy) -> None:
    pixels = rich_png(tmp_path / "a.png")
    assert copy(tmp_path / "a.png", tmp_path / "b.png") == []
    with open_scan(tmp_path / "a.png") as a, open_scan(tmp_path / "b.png") as b:
        assert a.info.metadata == b.info.metadata
        assert dict(b.info.metadata.text) == {"Author": "Ann", "Long": "x" * 500, "Comment": "日本"}
        assert b.info.orientation == 6
        assert b.info.resolution == pytest.approx((4000, 3000), rel=1e-5)
        assert b.info.profile == ColorProfile(SRGB, Encoding.GAMMA)
    image = Image.open(tmp_path / "b.png")
    assert np.array_equal(np.asarray(image), pixels)
    assert image.getexif()[271] == "Nikon"
    assert image.getexif().get_ifd(34665)[37386] == 50.0
    assert image.info["icc_profile"] == SRGB


def test_chunks_survive_into_tiff_and_back(tmp_path, copy) -> None:
    rich_png(tmp_path / "a.png")
    assert copy(tmp_path / "a.png", tmp_path / "b.tif") == ["text 'Long'"]
    assert copy(tmp_path / "b.tif", tmp_path / "c.png") == []
    image = Image.open(tmp_path / "c.png")
    assert image.getexif()[271] == "Nikon"
    assert image.getexif()[274] == 6
    assert image.getexif()[315] == "Ann"
    assert image.info["icc_profile"] == SRGB
    assert image.info["dpi"] == pytest.approx((4000, 3000), rel=1e-5)


def test_what_png_cannot_carry_is_named(tmp_path) -> None:
    pixels = make_picture((5, 5, 3), "u2")
    tags = (Tag(271, 2, 6, b"Nikon\0"), Tag(65000, 3, 1, b"\1\0"), Tag(34377, 7, 2, b"8B"))
    info = make_info(pixels, metadata=Metadata(tags=tags, iptc=b"\x1c\2"))
    _, losses = write_scan(tmp_path / "a.png", info, pixels)
    assert losses == ["tag 65000", "ImageResources", "IPTC"]


def test_gamma_chunks_tell_the_encoding(tmp_path) -> None:
    pixels = make_picture((5, 5, 3), "u2")
    for gamma, encoding in ((100_000, Encoding.LINEAR), (45_455, Encoding.GAMMA)):
        metadata = Metadata(chunks=(Chunk("gAMA", struct.pack(">I", gamma)),))
        info = make_info(pixels, metadata=metadata)
        write_scan(tmp_path / "a.png", info, pixels, overwrite=True)
        with open_scan(tmp_path / "a.png") as scan:
            assert scan.info.profile.encoding is encoding


@pytest.mark.parametrize(
    ("changes", "dtype", "samples"),
    [({}, "f4", 3), ({"photometric": "miniswhite"}, "u2", 1), ({"extra_kinds": (0,)}, "u2", 4)],
)
def test_pixels_that_png_cannot_hold(tmp_path, changes, dtype, samples) -> None:
    pixels = make_picture((5, 5, samples), dtype)
    with pytest.raises(UsageError, match="PNG") as caught:
        write_scan(tmp_path / "a.png", make_info(pixels, **changes), pixels)
    assert ".tif" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_palettes_and_few_bits_are_refused(tmp_path) -> None:
    image = Image.fromarray(make_picture((20, 20, 1), "u1")[..., 0])
    image.convert("P").save(tmp_path / "p.png")
    image.convert("1").save(tmp_path / "b.png")
    for name, reason in (("p.png", "palette"), ("b.png", "1-bit")):
        with pytest.raises(InputError, match=f"{name}: {reason}"):
            open_scan(tmp_path / name)


def test_flipped_bits_are_noticed(tmp_path) -> None:
    pixels = make_picture((40, 40, 3), "u1")
    path, _ = write_scan(tmp_path / "a.png", make_info(pixels), pixels)
    data = path.read_bytes()
    for at in range(len(SIGNATURE) + 33, len(data) - 16, 37):
        damaged = bytearray(data)
        damaged[at] ^= 16
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.png"):
            read_all(path)


def test_filtering_matches_its_definition() -> None:
    rows = make_picture((6, 7, 3), "u1").reshape(6, 21)
    previous = make_picture((1, 7, 3), "u1", seed=3).reshape(1, 21)
    filtered = filter_rows(rows, previous, 3)
    body = zlib.compress(b"\0" + previous.tobytes() + filtered.tobytes())
    header = struct.pack(">IIBBBBB", 7, 7, 8, 2, 0, 0, 0)
    image = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    assert np.array_equal(imagecodecs.png_decode(image)[1:].reshape(6, 21), rows)


def test_windows(tmp_path) -> None:
    pixels = make_picture((50, 40, 3), "u2")
    path, _ = write_scan(tmp_path / "a.png", make_info(pixels), pixels)
    with open_scan(path) as scan:
        window = Window(7, 11, 20, 30)
        assert np.array_equal(scan.read(window), pixels[window.slices])
        with pytest.raises(ValueError, match="leaves"):
            scan.read(Window(-1, 0, 2, 2))

"""TIFF reading against tifffile's writer: every layout, any window, exact pixels."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from pictures import make_picture, read_all

from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io import open_scan
from darkroom.io.tiff.read import TiffScan
from darkroom.scan import held_rows

SMALL, LARGE = 300, 64 << 20  # cache sizes: all to the spool, all in the cache


@st.composite
def layouts(draw: st.DrawFn) -> dict:
    """Arguments for tifffile, with the shape and dtype of a picture."""
    dtype = draw(st.sampled_from(["u1", "u2", "f4"]))
    compression = draw(st.sampled_from([None, "lzw", "zlib", "packbits", "zstd"]))
    predictor = False
    if compression in ("lzw", "zlib", "zstd"):
        # tifffile chooses horizontal for integers, floating point for floats
        predictor = draw(st.booleans())
    storage = draw(
        st.one_of(
            st.just({}),
            st.integers(1, 40).map(lambda rows: {"rowsperstrip": rows}),
            st.tuples(st.integers(1, 3), st.integers(1, 3)).map(
                lambda t: {"tile": (16 * t[0], 16 * t[1])}
            ),
        )
    )
    return {
        "height": draw(st.integers(1, 60)),
        "width": draw(st.integers(1, 60)),
        "samples": draw(st.sampled_from([1, 3, 4])),
        "dtype": dtype,
        "planar": draw(st.booleans()),
        "cache": draw(st.sampled_from([SMALL, LARGE])),
        "write": {
            "compression": compression,
            "predictor": predictor,
            "byteorder": draw(st.sampled_from(["<", ">"])),
            "bigtiff": draw(st.booleans()),
            **storage,
        },
        "window": draw(st.tuples(*[st.floats(0, 1)] * 4)),
    }


@given(layouts())
def test_every_layout_is_read_exactly(tmp_path_factory, layout: dict) -> None:
    path = tmp_path_factory.mktemp("layout") / "scan.tif"
    height, width, samples = layout["height"], layout["width"], layout["samples"]
    pixels = make_picture((height, width, samples), layout["dtype"])
    options = dict(layout["write"])
    stored = pixels[..., 0] if samples == 1 else pixels
    if samples > 1:
        options["photometric"] = "rgb"
        options["extrasamples"] = (0,) * (samples - 3)
        if layout["planar"]:
            options["planarconfig"] = "separate"
            stored = np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(path, stored, metadata=None, **options)
    a, b, c, d = layout["window"]
    x, y = int(a * (width - 1)), int(b * (height - 1))
    window = Window(x, y, 1 + int(c * (width - x - 1)), 1 + int(d * (height - y - 1)))
    with open_scan(path, cache_bytes=layout["cache"]) as scan:
        assert (scan.info.channels, scan.info.extra) == (
            (1, 0) if samples == 1 else (3, samples - 3)
        )
        assert scan.info.dtype == pixels.dtype
        assert np.array_equal(scan.read(window), pixels[window.slices])
        assert np.array_equal(scan.read(scan.info.window), pixels)
        assert scan.read(window).dtype.isnative


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("tiled", [False, True])
def test_jpeg_segments_agree_with_tifffile(tmp_path, picture, samples, tiled) -> None:
    pixels = picture((50, 70, samples), "u1")
    path = tmp_path / "scan.tif"
    options = {"tile": (32, 32)} if tiled else {"rowsperstrip": 16}
    photometric = "rgb" if samples == 3 else "minisblack"
    stored = pixels if samples == 3 else pixels[..., 0]
    tifffile.imwrite(path, stored, compression="jpeg", photometric=photometric, **options)
    with open_scan(path) as scan:
        expected = tifffile.imread(path).reshape(50, 70, samples)
        assert np.array_equal(scan.read(scan.info.window), expected)


def test_reversed_bit_order(tmp_path) -> None:
    pixels = make_picture((9, 11, 1), "u1")
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, pixels[..., 0], metadata=None, extratags=[(65266, "H", 1, 2, True)])
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[0].dataoffsets[0]
    entry = data.index(struct.pack("<HHI", 65266, 3, 1), 8)
    data[entry : entry + 2] = struct.pack("<H", 266)  # which tifffile refuses to write
    reverse = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
    data[at : at + pixels.size] = data[at : at + pixels.size].translate(reverse)
    path.write_bytes(data)
    with open_scan(path) as scan:
        assert np.array_equal(scan.read(scan.info.window), pixels)


def test_white_is_zero_is_not_turned_round(tmp_path) -> None:
    pixels = make_picture((9, 11, 1), "u2")
    tifffile.imwrite(tmp_path / "scan.tif", pixels[..., 0], photometric="miniswhite")
    with open_scan(tmp_path / "scan.tif") as scan:
        assert scan.info.photometric == "miniswhite"
        assert np.array_equal(scan.read(scan.info.window), pixels)


def test_the_picture_is_the_largest_full_page_wherever_it_is(tmp_path, picture) -> None:
    small, large = picture((20, 30, 3), "u2"), picture((60, 90, 3), "u2", seed=1)
    path = tmp_path / "scan.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(small, photometric="rgb", subfiletype=1, subifds=2, software="outer")
        tif.write(small, photometric="rgb", software=False)
        tif.write(large, photometric="rgb", software=False)
        tif.write(np.zeros((200, 200, 3), "u2"), photometric="rgb", subfiletype=1)
    with open_scan(path) as scan:
        assert np.array_equal(scan.read(scan.info.window), large)
        assert scan.info.storage.page == "0.1"
        # Camera and program stand in the first directory only.
        assert b"outer\0" in [tag.value for tag in scan.info.metadata.tags if tag.code == 305]


def test_resolution_in_centimetres_is_given_per_inch(tmp_path, picture) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(
        path, picture((5, 5, 3), "u1"), resolution=(1000, 500), resolutionunit="CENTIMETER"
    )
    with open_scan(path) as scan:
        assert scan.info.resolution == (2540.0, 1270.0)


def test_missing_byte_counts_of_uncompressed_strips(tmp_path, picture) -> None:
    pixels = picture((20, 30, 3), "u2")
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=6, metadata=None)
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<H", 279), 8)
    data[at : at + 2] = struct.pack("<H", 280)
    path.write_bytes(data)
    with open_scan(path) as scan:
        assert np.array_equal(scan.read(scan.info.window), pixels)


def test_damage_in_a_strip_is_an_error_not_a_guess(tmp_path, picture) -> None:
    pixels = picture((40, 50, 3), "u2")
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", rowsperstrip=8)
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[0].dataoffsets[2]
    data = bytearray(path.read_bytes())
    data[at + 40] ^= 0xFF
    path.write_bytes(data)
    for cache in (SMALL, LARGE):
        with pytest.raises(InputError, match=r"scan\.tif: strip 2 is damaged"):
            read_all(path, cache_bytes=cache)


def test_windows_outside_the_image_are_refused(tmp_path, picture) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", picture((5, 6, 3), "u1"), photometric="rgb")
    with open_scan(tmp_path / "scan.tif") as scan, pytest.raises(ValueError, match="leaves"):
        scan.read(Window(0, 0, 7, 5))


def test_windows_of_the_height_that_cost_names_decode_nothing_twice(tmp_path, monkeypatch) -> None:
    pixels = make_picture((700, 1050, 3), "u2")
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="zlib", rowsperstrip=7)
    decoded = []
    decode = TiffScan._decode

    def spy(scan: TiffScan, number: int):
        decoded.append(number)
        return decode(scan, number)

    monkeypatch.setattr(TiffScan, "_decode", spy)
    with open_scan(tmp_path / "a.tif", cache_bytes=40 * 7 * 1050 * 6 + 5) as scan:
        rows = held_rows(scan)
        assert rows == 39 * 7
        for y in (0, 3, 6, 360):
            decoded.clear()
            for x in range(0, 1050, 350):
                window = Window(x, y, 350, rows)
                assert np.array_equal(scan.read(window), pixels[window.slices])
            assert len(decoded) == len(set(decoded))
        decoded.clear()
        for x in range(0, 1050, 350):
            scan.read(Window(x, 3, 350, rows + 8))
        assert len(decoded) > len(set(decoded))


def test_a_cache_for_few_rows_gives_way_to_the_disk(tmp_path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", make_picture((700, 1050, 3), "u2"), compression="zlib", rowsperstrip=7
    )
    with open_scan(tmp_path / "a.tif", cache_bytes=10 * 7 * 1050 * 6) as scan:
        assert held_rows(scan) is None
        assert scan.cost.disk == scan.info.nbytes


def test_threads_share_one_scan(tmp_path, picture) -> None:
    from concurrent.futures import ThreadPoolExecutor

    pixels = picture((300, 200, 3), "u2")
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", rowsperstrip=16)
    windows = [Window(x, y, 40, 50) for x in range(0, 160, 20) for y in range(0, 250, 25)]
    with open_scan(path, cache_bytes=100_000) as scan, ThreadPoolExecutor(4) as pool:
        for window, got in zip(windows, pool.map(scan.read, windows), strict=True):
            assert np.array_equal(got, pixels[window.slices])


def test_nothing_is_left_open(tmp_path, picture) -> None:
    path: Path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture((30, 30, 3), "u2"), photometric="rgb", compression="zlib")
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("open files cannot be listed here")
    before = len(list(folder.iterdir()))
    with open_scan(path, cache_bytes=SMALL) as scan:
        scan.read(scan.info.window)
    assert len(list(folder.iterdir())) == before

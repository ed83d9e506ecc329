"""What darkroom writes, opened by the programs people use; each test skips where one is missing."""

import shutil
import subprocess

import numpy as np
import pytest
from layouts import LAYOUTS
from pictures import copy_scan, make_info, make_picture, write_scan

pytestmark = pytest.mark.external
COMPRESSIONS = ("none", "lzw", "deflate", "zstd", "packbits")
TITLES = (
    *("VueScan raw TIFF, 4 samples", "VueScan raw DNG, RGB and infrared", "Grey 16-bit DNG"),
    *("SilverFast HDRi TIFF", "SilverFast HDRi DNG", "BigTIFF in tiles", "Planar TIFF, RGB"),
    *("JPEG, baseline", "Camera raw, Bayer DNG with preview"),
)
SAMPLES = {"VueScan raw TIFF, 4 samples": 4, "VueScan raw DNG, RGB and infrared": 4}
SAMPLES |= {"Grey 16-bit DNG": 1}


def need(program: str, maker: bytes = b"") -> str:
    """Where a program is; skips where it is missing, or is another one of that name."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    if maker and maker not in run(found, "-version").stdout:
        pytest.skip(f"{found} is not that of {maker.decode()}")
    return found


def run(*command, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, check=False, **options
    )


@pytest.fixture(params=TITLES)
def written(request, tmp_path):
    """A copy of a layout as darkroom writes it, its title, and its size."""
    layout = next(one for one in LAYOUTS if one.title == request.param)
    layout.write(tmp_path / layout.name, (60, 80))
    copy_scan(tmp_path / layout.name, tmp_path / "copy.tif")
    return tmp_path / "copy.tif", layout.title


def test_libvips(written) -> None:
    program, (path, title) = need("vipsheader"), written
    done = run(program, "-a", path)
    assert done.returncode == 0
    # It warns of the private tag that the layouts carry, and must not of anything else.
    said = [line for line in done.stderr.splitlines() if line and b"tag 65000" not in line]
    assert said == []
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert (fields["width"], fields["height"]) == ("80", "60")
    assert int(fields["bands"]) == SAMPLES.get(title, 3)
    assert fields["format"] == ("uchar" if "JPEG" in title else "ushort")


def test_imagemagick(written) -> None:
    program, (path, title) = need("identify", b"ImageMagick"), written
    done = run(program, "-format", "%w %h %z\n", f"{path}[0]")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [b"80", b"60", b"8" if "JPEG" in title else b"16"]


def test_exiftool(written) -> None:
    program, (path, title) = need("exiftool"), written
    done = run(program, "-validate", "-s", "-Make", "-ImageWidth", "-Warning", "-Error", path)
    assert done.returncode == 0
    fields = dict(line.split(":", 1) for line in done.stdout.decode().splitlines())
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    assert fields["Make"] == ("Noritsu" if "JPEG" in title else "Nikon")
    assert fields["ImageWidth"] == "80"
    assert "Error" not in fields


def test_gimp(tmp_path) -> None:
    """GIMP opens it in full depth."""
    program = need("gimp")
    layout = next(one for one in LAYOUTS if one.title == "VueScan raw TIFF, 3 samples")
    layout.write(tmp_path / layout.name, (60, 80))
    copy_scan(tmp_path / layout.name, tmp_path / "copy.tif", compression="deflate")
    script = (
        f'(let* ((name "{tmp_path}/copy.tif")'
        " (image (car (gimp-file-load RUN-NONINTERACTIVE name name))))"
        ' (gimp-message (string-append "size "'
        ' (number->string (car (gimp-image-width image))) " "'
        ' (number->string (car (gimp-image-height image))) " "'
        " (number->string (car (gimp-image-get-precision image))))))"
    )
    done = run(
        *(program, "--no-interface", "--no-data", "--no-fonts", "--batch", script),
        *("--batch", "(gimp-quit 0)"), env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        timeout=120,
    )  # fmt: skip
    assert b"size 80 60 2" in done.stderr + done.stdout, done.stderr  # 2xx: 16-bit integer


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_imagemagick_reads_the_very_samples(tmp_path, compression, dtype) -> None:
    program = need("convert", b"ImageMagick")
    pixels = make_picture((50, 70, 3), dtype)
    path, _ = write_scan(tmp_path / "a.tif", make_info(pixels), pixels, compression=compression)
    depth = 8 * pixels.itemsize
    done = run(program, f"{path}[0]", "-depth", depth, "-endian", "LSB", "rgb:-")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.frombuffer(done.stdout, f"<{dtype}").reshape(pixels.shape), pixels)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("big", [False, True])
def test_libvips_reads_the_very_samples(tmp_path, compression, big) -> None:
    program = need("vips")
    pixels = make_picture((50, 70, 4), "u2")
    info = make_info(pixels, extra_kinds=(0,))
    options = {"compression": compression, "more_bytes": (1 << 32) * big}
    path, _ = write_scan(tmp_path / "a.tif", info, pixels, **options)
    done = run(program, "rawsave", path, tmp_path / "a.raw")
    assert (done.returncode, done.stderr) == (0, b"")
    raw = np.frombuffer((tmp_path / "a.raw").read_bytes(), "<u2")
    assert np.array_equal(raw.reshape(pixels.shape), pixels)

import numpy as np
import pytest

from darkroom.codec import Codec, linear_to_srgb, srgb_to_linear
from darkroom.pipeline.memory import ArrayScan
from darkroom.pipeline.survey import find_frame, survey
from darkroom.scan import Encoding


def surveyed(image, **options):
    scan = ArrayScan(image, **options)
    return survey(scan, Codec.of(scan.info))


@pytest.mark.parametrize("sigma", [0.004, 0.01, 0.03])
def test_noise_is_measured_through_edges_and_artefacts(rng, sigma):
    image = np.where(np.arange(800)[None, :] // 50 % 2, 0.3, 0.6) * np.ones((600, 1))
    image = image + rng.normal(0, sigma, image.shape)
    image[rng.random(image.shape) < 0.005] = 1.0
    stats = surveyed((image.clip(0, 1) * 65535).astype(np.uint16))
    assert stats.noise == pytest.approx(sigma, rel=0.15)


def test_tone_is_that_of_the_frame(rng):
    image = (rng.uniform(0.2, 0.7, (500, 500)) * 255).astype(np.uint8)
    stats = surveyed(image)
    assert stats.black == pytest.approx(0.2, abs=0.02)
    assert stats.median == pytest.approx(0.45, abs=0.02)
    assert stats.white == pytest.approx(0.7, abs=0.02)


def test_the_film_holder_is_left_out(rng):
    image = rng.normal(0.5, 0.05, (800, 1000)).clip(0.05, 1)
    framed = np.zeros((900, 1140))
    framed[40:840, 80:1080] = image
    framed += rng.normal(0, 0.002, framed.shape)
    scan = ArrayScan((framed.clip(0, 1) * 65535).astype(np.uint16))
    frame = find_frame(scan, Codec.of(scan.info), 0.0, 0.003)
    assert abs(frame.x - 80) <= 8
    assert abs(frame.y - 40) <= 8
    assert abs(frame.right - 1080) <= 8
    assert abs(frame.bottom - 840) <= 8


def test_a_picture_without_border_is_kept_whole(rng):
    scan = ArrayScan(rng.integers(0, 255, (300, 400)).astype(np.uint8))
    assert find_frame(scan, Codec.of(scan.info), 0.0, 0.1) == scan.info.window


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("encoding", list(Encoding))
def test_encoding_and_decoding_give_every_value_back(dtype, encoding):
    top = np.iinfo(dtype).max
    values = np.arange(top + 1, dtype=dtype).reshape(-1, 256, 1)
    codec = Codec.of(ArrayScan(values, encoding).info)
    image = codec.encode(values)
    assert image.dtype == np.float32
    assert image.min() == 0
    assert image.max() == pytest.approx(1)
    assert (codec.decode(image) == values).all()


def test_the_curve_is_that_of_the_standard():
    # IEC 61966-2-1: linear 0.18 is 0.4613 encoded; the straight part has slope 12.92.
    assert linear_to_srgb(np.float32([0.18, 0.002])) == pytest.approx([0.4613, 0.02584], abs=1e-3)
    line = np.linspace(0, 1, 1001, dtype=np.float32)
    assert srgb_to_linear(linear_to_srgb(line)) == pytest.approx(line, abs=1e-5)

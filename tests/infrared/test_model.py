"""The plane laid over the picture, and the model of clean film."""

import cv2
import numpy as np
import pytest
from rgbi import DYE_INFRARED
from scipy import ndimage as ndi

from darkroom import infrared as model
from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.infrared import SURE, look
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.pipeline.memory import ArrayScan
from darkroom.scan import Encoding, Tile


def opened(frame):
    """(picture, its codec, infrared, the frame's window)."""
    encoding = Encoding.GAMMA if frame.encoded else Encoding.LINEAR
    scan = ArrayScan(frame.damaged[..., :3], encoding)
    return scan, Codec.of(scan.info), ArrayScan(frame.damaged[..., 3]), scan.info.window


def test_log_light_is_the_logarithm_of_decoded_srgb_and_comes_back():
    values = np.linspace(0.05, 1, 50, dtype=np.float32)
    decoded = ((values.astype(np.float64) + 0.055) / 1.055) ** 2.4
    assert np.allclose(model.log_light(values), np.log(decoded), atol=1e-5)
    assert np.allclose(model.from_log_light(model.log_light(values)), values, atol=1e-6)
    assert model.log_light(np.zeros(1, np.float32))[0] == pytest.approx(-7.09, abs=0.01)


@pytest.mark.parametrize("kind", ["slide", "negative"])
@pytest.mark.parametrize("noise", [0.002, 0.02])
def test_crosstalk_of_the_dyes_is_found(frame, kind, noise):
    scan, codec, plane, whole = opened(frame(kind, noise))
    seen = look(scan, codec, plane, whole)
    assert seen.refusal is None
    assert np.allclose(seen.stats.crosstalk, DYE_INFRARED[kind], atol=0.006)
    # The lamp falls off by 6 % to the corners, 3 % along each axis.
    lamp = seen.stats.lamp
    middle = model.KNOTS // 2
    assert lamp[0, 0] - lamp[middle, middle] == pytest.approx(-0.062, abs=0.02)
    assert lamp[0, middle] - lamp[middle, middle] == pytest.approx(-0.031, abs=0.015)


def test_noise_is_that_of_the_frame(frame):
    fine, coarse = (look(*opened(frame(noise=n))).stats for n in (0.002, 0.02))
    # Noise of 0.02 at a level of 0.75 is 0.024 of log infrared; fine scanners meet the floor.
    assert np.median(coarse.noise) == pytest.approx(0.024, rel=0.25)
    assert np.median(fine.noise) < 0.2 * np.median(coarse.noise)
    assert np.median(coarse.mean_noise) < 0.6 * np.median(coarse.noise)


@pytest.mark.parametrize("kind", ["slide", "inverted"])
@pytest.mark.parametrize("noise", [0.002, 0.02])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.6, -0.35), (14.4, -11.2)])
def test_the_shift_is_found_to_a_fraction_of_a_pixel(frame, kind, noise, shift):
    seen = look(*opened(frame(kind, noise, shift)))
    assert seen.refusal is None
    assert seen.confidence > SURE
    assert np.allclose(seen.stats.shift, shift, atol=0.2)


@pytest.mark.parametrize(("angle", "scale"), [(1.0, 1.0), (-0.4, 1.0), (0.3, 1.008)])
def test_rotation_and_scale_are_found(frame, angle, scale):
    made = frame(shift=(0.0, 0.0))
    scan, codec, _, whole = opened(made)
    turn = cv2.getRotationMatrix2D((whole.width / 2 - 0.5, whole.height / 2 - 0.5), -angle, scale)
    turned = cv2.warpAffine(
        *(made.damaged[..., 3], turn, (whole.width, whole.height)),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    seen = look(scan, codec, ArrayScan(turned), whole)
    assert seen.refusal is None
    assert seen.plane.warp.angle == pytest.approx(angle, abs=0.03)
    assert seen.plane.warp.scale == pytest.approx(scale, abs=5e-4)
    laid = seen.plane.padded(whole) * 65535
    inner = (slice(30, -30), slice(30, -30))
    off = laid[inner] - made.damaged[..., 3][inner].astype(np.float64)
    assert np.median(np.abs(off)) < 250
    # Whatever the window, the same pixels to the bit.
    for window in (Window(-7, -3, 90, 61), Window(201, 133, 77, 95)):
        part = window.clip(whole.width, whole.height)
        found = seen.plane.padded(window)[part.relative_to(window).slices]
        assert np.array_equal(found * 65535, laid[part.slices])


def test_a_plane_of_another_picture_is_refused(frame):
    scan, codec, _, whole = opened(frame())
    other = ArrayScan(frame(photo="astronaut", seed=9).damaged[..., 3])
    assert "place is not certain" in look(scan, codec, other, whole).refusal


def test_a_negative_of_infrared_is_turned(frame):
    made = frame()
    scan, codec, _, whole = opened(made)
    seen = look(scan, codec, ArrayScan(65535 - made.damaged[..., 3]), whole)
    assert seen.refusal is None
    assert seen.plane.inverted
    same = look(*opened(made))
    assert np.allclose(seen.stats.crosstalk, same.stats.crosstalk, atol=0.005)


@pytest.mark.parametrize("kind", ["silver", "kodachrome"])
def test_infrared_that_mirrors_the_picture_is_refused(frame, kind):
    seen = look(*opened(frame(kind)))
    assert "mirrors the picture" in seen.refusal


def test_planes_that_hold_nothing_are_refused(frame, rng):
    scan, codec, _, whole = opened(frame())
    shape = (scan.info.height, scan.info.width)
    opaque = ArrayScan(np.full(shape, 65535, np.uint16))
    assert "same everywhere" in look(scan, codec, opaque, whole).refusal
    foreign = ArrayScan(rng.integers(100, 60_000, shape, np.uint16))
    assert "place is not certain" in look(scan, codec, foreign, whole).refusal
    alpha = np.full(shape, 65535, np.uint16)
    alpha[:60] = 0
    assert "alpha channel" in look(scan, codec, ArrayScan(alpha), whole).refusal
    half = frame().damaged[..., 3].copy()
    half[shape[0] // 2 :] = 0
    assert "cut short" in look(scan, codec, ArrayScan(half), whole).refusal
    square = ArrayScan(np.ones((100, 100), np.uint16))
    assert "another shape" in look(scan, codec, square, whole).refusal


def test_exponents_tell_inverted_film_from_film(frame):
    straight = look(*opened(frame("negative"))).stats.exponents
    inverted = look(*opened(frame("inverted"))).stats.exponents
    assert all(0.7 < value < 1.5 for value in straight)
    # Turning a negative of gamma 0.6 positive raises what dims it to -1/0.6.
    assert all(-2.5 < value < -1.1 for value in inverted)


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_edges_taken_for_specks_do_not_upset_the_exponents(frame, seed):
    found = look(*opened(frame(amount=0.0, smears=3, seed=seed))).stats.exponents
    assert all(0.9 < value < 1.3 for value in found)


def test_what_is_left_is_the_transmission_of_dust(frame):
    made = frame(shift=(0.0, 0.0))
    scan, codec, plane, whole = opened(made)
    seen = look(scan, codec, plane, whole)
    image = codec.encode(scan.read(whole))
    tile = Tile(whole, whole, image, infrared=seen.plane.padded(whole))
    lost = model.log_transmission(tile, seen.stats)
    truth = np.log(made.damaged[..., 3] / made.clean[..., 3].astype(np.float64))
    dusty = truth < -0.3
    assert dusty.sum() > 100
    assert abs(np.median(lost[truth > -0.002])) < 0.002
    # Dust also dims the picture, and so what the dyes are thought to take: a tenth less is left.
    assert np.median(lost[dusty] / truth[dusty]) == pytest.approx(0.92, abs=0.05)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.0, -3.0), (0.4, 0.7)])
def test_the_plane_is_moved_and_alike_in_every_window(rng, shift):
    values = ndi.gaussian_filter(rng.normal(0.5, 1.0, (120, 140)), 3.0)
    values = (values - values.min()) / np.ptp(values)
    laid = InfraredPlane(ArrayScan(values.astype(np.float32)), 140, 120, shift)
    whole = laid.padded(Window(0, 0, 140, 120))
    moved = ndi.shift(values, (-shift[1], -shift[0]), order=3, mode="mirror")
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(whole[inner] - moved[inner]).max() < 0.004
    for window in (Window(3, 5, 40, 30), Window(70, 60, 33, 17)):
        assert np.array_equal(laid.padded(window), whole[window.slices])


@pytest.mark.parametrize("size", [(60, 70), (240, 280), (90, 105), (180, 210)])
def test_planes_of_another_size_keep_their_darkest(rng, size):
    dark = np.ones(size, np.float32)
    places = [(int(y), int(x)) for y, x in rng.integers(2, min(size) - 2, (30, 2))]
    for y, x in places:
        dark[y, x] = 0.1
    laid = InfraredPlane(ArrayScan(dark), 140, 120)
    whole = laid.padded(Window(0, 0, 140, 120))
    for y, x in places:
        top, left = int(y * 120 / size[0]), int(x * 140 / size[1])
        assert whole[top, left] == np.float32(0.1)
    assert np.array_equal(laid.padded(Window(31, 17, 50, 44)), whole[17:61, 31:81])


def test_a_dense_slide_with_small_lights_is_no_negative_of_infrared(rng):
    """Dyes take infrared where they take light, so that lights are bright in infrared too."""
    from darkroom.pipeline.infrared_kind import is_negative
    from darkroom.pipeline.infrared_thumbs import Thumbs

    light = np.tile(np.linspace(-6, -4.5, 320, dtype=np.float32), (240, 1))
    for y, x in rng.integers(10, 230, (60, 2)):
        light[y : y + 3, x : x + 3] = 0.0
    heat = 0.7 * np.exp(0.09 * light) + rng.normal(0, 0.002, light.shape)
    thumbs = Thumbs(np.repeat(light[..., None], 3, axis=2), heat.astype(np.float32), (0, 0), 1)
    assert not is_negative(thumbs)
    dust = np.full(light.shape, 0.7)
    dust[light == 0] = 0.2  # which is bright in the picture
    dust += rng.normal(0, 0.002, light.shape)
    assert is_negative(thumbs.with_heat((1 - dust).astype(np.float32)))


def test_infrared_of_an_inverted_negative_is_not_turned(frame):
    """There the dyes are densest where the picture is brightest."""
    seen = look(*opened(frame("inverted")))
    assert seen.refusal is None
    assert not seen.plane.inverted

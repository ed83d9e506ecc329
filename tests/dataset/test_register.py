import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from darkroom.dataset.register import Registration, register
from darkroom.errors import InputError
from darkroom.geometry import Window

Reader = Callable[[Window], np.ndarray]
SIDE = 900


def picture(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Detail at every scale, as photographs have."""
    rng = np.random.default_rng(seed)
    image = np.zeros((side, side), np.float32)
    for sigma, weight in ((1.2, 6), (4, 12), (15, 20), (60, 40)):
        layer = cv2.GaussianBlur(
            rng.standard_normal((side, side)).astype(np.float32), (0, 0), sigma
        )
        image += layer / layer.std() * weight
    return np.clip(image + 128, 0, 255)


def reader(image: np.ndarray) -> Reader:
    return lambda w: np.ascontiguousarray(image[w.slices])


def transform(angle: float, scale: float, dx: float, dy: float) -> np.ndarray:
    """Scan to truth, about the middle of the picture."""
    c, s = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    linear, middle = np.array([[c, -s], [s, c]]), np.full(2, SIDE / 2)
    return np.concatenate([linear, (middle - linear @ middle + (dx, dy))[:, None]], axis=1)


def align(scan: np.ndarray, truth: np.ndarray) -> Registration:
    return register(reader(scan), scan.shape[::-1], reader(truth), truth.shape[::-1])


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest displacement between two transforms over the picture, pixels."""
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]])
    return float(np.hypot(*(corners @ (found - wanted).T).T).max())


@pytest.mark.parametrize(
    "angle,scale,dx,dy",
    [
        (0, 1, 0.3, -0.7),
        (0, 1, 7.25, 3.5),
        (0.5, 1, 0, 0),
        (-0.5, 1, 2.4, -1.1),
        (0, 1.01, 0, 0),
        (0.3, 0.99, -3.3, 5.2),
    ],
)
def test_recovers_shift_rotation_and_scale(
    angle: float, scale: float, dx: float, dy: float
) -> None:
    scan, matrix = picture(), transform(angle, scale, dx, dy)
    truth = cv2.warpAffine(
        scan, matrix, (SIDE, SIDE), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
    )
    dusty = scan.copy()
    dusty[100:104, 200:210] += 90
    dusty[400:402, 300:500] -= 60
    found = align(dusty, truth)
    assert error(found.matrix, matrix) < 0.1
    assert found.model == ("shift" if angle == 0 and scale == 1 else "similarity")


def test_exact_pairs_are_left_alone() -> None:
    scan = picture()
    dusty = scan.copy()
    dusty[50:60, 50:60] = 255
    found = align(dusty, scan)
    assert (found.model, found.residual) == ("exact", 0.0)


def test_re_encoded_pairs_in_place_are_not_resampled() -> None:
    scan = picture()
    noise = np.random.default_rng(3).normal(0, 1.5, scan.shape).astype(np.float32)
    assert align(scan, scan * 0.97 + 3 + noise).model == "exact"


def test_a_crop_is_found() -> None:
    scan = picture()
    found = align(scan, scan[23:870, 31:880])
    wanted = np.array([[1, 0, -31], [0, 1, -23]], float)
    assert error(found.matrix, wanted) < 0.1


def test_another_picture_is_refused() -> None:
    with pytest.raises(InputError, match="does not align"):
        align(picture(0), picture(1))

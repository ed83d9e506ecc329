"""Window sums and extremes, against torch's own pools."""

import pytest
import torch
from darkroom_backends.filters import box, dilate
from torch.nn import functional as F


@pytest.mark.parametrize("size", [1, 3, 5, 7, 13, 17, 25])
def test_windows_are_those_of_the_pools(size: int) -> None:
    image = torch.rand((2, 3, 40, 33), generator=torch.Generator().manual_seed(size))
    r = size // 2
    continued = F.pad(image, (r, r, r, r), mode="replicate")
    assert torch.equal(dilate(image, size), F.max_pool2d(continued, size, 1))
    torch.testing.assert_close(box(image, size), F.avg_pool2d(continued, size, 1))


@pytest.mark.parametrize("size", [3, 7, 13, 17])
def test_a_window_gives_the_same_bits_wherever_the_image_starts(size: int) -> None:
    image = torch.rand((1, 1, 90, 80), generator=torch.Generator().manual_seed(1))
    inner = (..., slice(40, 60), slice(40, 60))
    part = (..., slice(21, None), slice(19, None))
    shifted = (..., slice(19, 39), slice(21, 41))
    for operation in (box, dilate):
        assert torch.equal(operation(image, size)[inner], operation(image[part], size)[shifted])

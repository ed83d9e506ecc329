import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `pictures`, shared by the tests here

from pictures import copy_scan, make_info, make_picture


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    return make_picture


@pytest.fixture
def info_of() -> Callable[..., object]:
    return make_info


@pytest.fixture
def copy() -> Callable[..., list[str]]:
    return copy_scan

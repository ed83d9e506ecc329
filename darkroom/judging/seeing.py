"""A small network that judges a candidate by its views, evaluated in numpy.

It is a few convolutions over each view, their means and maxima, and the judge's figures beside
them. What it costs follows the candidates, not the pixels, so it needs no faster way to run; and
numpy gives the same answer for one candidate alone as in any batch. `darkroom.training.seeing` has
the same network in torch and trains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from darkroom.judging.views import PLANES, Views
from darkroom.scan import Float

PREFIX = "views."  # begins the names of the network's arrays among a judge's
NEAR_UNITS = np.array((1 / 40, 1 / 25, 1 / 64, 1 / 127, 1 / 20, 1 / 20), np.float32)
FAR_UNITS = np.array((1 / 40, 1 / 25, 1 / 25, 1 / 64, 1 / 127, 1 / 127), np.float32)
BLOCKS = 2  # of either tower
FARTHEST = 5.0  # standard deviations at which a figure is cut off


@dataclass(frozen=True, slots=True)
class SeeingNetwork:
    """The network's weights.

    Attributes:
        layers: float32 arrays, by their names in `darkroom.training.seeing.Seeing`.

    Raises:
        ValueError: some are missing, or of shapes that do not fit.
    """

    layers: Mapping[str, Float]

    def __post_init__(self) -> None:
        blank = np.zeros((PLANES, 8, 8), np.int8)
        try:
            self.odds(Views(blank, blank, 1), np.zeros(self.figures, np.float32))
        except (KeyError, ValueError, IndexError) as error:
            raise ValueError(f"malformed network of a judge: {error}") from error

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "SeeingNetwork | None":
        """From a judge's arrays; None if there is no network among them."""
        own = {
            name.removeprefix(PREFIX): np.asarray(array, np.float32)
            for name, array in arrays.items()
            if name.startswith(PREFIX)
        }
        return cls(own) if own else None

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """What `of` takes: half as exact, and half as large in a file."""
        return {PREFIX + name: array.astype(np.float16) for name, array in self.layers.items()}

    @property
    def figures(self) -> int:
        """How many it goes by beside the views."""
        return len(self.layers["mean"]) - 1

    def odds(self, views: Views, figures: Float) -> float:
        """Log-odds that the repair of a candidate is worth it.

        Args:
            views: of the candidate.
            figures: float32 (n,), as `darkroom.judging.candidate_features` gives them.
        """
        given = np.append(figures, np.float32(np.log(views.scale)))
        given = ((given - self.layers["mean"]) / self.layers["deviation"]).astype(np.float32)
        pooled = [
            *self._tower("near", views.near * NEAR_UNITS[:, None, None]),
            *self._tower("far", views.far * FAR_UNITS[:, None, None]),
            _rectified(self._linear("figures", given.clip(-FARTHEST, FARTHEST))),
        ]
        hidden = _rectified(self._linear("hidden", np.concatenate(pooled)))
        return float(self._linear("odds", hidden)[0])

    def _tower(self, name: str, x: Float) -> tuple[Float, Float]:
        """Means and maxima of what the convolutions make of a view."""
        planes, height, width = x.shape
        x = x.reshape(planes, height // 2, 2, width // 2, 2).transpose(0, 2, 4, 1, 3)
        x = x.reshape(4 * planes, height // 2, width // 2)
        x = _rectified(self._conv(f"{name}.stem", x))
        for number in range(1, BLOCKS + 1):
            x = _rectified(self._conv(f"{name}.down{number}", x, step=2))
            inner = _rectified(self._conv(f"{name}.first{number}", x))
            x = _rectified(x + self._conv(f"{name}.second{number}", inner))
        return x.mean((1, 2)), x.max((1, 2))

    def _conv(self, name: str, x: Float, step: int = 1) -> Float:
        """A 3 x 3 convolution, padded with zeros, of (C, H, W)."""
        weight, bias = self.layers[f"{name}.weight"], self.layers[f"{name}.bias"]
        windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), (1, 2))
        windows = windows[:, ::step, ::step].transpose(0, 3, 4, 1, 2)
        height, width = windows.shape[3:]
        columns = windows.reshape(9 * x.shape[0], height * width)
        made = weight.reshape(len(weight), -1) @ columns + bias[:, None]
        return np.asarray(made.reshape(-1, height, width), np.float32)

    def _linear(self, name: str, x: Float) -> Float:
        made = self.layers[f"{name}.weight"] @ x + self.layers[f"{name}.bias"]
        return np.asarray(made, np.float32)


def _rectified(x: Float) -> Float:
    return np.maximum(x, np.float32(0))

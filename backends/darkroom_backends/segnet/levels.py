"""From a distribution over grey levels to how improbable a pixel is, and what it should be."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from darkroom_backends.segnet.model import LEVELS

BRIGHTEST = LEVELS - 1.0
FLOOR = 1.0  # levels; least spread, so that grain in a flat sky is no artefact
UNIT = 8.0  # standard deviations that make a score of 1 - 1/e
MOST = 0.99  # so that thresholds of 1 find nothing, in bytes too


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network expects of each pixel, (N, 1, H, W) each, in levels.

    Attributes:
        mean: expectation.
        spread: standard deviation.
        mode: the most likely level.
    """

    mean: Tensor
    spread: Tensor
    mode: Tensor


def predict(logits: Tensor) -> Prediction:
    """The distribution over the 256 levels; the overflow class is left out of it.

    Args:
        logits: (N, 257, H, W).
    """
    shares = logits[:, :LEVELS].float().softmax(1)
    level = torch.arange(LEVELS, dtype=shares.dtype, device=shares.device)
    moments = torch.stack((level, level * level))[:, :, None, None]
    mean, square = F.conv2d(shares, moments).chunk(2, 1)
    spread = (square - mean * mean).clamp_min(0).sqrt()
    return Prediction(mean, spread, logits[:, :LEVELS].argmax(1, keepdim=True).float())


def surprise(observed: Tensor, prediction: Prediction) -> Tensor:
    """How improbable the observed levels are: 0 for the expected one, up to `MOST`.

    The departure from the expectation in units of the predicted spread, d, as 1 - exp(-d / 8).

    Args:
        observed: (N, 1, H, W) in levels.
        prediction: for the same pixels.
    """
    spread = torch.sqrt(prediction.spread**2 + FLOOR * FLOOR)
    departure = (observed - prediction.mean).abs() / spread
    return (-torch.expm1(-departure / UNIT)).clamp(max=MOST)

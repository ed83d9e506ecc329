"""What training SegNet means: its loss, its scores and its calibration."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from darkroom.training.trainable import DAMAGED, Batch
from darkroom_backends.calibration import FALSE_ALARMS, anchors
from darkroom_backends.departures import BRIGHTEST, CANDIDATES, judge_levels
from darkroom_backends.segnet.levels import expectation
from darkroom_backends.segnet.model import (
    CLASSES,
    GROW,
    LEVELS,
    OVERFLOW,
    STRIDE,
    Output,
    SegNet,
    SegNetConfig,
    start_from_vgg,
)

SCALE = 8.0  # levels; errors of the expectation beyond this count linearly


class SegNetTrainable:
    """See `darkroom.training.trainable.Trainable` and `JudgedTrainable`."""

    architecture = "segnet"
    multiple_of = STRIDE
    grow = GROW
    candidates = (CANDIDATES, CANDIDATES)
    relative = 0.0

    def __init__(self, options: SegNetConfig | None = None) -> None:
        self.module = SegNet(options)

    def config(self) -> Mapping[str, Any]:
        """The shape of the network, and its loss."""
        return asdict(self.module.config)

    def loss(self, output: Output, batch: Batch) -> Mapping[str, Tensor]:
        """Cross-entropy over the classes; with the configured weights, sharpness and company."""
        c = self.module.config
        target, damaged = targets(batch.truth), batch.state[:, 0] == DAMAGED
        if output.logits is not None:
            chosen = torch.ones_like(damaged)
            logits = output.logits.float().permute(0, 2, 3, 1).flatten(0, 2)
        else:
            chosen = damaged | (torch.rand(damaged.shape) < c.pixels).to(damaged.device)
            logits = self.module.classify(output.features.float(), chosen)
        target, damaged = target[chosen], damaged[chosen]
        # A drawn pixel stands for all that were not; under artefacts all are looked at.
        weight = torch.where(damaged, c.artefacts * (c.pixels if c.pixels < 1 else 1.0), 1.0)
        weight = weight / weight.sum()
        log = F.log_softmax(logits, 1)
        entropy = cross_entropy(log, target, c.neighbours)
        parts = {"entropy": (weight * entropy).sum()}
        if c.expectation:
            level = torch.arange(LEVELS, dtype=log.dtype, device=log.device)
            mean = log[:, :LEVELS].exp() @ level
            valid = weight * (target != OVERFLOW)
            error = F.smooth_l1_loss(mean / SCALE, target / SCALE, reduction="none")
            parts["expectation"] = c.expectation * (valid * error).sum()
        return parts

    def restoration(self, output: Output) -> tuple[Tensor, Tensor]:
        """How surprising each pixel is, and what is expected instead."""
        assert output.logits is not None
        score, level = judge_levels(output.scan * BRIGHTEST, expectation(output.logits))
        return score, level / BRIGHTEST

    def calibrate(self, sweep: Mapping[str, Mapping[str, float]]) -> Mapping[str, Any]:
        """Thresholds at three sensitivities: least error left within each one's false alarms."""
        return {"thresholds": anchors(sweep, FALSE_ALARMS)}

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Begin with the encoder of a VGG16 with batch normalisation.

        Raises:
            ValueError: names or shapes are not those of torchvision's `vgg16_bn`.
        """
        start_from_vgg(self.module, state)


def targets(truth: Tensor) -> Tensor:
    """The class of each pixel, int64 (N, H, W): its level, or overflow where it has none.

    Args:
        truth: (N, 1, H, W) in [0, 1]; pixels that are not finite or lie outside have no level.
    """
    plane = truth[:, 0]
    level = (plane.nan_to_num(-1.0) * BRIGHTEST).round().long()
    return torch.where((level >= 0) & (level < LEVELS), level, OVERFLOW)


def cross_entropy(log: Tensor, target: Tensor, neighbours: float) -> Tensor:
    """Cross-entropy (n,) of log-probabilities (n, 257) and classes (n,).

    Args:
        log: logarithms of the predicted probabilities.
        target: classes.
        neighbours: standard deviation in levels of the distribution put in place of one level.
    """
    if neighbours == 0:
        return F.nll_loss(log, target, reduction="none")
    level = torch.arange(CLASSES, device=log.device)
    kernel = torch.exp(-((level[:, None] - level) ** 2) / (2 * neighbours**2))
    kernel[OVERFLOW, :] = kernel[:, OVERFLOW] = 0
    kernel[OVERFLOW, OVERFLOW] = 1
    return -((kernel / kernel.sum(1, keepdim=True))[target] * log).sum(1)

"""What training the gated U-Net means: its loss and its calibration."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from darkroom.training.trainable import DAMAGED, UNDECIDED, Batch
from darkroom_backends.unet.calibration import anchors
from darkroom_backends.unet.model import GROW, STRIDE, GatedUNet, UNetConfig

DETECTION, FILL, RESULT = 40.0, 8.0, 3000.0
WORST = 0.1  # squared error beyond which one pixel weighs no more
PLAIN = 20 / 255  # damage this strong has weight 1
FALSE_ALARMS = ((0, 1.0), (50, 5.0), (100, 25.0))  # sensitivity, most false alarms a megapixel


class UNetTrainable:
    """See `darkroom.training.trainable.Trainable`."""

    architecture = "unet"
    multiple_of = STRIDE
    grow = GROW
    candidates_from = 0.5

    def __init__(self, options: UNetConfig | None = None) -> None:
        self.module = GatedUNet(options)
        self.channels = 3 if self.module.config.colour else 1

    def config(self) -> Mapping[str, Any]:
        """The shape of the network."""
        return asdict(self.module.config)

    def loss(self, output: tuple[Tensor, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Three parts: is it damaged, is the fill right where it is, is the result right.

        The first is cross-entropy, the last the squared error of scan + p x (fill - scan): it
        makes a doubtful repair of something bright dearer than one that changes little.

        Plain damage weighs up to five times as much as faint, since a retoucher himself is
        inconsistent about the faint. Undecided pixels count for the fill alone. A false alarm
        weighs what a missed pixel of plain damage weighs: clean pixels outnumber damaged ones by
        hundreds, and none of them is discounted.
        """
        logit, fill = output[0].float(), output[1].float()
        damaged = (batch.state == DAMAGED).float()
        plainness = torch.where(damaged > 0, (batch.weight / PLAIN).clamp(0.4, 2.0), 1.0)
        weight = (batch.state != UNDECIDED).float() * plainness
        detection = F.binary_cross_entropy_with_logits(logit, damaged, weight)
        near = F.max_pool2d(damaged, 3, 1, 1) * (0.3 + 4 * batch.weight).clamp(max=2)
        distance = torch.sqrt((fill - batch.truth) ** 2 + 1e-5).mean(1, keepdim=True)
        error = (distance * near).sum() / (near.sum() + 200)
        scan = batch.scan
        left = (scan + torch.sigmoid(logit) * (fill - scan) - batch.truth) ** 2
        return {
            "detection": DETECTION * detection,
            "fill": FILL * error,
            "result": RESULT * left.clamp(max=WORST).mean(),
        }

    def restoration(self, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Probability of damage, and the fill."""
        return torch.sigmoid(output[0].float()), output[1].float().clamp(0, 1)

    def calibrate(self, sweep: Mapping[str, Mapping[str, float]]) -> Mapping[str, Any]:
        """Thresholds at three sensitivities: most healed within each one's false alarms."""
        return {"thresholds": anchors(sweep, FALSE_ALARMS)}

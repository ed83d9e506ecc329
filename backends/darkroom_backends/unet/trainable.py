"""What training the gated U-Net means: its loss and its calibration."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from darkroom.training.trainable import DAMAGED, UNDECIDED, Batch
from darkroom_backends.unet.calibration import anchors
from darkroom_backends.unet.model import GatedUNet
from darkroom_backends.unet.shape import GROW, STRIDE, UNetConfig

DETECTION, OVERLAP, FILL, RESULT = 40.0, 0.25, 8.0, 3000.0
SMALL = 30.0  # pixels; damage much smaller than this hardly counts for the overlap
NEW = 0.02  # of the usual size: weights of blocks added to a trained network
WORST = 0.1  # squared error beyond which one pixel weighs no more
PLAIN = 20 / 255  # damage this strong has weight 1
FALSE_ALARMS = ((0, 1.0), (50, 5.0), (100, 25.0))  # sensitivity, most false alarms a megapixel


class UNetTrainable:
    """See `darkroom.training.trainable.Trainable`."""

    architecture = "unet"
    multiple_of = STRIDE
    grow = GROW
    candidates = (0.04, 0.1)
    relative = 0.3

    def __init__(self, options: UNetConfig | None = None) -> None:
        self.module = GatedUNet(options)
        self.channels = 3 if self.module.config.colour else 1

    def config(self) -> Mapping[str, Any]:
        """The shape of the network."""
        return asdict(self.module.config)

    def grow_from(self, state: Mapping[str, Tensor]) -> None:
        """Grow out of a smaller network: what is new changes next to nothing at first.

        Blocks may have been added, and planes to the front end: these come after the old ones.

        Raises:
            ValueError: it is no smaller network of this kind.
        """
        own = self.module.state_dict()
        if unknown := state.keys() - own.keys():
            raise ValueError(f"the network has no {min(unknown)}")
        for name, tensor in own.items():
            given = state.get(name)
            if given is None:
                if name.endswith("second.weight"):
                    tensor.mul_(NEW)
            elif given.shape == tensor.shape:
                tensor.copy_(given)
            elif name == "stem.weight" and given.shape[1] < tensor.shape[1]:
                tensor.zero_()
                tensor[:, : given.shape[1]] = given
            else:
                raise ValueError(f"{name} has another shape")

    def loss(self, output: tuple[Tensor, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Four parts: is it damaged, all of it, is the fill right where it is, is the result right.

        The first is cross-entropy, the second the share of damage that mask and truth do not have
        in common (Milletari, Navab and Ahmadi, "V-Net", 3DV 2016), the last the squared error of
        scan + p x (fill - scan): it makes a doubtful repair of something bright dearer than one
        that changes little.

        Plain damage weighs up to five times as much as faint, since a retoucher himself is
        inconsistent about the faint. Undecided pixels count for the fill alone. A false alarm
        weighs what a missed pixel of plain damage weighs: clean pixels outnumber damaged ones by
        hundreds, and none of them is discounted.
        """
        logit, fill = output[0].float(), output[1].float()
        damaged = (batch.state == DAMAGED).float()
        plainness = torch.where(damaged > 0, (batch.weight / PLAIN).clamp(0.4, 2.0), 1.0)
        decided = (batch.state != UNDECIDED).float()
        weight = decided * plainness
        detection = F.binary_cross_entropy_with_logits(logit, damaged, weight)
        p = torch.sigmoid(logit)
        common = 2 * (p * damaged).sum((1, 2, 3)) + SMALL
        overlap = 1 - common / (((p + damaged) * decided).sum((1, 2, 3)) + SMALL)
        near = F.max_pool2d(damaged, 3, 1, 1) * (0.3 + 4 * batch.weight).clamp(max=2)
        distance = torch.sqrt((fill - batch.truth) ** 2 + 1e-5).mean(1, keepdim=True)
        error = (distance * near).sum() / (near.sum() + 200)
        scan = batch.scan
        left = (scan + p * (fill - scan) - batch.truth) ** 2
        return {
            "detection": DETECTION * detection,
            "overlap": OVERLAP * overlap.mean(),
            "fill": FILL * error,
            "result": RESULT * left.clamp(max=WORST).mean(),
        }

    def restoration(self, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Probability of damage, and the fill."""
        return torch.sigmoid(output[0].float()), output[1].float().clamp(0, 1)

    def calibrate(self, sweep: Mapping[str, Mapping[str, float]]) -> Mapping[str, Any]:
        """Thresholds at three sensitivities: most healed within each one's false alarms."""
        return {"thresholds": anchors(sweep, FALSE_ALARMS)}

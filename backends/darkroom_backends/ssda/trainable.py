"""What training the auto-encoder means: layer by layer, then as a whole."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor, nn

from darkroom.training.trainable import Batch
from darkroom_backends.calibration import FALSE_ALARMS, anchors
from darkroom_backends.departures import BRIGHTEST, CANDIDATES, judge_levels
from darkroom_backends.ssda.model import (
    GROW,
    SSDA,
    STRIDE,
    AutoEncoder,
    Output,
    SSDAConfig,
    divergence,
    squared,
)


class SSDATrainable:
    """See `darkroom.training.trainable.Trainable` and `JudgedTrainable`."""

    architecture = "ssda"
    multiple_of = STRIDE
    grow = GROW
    candidates = (CANDIDATES, CANDIDATES)
    relative = 0.0

    def __init__(self, options: SSDAConfig | None = None) -> None:
        self.module = SSDA(options)

    def config(self) -> Mapping[str, Any]:
        """The shape of the network, and its loss."""
        return asdict(self.module.config)

    def loss(self, output: Output, batch: Batch) -> Mapping[str, Tensor]:
        """Half the squared error of a patch; in pretraining, sparsity; and the squared weights.

        The second auto-encoder and those above it learn to draw hidden values of the clean patch
        from those of the damaged one, and the ones below stay as they are.
        """
        module, config = self.module, self.module.config
        stage = module.stage
        damaged, clean = (module.cut(p, output.corners) for p in (output.scan, batch.truth))
        if module.training:
            cast(Tensor, module.steps).add_(1)
        if stage is None:
            made = module.restore(damaged)
            parts = {"error": _error(made, clean)}
            trained = list(module.coders)
        else:
            with torch.no_grad():
                below = [module.encode(p, stage) for p in (damaged, clean)]
            coder = cast(AutoEncoder, module.coders[stage])
            hidden = coder.encode(below[0])
            parts = {
                "error": _error(coder.decode(hidden), below[1]),
                "sparsity": config.sparsity * divergence(hidden.float(), config.activity),
            }
            trained = [coder]
        parts["shrinkage"] = config.shrinkage / 2 * squared(trained) + _nothing(module)
        return parts

    def restoration(self, output: Output) -> tuple[Tensor, Tensor]:
        """How far each pixel departs from what is drawn in its place, and that."""
        assert output.redrawn is not None
        score, level = judge_levels(output.scan * BRIGHTEST, output.redrawn.float() * BRIGHTEST)
        return score, level / BRIGHTEST

    def calibrate(self, sweep: Mapping[str, Mapping[str, float]]) -> Mapping[str, Any]:
        """Thresholds at three sensitivities: least error left within each one's false alarms."""
        return {"thresholds": anchors(sweep, FALSE_ALARMS)}


def _error(made: Tensor, wanted: Tensor) -> Tensor:
    return 0.5 * (made.float() - wanted).square().sum(1).mean()


def _nothing(module: nn.Module) -> Tensor:
    """0, and a gradient of 0 for all parameters: several processes wait for each one's."""
    return 0.0 * torch.stack([p.sum() for p in module.parameters()]).sum()

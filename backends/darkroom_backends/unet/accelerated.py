"""The network by torch: on graphics cards, and in bfloat16."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from darkroom.precision import computing
from darkroom.scan import Float
from darkroom.weights import fill_module
from darkroom_backends.unet.model import GatedUNet
from darkroom_backends.unet.network import Seen
from darkroom_backends.unet.shape import UNetConfig


class TorchNetwork:
    """See `darkroom_backends.unet.network.Network`; one thread at a time.

    Args:
        config: the network's shape.
        tensors: its weights.
        path: where they come from, for messages.
        device: where to compute.
        precision: one of `darkroom.precision.PRECISIONS`.

    Raises:
        BackendError: the weights do not fit.
    """

    def __init__(
        self,
        config: UNetConfig,
        tensors: Mapping[str, NDArray[Any]],
        path: Path,
        device: str,
        precision: str,
    ) -> None:
        self._device, self._precision = torch.device(device), precision
        module = GatedUNet(config)
        fill_module(module, tensors, path)
        module.eval().requires_grad_(False)
        self._module = module.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def look(self, planes: Float) -> Seen:
        """See `Network.look`."""
        x = torch.from_numpy(np.ascontiguousarray(planes, np.float32)[None]).to(self._device)
        with computing(self._device, self._precision):
            logit, detail, gate = (plane.float() for plane in self._module.look(x))
        damaged = torch.sigmoid(logit)[0, 0]
        repair = F.pixel_unshuffle(torch.cat((detail, gate), 1), 2)[0]
        return Seen(damaged.cpu().numpy(), repair.cpu().numpy())

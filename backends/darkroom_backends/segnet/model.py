"""SegNet, with one class for each grey level.

An encoder of the shape of VGG16 (thirteen 3 x 3 convolutions, each with batch normalisation and
ReLU, and five max-pools whose indices are kept) and its mirror image, in which every pool is
undone by putting the values back where the indices say (Badrinarayanan, Kendall and Cipolla,
"SegNet: A deep convolutional encoder-decoder architecture for image segmentation", PAMI 2017).
The thirteenth convolution of the decoder is the classifier. Its 257 classes are the 256 levels of
an 8-bit scan, and one that pixels take for which there is no truth.

No skip connection carries detail past the pools but their indices: what the result keeps of a
picture's texture has to be learnt through them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 256
OVERFLOW = 256  # the class of padding and of invalid pixels
CLASSES = LEVELS + 1
STRIDE = 32  # five pools
GROW = 0  # pixels by which accepted components are widened

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

# Grey input is normalised like the mean channel of the pictures VGG16 was trained on.
MEAN, SPREAD = 0.449, 0.226
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SPREAD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class SegNetConfig:
    """Shape of the network.

    Attributes:
        width: share of the published numbers of channels, above 0 and at most 1; 1.0 is as
            published. Channels are rounded to multiples of 8.
        artefacts: weight in the loss of a pixel under an artefact; others have 1.
        neighbours: standard deviation, in levels, of the distribution that the cross-entropy
            takes for the truth; 0 is one level, as published.
        expectation: weight of the error of the predicted distribution's mean beside the
            cross-entropy; 0 as published.
        pixels: share of the sound pixels that the loss looks at, drawn anew each step. The
            classifier runs on these alone, which for narrow networks saves half of the work.
        frozen: normalise by the running statistics in training too, and leave them as they are:
            for batches so small that their own would hide how bright a crop is.
    """

    width: float = 1.0
    artefacts: float = 1.0
    neighbours: float = 0.0
    expectation: float = 0.0
    pixels: float = 1.0
    frozen: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.width <= 1:
            raise ValueError(f"width is above 0 and at most 1, not {self.width!r}")
        if not 0 < self.pixels <= 1:
            raise ValueError(f"pixels is a share above 0 and at most 1, not {self.pixels!r}")
        if not self.artefacts > 0:
            raise ValueError(f"artefacts is a weight above 0, not {self.artefacts!r}")
        if not (self.neighbours >= 0 and self.expectation >= 0):
            raise ValueError("neighbours and expectation are not negative")

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """Channels after each convolution of the encoder, stage by stage."""
        return tuple(tuple(max(8, round(c * self.width / 8) * 8) for c in s) for s in STAGES)


class ConvUnit(nn.Sequential):
    """3 x 3 convolution, batch normalisation, ReLU; the size is kept."""

    def __init__(self, inputs: int, outputs: int) -> None:
        conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(cast(Tensor, conv.bias))
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Output(NamedTuple):
    """What the network gives.

    Attributes:
        features: (N, C, H, W), what the classifier looks at.
        logits: (N, 257, H, W), or None where `SegNet.classify` is to be asked for some pixels.
        scan: (N, 1, H, W), what it was given.
    """

    features: Tensor
    logits: Tensor | None
    scan: Tensor


class SegNet(nn.Module):
    """See the module's text."""

    def __init__(self, config: SegNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or SegNetConfig()
        stages = self.config.stages
        self.encoder = nn.ModuleList()
        inputs = 1
        for stage in stages:
            self.encoder.append(_units((inputs, *stage)))
            inputs = stage[-1]
        # Each stage of the decoder runs its counterpart's channels backwards; the last one lacks
        # the step to the input's single channel, in whose place the classifier stands.
        self.decoder = nn.ModuleList()
        for number in reversed(range(len(stages))):
            below = (stages[number - 1][-1],) if number else ()
            self.decoder.append(_units((*reversed(stages[number]), *below)))
        self.classifier = nn.Conv2d(stages[0][0], CLASSES, 3, padding=1)
        nn.init.kaiming_normal_(self.classifier.weight, nonlinearity="linear")
        nn.init.zeros_(cast(Tensor, self.classifier.bias))

    def train(self, mode: bool = True) -> Self:
        """As for any module, but that frozen statistics stay so."""
        super().train(mode)
        if self.config.frozen:
            for layer in self.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def forward(self, scan: Tensor) -> Output:
        """Classify the pixels; all of them, but when training on a share.

        Args:
            scan: (N, 1, H, W) in [0, 1], gamma-encoded, sides multiples of `STRIDE`.
        """
        features = self.features(scan)
        some = self.training and self.config.pixels < 1
        return Output(features, None if some else self.classifier(features), scan)

    def features(self, scan: Tensor) -> Tensor:
        """What the classifier looks at, (N, C, H, W); for `scan` see `forward`."""
        x = (scan - MEAN) / SPREAD
        kept = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            kept.append((indices, size))
        for stage in self.decoder:
            indices, size = kept.pop()
            x = stage(F.max_unpool2d(x, indices, [2, 2], output_size=size))
        return x

    def rows(self, features: Tensor, start: int, stop: int) -> Tensor:
        """Logits (N, 257, stop - start, W) of some rows."""
        beyond = int(start == 0), int(stop == features.shape[2])
        around = F.pad(features[:, :, max(start - 1, 0) : stop + 1], (1, 1, *beyond))
        logits: Tensor = F.conv2d(around, self.classifier.weight, self.classifier.bias)
        return logits

    def classify(self, features: Tensor, chosen: Tensor) -> Tensor:
        """Logits (n, 257) of the pixels where `chosen`, bool (N, H, W), holds."""
        image, row, column = chosen.nonzero(as_tuple=True)
        padded = F.pad(features, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        around = [padded[image, row + y, column + x] for y in range(3) for x in range(3)]
        weight = self.classifier.weight.permute(2, 3, 1, 0).reshape(-1, CLASSES)
        return torch.addmm(cast(Tensor, self.classifier.bias), torch.cat(around, 1), weight)


def _units(channels: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(*(ConvUnit(a, b) for a, b in pairwise(channels)))


def start_from_vgg(module: SegNet, state: Mapping[str, Tensor]) -> None:
    """Give the encoder the weights of a VGG16 with batch normalisation.

    The first layer's three channels are folded into one: on a grey picture it answers as the
    original does to the same picture in all three channels (but for the outermost pixels, which
    see the padding).

    Args:
        module: of width 1.
        state: with torchvision's names, `features.0.weight` and so on; the classifier's are
            not looked at.

    Raises:
        ValueError: names or shapes are not those of a VGG16 with batch normalisation.
    """
    number = 0
    for stage in module.encoder:
        for unit in cast(nn.Sequential, stage):
            conv, norm = cast(nn.Sequential, unit)[0], cast(nn.Sequential, unit)[1]
            values = _taken(state, f"features.{number}.", ("weight", "bias"))
            if number == 0:
                values = _grey(values)
            _fill(conv, values, f"features.{number}")
            names = ("weight", "bias", "running_mean", "running_var")
            _fill(norm, _taken(state, f"features.{number + 1}.", names), f"features.{number + 1}")
            number += 3
        number += 1


def _taken(state: Mapping[str, Tensor], prefix: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    missing = [prefix + name for name in names if prefix + name not in state]
    if missing:
        raise ValueError(f"no VGG16 with batch normalisation: {missing[0]} is missing")
    return {name: state[prefix + name].float() for name in names}


def _grey(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weight and bias for one channel normalised by (MEAN, SPREAD) instead of three."""
    weight, bias = values["weight"], values["bias"]
    if weight.ndim != 4 or weight.shape[1] != 3:
        raise ValueError(f"the first layer has shape {tuple(weight.shape)}, not (64, 3, 3, 3)")
    mean, spread = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_SPREAD))
    scaled = weight / spread
    return {
        "weight": SPREAD * scaled.sum(1, keepdim=True),
        "bias": bias + (scaled * (MEAN - mean)).sum((1, 2, 3)),
    }


def _fill(layer: nn.Module, values: Mapping[str, Tensor], name: str) -> None:
    own = layer.state_dict()
    for key, value in values.items():
        if own[key].shape != value.shape:
            raise ValueError(
                f"{name}.{key} has shape {tuple(value.shape)}, not {tuple(own[key].shape)}"
            )
    layer.load_state_dict(values, strict=False)

"""A gated residual U-Net that says where a scan is damaged and what belongs there.

The network sees one channel, gamma-encoded in [0, 1], and gives for each pixel the logit of being
damaged and the value it should have. Nothing in it looks further than `RADIUS` pixels, and no
layer normalises by statistics of the image at hand, so a tile with that much context gives the
same answer whatever its size.

Three things make it cheap. It works at half resolution and below, on 2 x 2 pixels side by side
in the channels (Shi et al., "Real-time single image and video super-resolution", CVPR 2016). A
fixed front end hands the first layer what it would otherwise have to learn: differences from
local means, morphological top-hats and local contrast. And the fill starts from a mean of the
surroundings weighted by how undamaged they look (normalised convolution, Knutsson and Westin,
CVPR 1993), so that it has to learn only the detail.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darkroom.scan import LUMINANCE
from darkroom_backends.filters import box, dilate, surroundings
from darkroom_backends.unet.shape import CHROMA, FRONT, UNetConfig


def colour_front_end(x: Tensor) -> Tensor:
    """The fixed features of a colour image (N, 3, H, W): (N, FRONT + CHROMA, H, W).

    Those of its luminance, and how red and blue depart from it locally: dust covers all
    layers of the film, a scratch perhaps one, and neither has the colour of what is around.
    """
    luminance = (x * x.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    chroma = x[:, (0, 2)] - luminance
    return torch.cat(
        (front_end(luminance), 8 * (chroma - box(chroma, 7)), 6 * (chroma - box(chroma, 17))), 1
    )


def front_end(x: Tensor) -> Tensor:
    """The fixed features of a grey image (N, 1, H, W): (N, FRONT, H, W)."""
    mean = box(x, 17)
    spread = (box(x * x, 17) - mean * mean).clamp_min(0).add(1e-5).sqrt()
    opened = dilate(-dilate(-x, 7), 7)
    closed = -dilate(-dilate(x, 7), 7)
    return torch.cat(
        (
            2 * x - 1,
            8 * (x - box(x, 3)),
            6 * (x - box(x, 7)),
            4 * (x - mean),
            8 * spread,
            6 * (x - opened),
            6 * (closed - x),
        ),
        1,
    )


def conv(inputs: int, outputs: int, dilation: int = 1, stride: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size (but for the stride)."""
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer


class Block(nn.Module):
    """Two convolutions and a way past them.

    The second starts near zero, so that a fresh network is shallow and needs no normalisation
    (Zhang, Dauphin and Ma, "Fixup Initialization", ICLR 2019).
    """

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = conv(width, width, dilation)
        self.second = conv(width, width, dilation)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """As wide and as large as it came."""
        return F.relu(x + self.second(F.relu(self.first(x), inplace=True)), inplace=True)


class GatedUNet(nn.Module):
    """See the module's text."""

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or UNetConfig()
        w1, w2, w3 = c.widths
        self.stem = conv(4 * (FRONT + CHROMA * c.colour), w1)
        self.down2, self.down3 = conv(w1, w2, stride=2), conv(w2, w3, stride=2)
        self.encode1 = nn.Sequential(*(Block(w1) for _ in range(c.encoder[0])))
        self.encode2 = nn.Sequential(*(Block(w2) for _ in range(c.encoder[1])))
        self.encode3 = nn.Sequential(*(Block(w3, d) for d in c.dilations))
        self.up2, self.up1 = nn.Conv2d(w3, w2, 1), nn.Conv2d(w2, w1, 1)
        self.decode2 = nn.Sequential(*(Block(w2) for _ in range(c.decoder[0])))
        self.decode1 = nn.Sequential(*(Block(w1) for _ in range(c.decoder[1])))
        self.where = nn.Conv2d(w1, 4, 3, padding=1)
        self.detail = nn.Conv2d(w1, 8, 3, padding=1)
        nn.init.normal_(self.where.weight, std=0.01)
        nn.init.constant_(cast(Tensor, self.where.bias), -4.0)
        nn.init.zeros_(self.detail.weight)
        nn.init.zeros_(cast(Tensor, self.detail.bias))

    @property
    def radius(self) -> int:
        """How far from a pixel anything can still matter to it."""
        return self.config.radius

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logit of damage and value without it, (N, 1, H, W) each.

        Args:
            x: (N, 1, H, W), sides multiples of `shape.STRIDE`, in [0, 1].
        """
        logit, detail, gate = self.look(x)
        return logit, fill(x, torch.sigmoid(logit.detach()), detail, gate)

    def look(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logit of damage, and what `fill` needs: detail and gate, (N, 1, H, W) each.

        Args:
            x: (N, 1, H, W), or (N, 3, H, W) where the network sees colour, in [0, 1].
        """
        colour = self.config.colour
        seen = colour_front_end(x.expand(-1, 3, -1, -1)) if colour else front_end(x)
        front = F.pixel_unshuffle(seen, 2)
        e1 = self.encode1(F.relu(self.stem(front.contiguous(memory_format=torch.channels_last))))
        e2 = self.encode2(F.relu(self.down2(e1)))
        e3 = self.encode3(F.relu(self.down3(e2)))
        d2 = self.decode2(F.relu(e2 + enlarge(self.up2(e3))))
        d1 = self.decode1(F.relu(e1 + enlarge(self.up1(d2))))
        logit = F.pixel_shuffle(self.where(d1), 2)
        detail, gate = F.pixel_shuffle(self.detail(d1), 2).chunk(2, 1)
        return logit, detail, gate


def fill(x: Tensor, damaged: Tensor, detail: Tensor, gate: Tensor) -> Tensor:
    """Values without the damage, (N, 1, H, W).

    Args:
        x: (N, 1, H, W) in [0, 1]: the plane the network looked at, or others of the same picture.
        damaged: (N or 1, 1, H, W), probability.
        detail: (N or 1, 1, H, W), what to add to the mean of the surroundings.
        gate: (N or 1, 1, H, W), how much of the scan's own departure from that mean is the
            picture's, which the artefact let through (before `tanh`).
    """
    base = surroundings(x, damaged)
    return base + 0.25 * detail + torch.tanh(gate) * (x - base)


def enlarge(x: Tensor) -> Tensor:
    """Twice the size, by repeating pixels."""
    return F.interpolate(x, scale_factor=2, mode="nearest")

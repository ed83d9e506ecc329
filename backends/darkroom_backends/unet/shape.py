"""The shape of the gated U-Net, which those need too who only run it."""

from dataclasses import dataclass

FRONT, CHROMA = 7, 4  # fixed features of luminance, and of colour
STRIDE = 8
GROW = 0  # on validation, widening the mask by one pixel harmed more than it healed


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Shape of the network.

    Attributes:
        widths: channels at half, quarter and eighth resolution.
        encoder: residual blocks at half, quarter and eighth resolution on the way down.
        decoder: residual blocks at quarter and half resolution on the way up.
        dilations: of the blocks at eighth resolution, one each.
        colour: whether it is shown red, green and blue (grey scans three times the same plane).
    """

    widths: tuple[int, int, int] = (32, 64, 96)
    encoder: tuple[int, int] = (1, 1)
    decoder: tuple[int, int] = (1, 1)
    dilations: tuple[int, ...] = (1, 2)
    colour: bool = False

    @property
    def features(self) -> int:
        """Planes of the fixed front end."""
        return FRONT + CHROMA * self.colour

    @property
    def radius(self) -> int:
        """How far from a pixel anything can still matter to it."""
        half = 2 * (self.encoder[0] + self.decoder[1]) + 4  # stem, heads, the ways down and up
        quarter = 2 * (self.encoder[1] + self.decoder[0]) + 3
        return 16 + 2 * half + 4 * quarter + 8 * (1 + 2 * sum(self.dilations))

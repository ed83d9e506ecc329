"""How samples are shown on a screen: 8-bit sRGB, whatever the scan holds.

Looking never changes a scan. An embedded profile is honoured by LittleCMS; linear samples without
one are encoded with the sRGB curve, all others are taken as they are. For negatives there is a
positive: the density of each channel, stretched, which takes the orange of the film base away. It
is meant for looking only.
"""

from dataclasses import dataclass, field
from typing import Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from darkroom.codec import Codec
from darkroom.scan import Bytes, Pixels

Mode = Literal["plain", "levels", "positive"]
MODES: tuple[Mode, ...] = ("plain", "levels", "positive")
TOP = 65535
CLIPPED = 0.2  # per cent of pixels beyond the stretch at either end
GAIN = 8  # of the difference layer
PRINT = 2.0  # contrast of the positive of a negative
Shades = NDArray[np.uint16]


@dataclass(slots=True)
class View:
    """The way from one scan's samples to the screen.

    Attributes:
        codec: of the scan.
        icc: the profile that LittleCMS takes, or None.
        note: why the embedded profile is not used, or None.
        ends: uint16 (C, 2): the values of each channel that levels stretch to black and white.
    """

    codec: Codec
    icc: bytes | None = None
    note: str | None = None
    ends: Shades = field(default_factory=lambda: np.array([[0, TOP]], np.uint16))

    @classmethod
    def of(cls, codec: Codec) -> "View":
        """The view of a scan, with its profile if that can be used."""
        icc = codec.info.profile.icc
        if icc is None:
            return cls(codec)
        view = cls(codec, icc)
        try:
            view.encode(np.zeros((1, 1, codec.info.channels), codec.info.dtype))
        except Exception as error:
            # Whatever LittleCMS dislikes about a profile, the picture can be shown without it.
            return cls(codec, None, f"its colour profile cannot be used for looking: {error}")
        return view

    def encode(self, samples: Pixels) -> Shades:
        """Samples (H, W, C) of the scan as uint16 (H, W, C), sRGB-encoded."""
        if self.icc is None:
            image = self.codec.encode(samples)
            return (image * np.float32(TOP) + np.float32(0.5)).astype(np.uint16)
        gray = samples.shape[2] == 1
        if samples.dtype.kind == "f":
            samples = np.clip(samples / np.float32(self.codec.white), 0, 1).astype(np.float32)
        if self.codec.info.photometric == "miniswhite":
            samples = (1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max) - samples
        kind = "gray" if gray else "rgb"
        shades = imagecodecs.cms_transform(
            np.ascontiguousarray(samples[..., 0] if gray else samples),
            self.icc,
            imagecodecs.cms_profile("srgb"),
            colorspace=kind,
            outcolorspace="rgb",
            outdtype=np.uint16,
        )
        return np.asarray(shades[..., :1] if gray else shades, np.uint16)

    def learn(self, overview: Shades) -> None:
        """Take the ends of each channel from a small picture of the frame without its rim."""
        height, width = overview.shape[:2]
        inner = overview[height // 10 : height - height // 10, width // 10 : width - width // 10]
        pixels = (inner if inner.size else overview).reshape(-1, overview.shape[2])
        low, high = np.percentile(pixels, (CLIPPED, 100 - CLIPPED), axis=0)
        self.ends = np.stack([low, np.maximum(high, low + 1)], axis=1).astype(np.uint16)

    def show(self, shades: Shades, mode: Mode) -> Bytes:
        """Encoded samples as 8 bits for the screen: uint8 (H, W, C)."""
        if mode == "plain":
            return np.asarray((shades.astype(np.uint32) * 255 + TOP // 2) // TOP, np.uint8)
        ends = np.broadcast_to(self.ends, (shades.shape[2], 2)).astype(np.float32)
        if mode == "levels":  # one stretch for all channels, so that colours stay
            ends = np.broadcast_to([ends[:, 0].min(), ends[:, 1].max()], ends.shape)
        low, high = ends[:, 0], ends[:, 1]
        if mode == "positive":
            # Film answers light with density, a logarithm; a print's contrast makes light of it.
            top = np.log(np.maximum(high, 2))
            span = np.maximum(top - np.log(np.maximum(low, 1)), 1e-3)
            density = np.clip((top - np.log(np.maximum(shades, 1))) / span, 0, 1)
            return np.asarray(np.rint(density**PRINT * 255), np.uint8)
        out = np.clip((shades - low) / np.maximum(high - low, 1), 0, 1)
        return np.asarray(np.rint(out * 255), np.uint8)


def difference(before: Shades, after: Shades) -> Bytes:
    """How far two encoded pictures are apart, eight times as strong: uint8 (H, W, C)."""
    apart = np.abs(after.astype(np.int32) - before) * (GAIN * 255) // TOP
    return np.asarray(np.minimum(apart, 255), np.uint8)

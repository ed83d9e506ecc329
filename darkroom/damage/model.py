"""Synthetic damage: a seeded statistical model of specks, dirt, hairs and scratches on film.

Sizes, densities and crowding are those of real empty frames, contrast and polarity those of
artefacts that a retoucher removed (`damage.toml`, made by `darkroom dataset fit-damage`). Not
fitted, since nothing measured tells it: the colour of scratches, which follow the dye layers they
laid bare.
"""

import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.damage.render import HAIRS, LINES, MICRONS_PER_INCH, SPOTS, Artefact, extent, shape
from darkroom.errors import InputError, UsageError
from darkroom.geometry import Window
from darkroom.values import parse_toml, read_text

Float: TypeAlias = NDArray[np.float32]
Polarity: TypeAlias = Literal["measured", "bright", "dark", "both"]

PRESETS = {"light": 0.3, "measured": 1.0, "heavy": 3.0}
"""Amount of damage, as a multiple of what the measured frames carry on average."""

VISIBLE = 4.0 / 255
"""A pixel belongs to the mask when some channel changed by more than this."""

SMALLEST_PX = 0.3  # cores thinner than this leave no trace once scanned
TINT_SCRATCH, TINT_DUST = 0.15, 0.02


USED = ("probabilities", "kinds", "blur", "clusters", "amount")  # parts of a model's table
LARGEST = 1e5  # of any number in it


def _require_like(shipped: Any, found: Any, path: Path, place: str) -> None:
    """Refuse what is not built as the shipped model is: keys, lengths, and numbers that can be.

    Raises:
        InputError: it is not; the message says where.
    """
    if isinstance(shipped, dict):
        if not isinstance(found, dict):
            raise InputError(f"{path}: not a damage model: {place} is no table")
        if missing := shipped.keys() - found.keys():
            names = ", ".join(sorted(missing))
            raise InputError(f"{path}: not a damage model: {place} lacks {names}")
        for name, value in shipped.items():
            _require_like(value, found[name], path, f"{place}.{name}")
    elif isinstance(shipped, list):
        if not isinstance(found, list) or len(found) != len(shipped):
            raise InputError(f"{path}: not a damage model: {place} must be {len(shipped)} numbers")
        for value, other in zip(shipped, found, strict=True):
            _require_like(value, other, path, place)
    elif type(found) not in (int, float) or not 0 <= found <= LARGEST:
        raise InputError(f"{path}: not a damage model: {place} must be a number from 0 to 100,000")


@dataclass(frozen=True, slots=True)
class DamageModel:
    """The statistics damage is drawn from; `load` reads the shipped ones.

    Attributes:
        table: the fitted numbers, as in `damage.toml`.
        amount: multiple of the measured density.
        polarity: "bright" (dust on a negative, after inversion), "dark" (on a slide), "both" in
            equal parts, or "measured", the shares found in the residues.
    """

    table: dict[str, Any]
    amount: float = 1.0
    polarity: Polarity = "measured"

    @classmethod
    def load(
        cls,
        preset: str = "measured",
        *,
        polarity: Polarity = "measured",
        path: Path | None = None,
    ) -> "DamageModel":
        """The shipped model at one of the `PRESETS`, or the model in `path`.

        Raises:
            UsageError: for an unknown preset.
            InputError: if `path` cannot be read.
        """
        if preset not in PRESETS:
            names = ", ".join(PRESETS)
            raise UsageError(f"no damage preset named {preset!r}", hint=f"one of: {names}")
        shipped = resources.files("darkroom.damage").joinpath("damage.toml")
        table = tomllib.loads(shipped.read_text("utf-8"))
        if path is not None:
            given = parse_toml(read_text(path), path)
            for name in USED:
                _require_like(table[name], given.get(name), path, name)
            rising = given["probabilities"]
            if rising != sorted(rising) or rising[-1] > 1:
                raise InputError(f"{path}: probabilities must rise from 0 to 1")
            if not given["clusters"]["children"] > 0 or given["clusters"]["share"] > 1:
                raise InputError(f"{path}: clusters need children above 0 and a share up to 1")
            table = given
        return cls(table, PRESETS[preset], polarity)

    def draw_amount(self, rng: np.random.Generator) -> "DamageModel":
        """The same model with the amount one frame may have: frames differ, log-normally."""
        spread = float(self.table["amount"]["log_sigma"])
        return replace(self, amount=self.amount * math.exp(rng.normal(-(spread**2) / 2, spread)))

    def sample(self, width: int, height: int, dpi: float, seed: int) -> list[Artefact]:
        """Artefacts of a frame of `width` x `height` pixels at `dpi`; the same for the same seed.

        Raises:
            UsageError: if a side or the resolution is not positive.
        """
        if min(width, height) < 1 or not dpi > 0:
            raise UsageError(f"no film to damage: {width} x {height} pixels at {dpi} dpi")
        rng = np.random.default_rng(seed)
        cm2 = width * height * (2.54 / dpi) ** 2
        found: list[Artefact] = []
        for kind, numbers in self.table["kinds"].items():
            count = int(rng.poisson(numbers["per_cm2"] * self.amount * cm2))
            found += [self._artefact(kind, numbers, dpi, rng) for _ in range(count)]
        return self._scatter(found, width, height, dpi, rng)

    def artefact(self, dpi: float, rng: np.random.Generator) -> Artefact:
        """One artefact about the origin: in equal parts a spot, a hair or a scratch.

        In the frames specks outnumber all else; whoever learns from artefacts one by one should
        see the others as often.
        """
        group = (SPOTS, HAIRS, ("scratch",))[int(rng.integers(3))]
        kind = group[int(rng.integers(len(group)))]
        return self._artefact(kind, self.table["kinds"][kind], dpi, rng)

    def _draw(self, values: Sequence[float], rng: np.random.Generator) -> float:
        """One value of a distribution given by its quantiles, log-linear between them."""
        logs = np.log(np.maximum(values, 1e-3))
        return math.exp(float(np.interp(rng.random(), self.table["probabilities"], logs)))

    def _artefact(
        self, kind: str, numbers: dict[str, Any], dpi: float, rng: np.random.Generator
    ) -> Artefact:
        per_um = dpi / MICRONS_PER_INCH
        if kind in LINES:
            length, width = (self._draw(numbers[k], rng) for k in ("length", "width"))
            length, straightness = max(length, width), self._draw(numbers["straightness"], rng)
        else:
            diameter, aspect = (self._draw(numbers[k], rng) for k in ("diameter", "aspect"))
            length, width = diameter * math.sqrt(aspect), diameter / math.sqrt(aspect)
            straightness = 1.0
        bright = bool(rng.random() < self._bright_share(numbers))
        tint = rng.normal(0, TINT_SCRATCH if kind == "scratch" else TINT_DUST, 3)
        base = rng.uniform(0.9, 1.0) if bright else rng.uniform(0.0, 0.1)
        return Artefact(
            kind=kind,
            x=0.0,
            y=0.0,
            length=length * per_um,
            width=max(width * per_um, SMALLEST_PX),
            angle=self._angle(kind, rng),
            straightness=straightness,
            # Opacity is that of the peak, blur included: so it was measured.
            opacity=min(1.0, self._draw(numbers["opacity"], rng)),
            blur=min(2.0, self._draw(self.table["blur"]["sigma_px"], rng)),
            bright=bright,
            colour=tuple(float(v) for v in np.clip(base + tint, 0, 1)),
            seed=int(rng.integers(2**63)),
        )

    def _bright_share(self, numbers: dict[str, Any]) -> float:
        shares = {"bright": 1.0, "dark": 0.0, "both": 0.5}
        return shares.get(self.polarity, float(numbers["bright_share"]))

    @staticmethod
    def _angle(kind: str, rng: np.random.Generator) -> float:
        """Scratches run with the transport, along or across the frame; all else lies anyhow."""
        if kind == "scratch" and rng.random() < 0.7:
            return float(rng.normal(0, 0.03)) + (math.pi / 2 if rng.random() < 0.5 else 0.0)
        return float(rng.uniform(0, math.pi))

    def _scatter(
        self,
        artefacts: list[Artefact],
        width: int,
        height: int,
        dpi: float,
        rng: np.random.Generator,
    ) -> list[Artefact]:
        """Place artefacts: some anywhere, the others about centres that draw dirt together."""
        groups = self.table["clusters"]
        count = len(artefacts)
        x, y = rng.uniform(0, width, count), rng.uniform(0, height, count)
        crowded = rng.random(count) < groups["share"]
        centres = max(1, round(count * groups["share"] / groups["children"]))
        at = rng.uniform((0, 0), (width, height), (centres, 2))
        member = at[rng.integers(centres, size=count)]
        member = member + rng.normal(0, groups["radius_mm"] * dpi / 25.4, (count, 2))
        x = np.where(crowded, member[:, 0] % width, x)
        y = np.where(crowded, member[:, 1] % height, y)
        return [
            replace(a, x=float(px), y=float(py)) for a, px, py in zip(artefacts, x, y, strict=True)
        ]


def render(artefacts: Iterable[Artefact], window: Window, channels: int = 3) -> tuple[Float, Float]:
    """Draw artefacts over a window of the frame they were sampled for.

    A window gets the very pixels that the whole frame would have there, so large scans can be
    damaged piece by piece.

    Returns:
        (alpha, colour): float32 (H, W) opacity and (H, W, channels) colour, both in [0, 1]; the
        damaged picture is `image * (1 - alpha) + colour * alpha`. Colour is 0 where alpha is.
    """
    alpha = np.zeros((window.height, window.width), np.float32)
    paint = np.zeros((window.height, window.width, channels), np.float32)
    for artefact in artefacts:
        box = extent(artefact)
        inside = box.intersect(window)
        if not inside.area:
            continue
        a = shape(artefact, inside)
        colour = np.asarray(artefact.colour, np.float32)
        colour = colour if channels == 3 else colour.mean(keepdims=True)
        part = inside.relative_to(window).slices
        paint[part] = paint[part] * (1 - a[..., None]) + colour * a[..., None]
        alpha[part] += (1 - alpha[part]) * a
    np.divide(paint, alpha[..., None], out=paint, where=alpha[..., None] > 0)
    return alpha, paint


def apply(
    image: Float, artefacts: Iterable[Artefact], window: Window | None = None
) -> tuple[Float, NDArray[np.uint8]]:
    """Damage a picture.

    Args:
        image: float32 (H, W, C) in [0, 1], gamma-encoded, C = 1 or 3.
        artefacts: from `DamageModel.sample`.
        window: where in the frame the picture lies; the whole frame by default.

    Returns:
        (damaged, mask): float32 (H, W, C), untouched where no artefact lies, and uint8 (H, W),
        255 where some channel changed by more than `VISIBLE`.

    Raises:
        ValueError: if image and window differ in size.
    """
    height, width, channels = image.shape
    window = window or Window(0, 0, width, height)
    if (window.height, window.width) != (height, width):
        raise ValueError(f"a picture of {width} x {height} pixels for {window}")
    alpha, colour = render(artefacts, window, channels)
    change = alpha[..., None] * (colour - image)
    mask = (np.abs(change).max(axis=2) > VISIBLE).astype(np.uint8) * np.uint8(255)
    return image + change, mask

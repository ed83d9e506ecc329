"""How a network is trained: one dataclass, and the TOML files that fill it in."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from darkroom.errors import UsageError, about
from darkroom.values import parse_toml, read_text, typed

Amp = Literal["auto", "off", "bfloat16"]
Schedule = Literal["cosine", "constant"]

SHARES = (
    "damaged",
    "hard",
    "photographs",
    "highlights",
    "enlarged",
    "clean",
    "synthetic",
    "negative",
    "tone",
    "tone_limit",
    "grey",
)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training run. Everything here is stored with the weights.

    Attributes:
        steps: optimiser steps.
        epochs: passes over the training pictures, each in a new order; where this is not 0, it
            takes the place of `steps` and of drawing the more damaged pictures more often.
        batch: crops a step and process.
        crop: side of a crop in pixels.
        rate: peak learning rate of AdamW.
        warmup: steps over which the rate rises from zero.
        schedule: "cosine" falls to 1 % of the peak at the last step.
        decay: weight decay; with 0, AdamW is Adam.
        beta2: decay of the optimiser's mean of squared gradients.
        clip: largest norm of the gradient.
        ema: decay of the moving average of weights, which is what is validated and kept.
        amp: "bfloat16", "off", or "auto": bfloat16 where the device computes in it natively.
        channels_last: memory layout of the network.
        threads: torch threads, 0 for torch's choice. On a busy machine 1 can be fastest.
        seed: of weights, crops and augmentation.
        validate_every: steps between validations.
        validate_share: take every n-th validation picture.
        checkpoint_every: steps between checkpoints.
        damaged: share of crops centred on damage.
        hard: share of crops centred on narrow detail that is no damage.
        photographs: share of crops cut from clean photographs, where some are given.
        highlights: share of crops into which up to six highlights are drawn that are no damage.
        enlarged: share of crops shown up to three times as large, as finer scans show the film.
        clean: share of crops in which the truth is given as the scan: nothing may be found.
        transplants: most artefacts of other pictures pasted into a crop, on 60 % of crops.
        synthetic: share of those that are drawn rather than transplanted.
        turns: whether crops are turned and mirrored.
        negative: share of crops that are inverted.
        tone: share of crops whose gamma, and as often whose contrast, is changed.
        noise: standard deviation of noise added to 30 % of crops, at most.
        beyond_grain: leave pixels undecided that a retoucher's brush gave other grain and nothing
            else, instead of teaching that they are damaged.
        grey: share of the crops of colour photographs that are shown in grey.
        flagged: whether pairs are used that the data set flags as edited or noisy.
        tone_limit: leave out pairs of which more than this share differs from the truth without
            being damaged: edits of tone, not of dust.
    """

    steps: int = 20_000
    epochs: int = 0
    batch: int = 8
    crop: int = 128
    rate: float = 1.5e-3
    warmup: int = 100
    schedule: Schedule = "cosine"
    decay: float = 1e-3
    beta2: float = 0.99
    clip: float = 2.0
    ema: float = 0.997
    amp: Amp = "auto"
    channels_last: bool = True
    threads: int = 0
    seed: int = 0
    validate_every: int = 1000
    validate_share: int = 1
    checkpoint_every: int = 500
    damaged: float = 0.6
    hard: float = 0.0
    photographs: float = 0.25
    highlights: float = 0.0
    enlarged: float = 0.0
    clean: float = 0.12
    transplants: int = 4
    synthetic: float = 0.3
    turns: bool = True
    negative: float = 0.12
    tone: float = 0.5
    noise: float = 0.012
    flagged: bool = False
    beyond_grain: bool = False
    grey: float = 0.0
    tone_limit: float = 0.2

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "batch",
            "crop",
            "validate_every",
            "validate_share",
            "checkpoint_every",
        ):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share between 0 and 1, not {getattr(self, name)}")
        if self.damaged + self.hard > 1:
            raise UsageError("damaged and hard are shares of the same crops: at most 1 together")
        if self.epochs < 0:
            raise UsageError(f"epochs must not be negative, not {self.epochs}")
        if not 0 <= self.beta2 < 1:
            raise UsageError(f"beta2 must be at least 0 and below 1, not {self.beta2}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema must be at least 0 and below 1, not {self.ema}")
        if self.schedule not in ("cosine", "constant"):
            raise UsageError(f"schedule is cosine or constant, not {self.schedule!r}")
        if self.amp not in ("auto", "off", "bfloat16"):
            raise UsageError(f"amp is auto, off or bfloat16, not {self.amp!r}")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rate = self.rate * min(1.0, (step + 1) / max(1, self.warmup))
        if self.schedule == "constant":
            return rate
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))

    def over(self, pictures: int, processes: int = 1) -> "TrainConfig":
        """With `steps` for the passes over so many pictures, if it counts in passes."""
        if not self.epochs:
            return self
        steps = math.ceil(self.epochs * pictures / (self.batch * processes))
        return replace(self, steps=max(1, steps))

    def table(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A TOML file of a training run.

    Attributes:
        architecture: which trainable, or None to leave that to the command line.
        network: options of that trainable.
        train: values of `TrainConfig`.
        path: the file.
    """

    architecture: str | None
    network: Mapping[str, Any]
    train: Mapping[str, Any]
    path: Path | None = None


def read_recipe(path: Path) -> Recipe:
    """Read `arch = "…"`, a table `[network]` and a table `[train]`.

    Raises:
        InputError: the file cannot be read.
        UsageError: not TOML, or keys that mean nothing.
    """
    table = parse_toml(read_text(path), path, UsageError)
    if unknown := table.keys() - {"arch", "network", "train", "title", "description"}:
        raise UsageError(f"{path}: unknown keys {', '.join(sorted(unknown))}")
    network, train = (
        typed(dict, table.get(name, {}), f"{path}: {name}", UsageError)
        for name in ("network", "train")
    )
    if "arch" in table:
        typed(str, table["arch"], f"{path}: arch", UsageError)
    with about(path):
        make_config(train, str(path))
    return Recipe(table.get("arch"), network, train, path)


def make_config(values: Mapping[str, Any], origin: str = "options") -> TrainConfig:
    """A configuration with `values` in place of defaults.

    Raises:
        UsageError: unknown keys, or values of the wrong type or range.
    """
    kinds = {f.name: type(getattr(TrainConfig(), f.name)) for f in fields(TrainConfig)}
    taken: dict[str, Any] = {}
    for key, value in values.items():
        if key not in kinds:
            raise UsageError(f"{origin}: unknown training option {key!r}")
        fits = isinstance(value, kinds[key]) and not (
            isinstance(value, bool) and kinds[key] is not bool
        )
        if kinds[key] is float and type(value) is int:
            fits, value = True, float(value)
        if not fits:
            raise UsageError(f"{origin}: {key} must be {kinds[key].__name__}, not {value!r}")
        taken[key] = value
    return TrainConfig(**taken)

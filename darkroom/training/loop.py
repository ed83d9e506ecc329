"""The training loop.

One process, or several under `torchrun`: each cuts crops of its own, gradients are averaged, and
the first one validates, logs and writes. A run is a folder: `log.jsonl`, `last.ckpt` to go on
from, `best.safetensors`.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import distributed, nn

from darkroom.damage.lookalikes import Photograph
from darkroom.errors import BackendError, InputError
from darkroom.pairs.read import Picture
from darkroom.precision import native_bfloat16
from darkroom.training import checkpoint as saved
from darkroom.training.config import TrainConfig
from darkroom.training.data import CropSource
from darkroom.training.trainable import Trainable
from darkroom.training.validate import Figures, merit, validate
from darkroom.weights import WeightsHeader, save_weights

Event: TypeAlias = dict[str, Any]

LAST, BEST, LOG = "last.ckpt", "best.safetensors", "log.jsonl"
LOG_EVERY = 50
NON_FINITE_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class Place:
    """This process among those of the run.

    Attributes:
        rank: its number.
        world: how many there are.
        device: where it computes.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether it writes and validates."""
        return self.rank == 0


def join(device: str = "cpu") -> Place:
    """Join the other processes if `torchrun` started this one; otherwise be alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Place(0, 1, torch.device(device))
    kind = torch.device(device).type
    if kind == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    return Place(distributed.get_rank(), world, torch.device(device))


class Run:
    """A training run.

    Args:
        trainable: the network and its loss.
        pictures: the training part.
        held_out: the validation part; empty for no validation.
        config: how to train.
        folder: where the run writes.
        place: this process among several.
        photographs: clean ones to cut crops from as well.
        data: digest of the training data, for the weights file.
        licence: licence note for the weights file.
        started_from: digest of the weights it started from, if any.
        progress: called with each event that is logged (first process only).
    """

    def __init__(
        self,
        trainable: Trainable,
        pictures: Sequence[Picture],
        held_out: Sequence[Picture],
        config: TrainConfig,
        folder: Path,
        *,
        place: Place | None = None,
        photographs: Sequence[Photograph] = (),
        data: str = "",
        licence: str = "",
        started_from: str = "",
        progress: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.trainable, self.config, self.folder = trainable, config, folder
        self.place = place or Place(0, 1, torch.device("cpu"))
        self.data, self.licence, self.progress = data, licence, progress
        self.started_from = started_from
        if config.crop % trainable.multiple_of:
            raise InputError(f"crop must be a multiple of {trainable.multiple_of}")
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed + self.place.rank)
        folder.mkdir(parents=True, exist_ok=True)
        self.source = CropSource(pictures, config, self.place.rank, photographs, self.place.world)
        self.held_out = held_out[:: config.validate_share]
        self.network = trainable.module.to(self.place.device)
        if config.channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.rate,
            (0.9, config.beta2),
            weight_decay=config.decay,
        )
        self.step, self.best = 0, None
        self._losses: list[dict[str, float]] = []
        self._skipped = 0
        self._board = _tensorboard(folder) if self.place.first else None

    best: float | None

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same run.

        Raises:
            InputError: it is damaged, or of another network or configuration.
        """
        state = saved.load_checkpoint(path)
        if state.architecture != self._architecture() or state.config != self.config.table():
            raise InputError(
                f"{path} is of another network or configuration",
                hint="Give the options it was started with.",
            )
        try:
            self.network.load_state_dict(state.network)
            self.average.load_state_dict(state.average)
            self.optimizer.load_state_dict(state.optimizer)
            self.step, self.best = state.step, state.best
            saved.restore_random_states(state.random)
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            text = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: damaged: {text}") from error

    def train(self, until: int | None = None) -> None:
        """Train to step `until`, or to the end.

        Raises:
            BackendError: the loss stays non-finite.
        """
        c, stop = self.config, min(self.config.steps, until or self.config.steps)
        network: nn.Module = self.network
        if self.place.world > 1:
            network = nn.parallel.DistributedDataParallel(self.network)
        self.network.train()
        with ThreadPoolExecutor(1) as pool:
            ready = pool.submit(self.source.batch, self.step)
            while self.step < stop:
                batch = ready.result().to(self.place.device)
                ready = pool.submit(self.source.batch, self.step + 1)
                self._step(network, self.source.augmented(self.step, batch))
                self.step += 1
                if self.step % LOG_EVERY == 0 or self.step == stop:
                    self._log_losses()
                if self.step % c.validate_every == 0 or self.step == c.steps:
                    self._validate()
                if self.step % c.checkpoint_every == 0 or self.step == stop:
                    self.save()

    def _step(self, network: nn.Module, batch: Any) -> None:
        """One step of the optimiser, unless loss or gradient is not finite in any process."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.config, self.place.device):
            output = network(batch.scan)
        parts = self.trainable.loss(output, batch)
        total = torch.stack(list(parts.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        # The gradient is averaged over processes, so all of them see the same norm.
        if not torch.isfinite(norm):
            self._skip()
            return
        self._skipped = 0
        self.optimizer.step()
        self._update_average()
        losses = {name: float(part.detach()) for name, part in parts.items()}
        self._losses.append(losses | {"norm": float(norm)})

    def _skip(self) -> None:
        self._skipped += 1
        self._emit({"event": "skipped", "step": self.step})
        if self._skipped >= NON_FINITE_IN_A_ROW:
            raise BackendError(
                f"the gradient was not finite {self._skipped} steps in a row",
                hint="Lower the learning rate, or switch mixed precision off.",
            )

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema, (2 + self.step) / (11 + self.step))
        pairs = zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        for kept, new in pairs:
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    def _log_losses(self) -> None:
        if not self._losses:
            return
        means = {k: float(np.mean([x[k] for x in self._losses])) for k in self._losses[0]}
        self._losses.clear()
        rate = self.optimizer.param_groups[0]["lr"]
        self._emit({"event": "train", "step": self.step, "rate": rate, **means})

    def _validate(self) -> None:
        """Validate on the first process; the others wait at the next gradient."""
        if not (self.held_out and self.place.first):
            return
        sweep = validate(self.trainable, self.average, self.held_out, self.place.device)
        merits = {name: merit(figures) for name, figures in sweep.items()}
        chosen = min(merits, key=merits.__getitem__)
        self._emit({"event": "validation", "step": self.step, "best_at": chosen, "sweep": sweep})
        if self.best is None or merits[chosen] < self.best:
            self.best = merits[chosen]
            self.export(self.folder / BEST, sweep, sweep[chosen])

    def export(
        self, path: Path, sweep: Mapping[str, Figures] | None = None, figures: Figures | None = None
    ) -> WeightsHeader:
        """Write the averaged weights as a file for `darkroom clean`.

        Raises:
            OutputError: it cannot be written.
        """
        header = WeightsHeader(
            architecture=self.trainable.architecture,
            config=dict(self.trainable.config()),
            data=self.data,
            recipe=self.config.table()
            | {
                "steps_done": self.step,
                "processes": self.place.world,
                "started_from": self.started_from,
            },
            calibration=dict(self.trainable.calibrate(sweep)) if sweep else {},
            metrics=dict(figures or {}),
            licence=self.licence,
        )
        tensors = {n: t.detach().cpu().numpy() for n, t in self.average.state_dict().items()}
        return save_weights(path, tensors, header)

    def save(self) -> None:
        """Write the checkpoint to go on from (first process only)."""
        if not self.place.first:
            return
        state = saved.Checkpoint(
            step=self.step,
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            best=self.best,
            config=self.config.table(),
            architecture=self._architecture(),
            random=saved.random_states(),
        )
        saved.save_checkpoint(self.folder / LAST, state)

    def _architecture(self) -> dict[str, Any]:
        values = {"name": self.trainable.architecture, "config": self.trainable.config()}
        return dict(json.loads(json.dumps(values)))

    def _emit(self, event: Event) -> None:
        if not self.place.first:
            return
        event = event | {"time": round(time.time(), 1)}
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(event) + "\n")
        if self._board is not None:
            for name, value in _scalars(event):
                self._board.add_scalar(name, value, event["step"])
        self.progress(event)


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 where it was asked for, or is native to the device."""
    wanted = config.amp == "bfloat16" or (config.amp == "auto" and native_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16) if wanted else nullcontext()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def _scalars(event: Event) -> list[tuple[str, float]]:
    if event["event"] == "train":
        return [(f"train/{k}", v) for k, v in event.items() if k not in ("event", "step", "time")]
    if event["event"] == "validation":
        return [(f"validation/{k}", v) for k, v in event["sweep"][event["best_at"]].items()]
    return []

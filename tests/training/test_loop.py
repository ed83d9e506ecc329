import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from darkroom.errors import BackendError, InputError
from darkroom.training.checkpoint import load_checkpoint
from darkroom.training.loop import BEST, LAST, LOG, Run
from darkroom.weights import load_weights

GOLDEN = Path(__file__).with_name("golden-20-steps.json")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def losses(run):
    """Record the total loss of each step."""
    seen, take = [], run.trainable.loss

    def loss(output, batch):
        parts = take(output, batch)
        seen.append(float(sum(parts.values()).detach()))
        return parts

    run.trainable.loss = loss
    return seen


def test_twenty_steps_are_as_they_were(tiny, pictures, quick, tmp_path):
    run = Run(tiny(), pictures, [], quick, tmp_path)
    seen = losses(run)
    run.train()
    stored = json.loads(GOLDEN.read_text())
    assert seen == pytest.approx(stored, rel=2e-3)
    assert sum(seen[-5:]) < sum(seen[:5])


def test_a_resumed_run_equals_one_that_was_not_stopped(tiny, pictures, quick, tmp_path):
    whole = Run(tiny(), pictures, [], quick, tmp_path / "a")
    whole.train()
    Run(tiny(), pictures, [], quick, tmp_path / "b").train(until=10)
    torch.rand(5)  # the generators have moved on since
    resumed = Run(tiny(), pictures, [], quick, tmp_path / "b")
    resumed.resume(tmp_path / "b" / LAST)
    assert resumed.step == 10
    resumed.train()
    for part in ("network", "average"):
        for key, value in getattr(whole, part).state_dict().items():
            assert torch.equal(value, getattr(resumed, part).state_dict()[key]), key


def test_a_checkpoint_of_another_run_is_refused(tiny, pictures, quick, tmp_path):
    from dataclasses import replace

    Run(tiny(), pictures, [], quick, tmp_path).train(until=1)
    other = Run(tiny(), pictures, [], replace(quick, rate=1.0), tmp_path / "c")
    with pytest.raises(InputError, match="another network or configuration"):
        other.resume(tmp_path / LAST)
    data = (tmp_path / LAST).read_bytes()
    for broken in (b"", data[: len(data) // 2], b"junk" * 100):
        (tmp_path / "bad").write_bytes(broken)
        with pytest.raises(InputError):
            load_checkpoint(tmp_path / "bad")


def test_validation_keeps_the_best_weights_with_their_figures(
    tiny, pictures, held_out, quick, tmp_path
):
    events = []
    trainable = tiny()
    run = Run(trainable, pictures, held_out, quick, tmp_path, data="d", progress=events.append)
    run.train()
    kinds = [e["event"] for e in events]
    assert kinds == ["train", "validation"]
    assert [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()] == events
    header, tensors = load_weights(tmp_path / BEST, "unet")
    assert header.data == "d"
    assert header.recipe["steps_done"] == 20
    assert header.metrics == events[1]["sweep"][events[1]["best_at"]]
    assert tensors.keys() == trainable.module.state_dict().keys()
    assert [row[0] for row in header.calibration["thresholds"]] == [0.0, 50.0, 100.0]


def test_a_loss_that_is_not_finite_never_reaches_the_weights(tiny, pictures, quick, tmp_path):
    trainable = tiny()
    before = {k: v.clone() for k, v in trainable.module.state_dict().items()}
    take = trainable.loss
    trainable.loss = lambda o, b: {k: v * float("nan") for k, v in take(o, b).items()}
    run = Run(trainable, pictures, [], quick, tmp_path)
    with pytest.raises(BackendError, match="20 steps in a row"):
        run.train()
    for key, value in trainable.module.state_dict().items():
        assert torch.equal(value, before[key])


def test_crops_must_suit_the_network(tiny, pictures, quick, tmp_path):
    from dataclasses import replace

    with pytest.raises(InputError, match="multiple of 8"):
        Run(tiny(), pictures, [], replace(quick, crop=60), tmp_path)


DISTRIBUTED = """
import sys, torch
from pathlib import Path
from torch import distributed
from darkroom.training.config import TrainConfig
from darkroom.pairs.find import find_parts
from darkroom.pairs.read import load_picture
from darkroom.training.loop import Run, join
from darkroom_backends.unet.shape import UNetConfig
from darkroom_backends.unet.trainable import UNetTrainable
torch.set_num_threads(1)
torch.manual_seed(3)
root, out = Path(sys.argv[1]), Path(sys.argv[2])
place = join()
pictures = [load_picture(pair) for pair in find_parts(root, ["train"])["train"]]
config = TrainConfig(steps=4, batch=1, crop=64, amp="off", tone_limit=1.0, checkpoint_every=4)
tiny = UNetConfig(widths=(8, 8, 8), encoder=(0, 0), decoder=(0, 0), dilations=(1,))
run = Run(UNetTrainable(tiny), pictures, [], config, out, place=place)
run.train()
torch.save(run.network.state_dict(), out / f"rank{place.rank}.pt")
distributed.destroy_process_group()
"""


def test_two_processes_train_one_network(dataset, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(DISTRIBUTED)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*command, script, dataset, tmp_path],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in (0, 1))
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    state = load_checkpoint(tmp_path / LAST)
    assert state.step == 4
    assert all(torch.equal(value, first[key]) for key, value in state.network.items())

from dataclasses import asdict

import numpy as np
import pytest
import torch
from darkroom_backends.redrawing import CELL
from darkroom_backends.ssda.backend import SSDAOptions, SSDARestorer
from darkroom_backends.ssda.model import SSDA, STRIDE, SSDAConfig, divergence
from darkroom_backends.ssda.trainable import SSDATrainable
from redrawn import assert_same_for_any_tile, picture

from darkroom.errors import BackendError
from darkroom.options import CleanOptions
from darkroom.pipeline.engine import Engine
from darkroom.pipeline.memory import clean_array
from darkroom.plugins.manager import installed, load_object, make_options
from darkroom.protocols import Device, FrameReplacer, Measured, Restorer
from darkroom.training.trainable import DAMAGED, Batch, JudgedTrainable, Trainable
from darkroom.weights import WeightsHeader, save_weights

SMALL = SSDAConfig(patch=8, layers=(24, 16), pretrain=(0, 0))
TABLE = [[0.0, 0.6, 0.9], [50.0, 0.1, 0.12], [100.0, 0.05, 0.06]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("w") / "ssda.safetensors"
    header = WeightsHeader("ssda", asdict(SMALL), calibration={"thresholds": TABLE})
    save_weights(path, {n: t.numpy() for n, t in SSDA(SMALL).state_dict().items()}, header)
    return path


def engine(weights, **options):
    return Engine(SSDARestorer(SSDAOptions(weights=str(weights), **options)), None, Device())


def pictures(seed=0, count=4, side=32):
    """Soft ramps, the same with white specks, and where those are."""
    draw = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0, 1, side)
    ends = torch.rand(count, 2, 1, 1, generator=draw)
    truth = 0.2 + 0.4 * (ends[:, :1] * ramp + ends[:, 1:] * ramp[:, None])
    state = torch.zeros_like(truth)
    for image in range(count):
        y, x = (int(v) for v in torch.randint(2, side - 4, (2,), generator=draw))
        state[image, :, y : y + 3, x : x + 3] = DAMAGED
    scan = torch.where(state == DAMAGED, torch.ones_like(truth), truth)
    return Batch(scan, truth, state, (scan - truth).abs())


def test_the_divergence_is_that_of_kullback_and_leibler():
    hidden = torch.tensor([[0.1, 0.05], [0.3, 0.05]], dtype=torch.float64)
    p, q = 0.05, 0.2
    want = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert float(divergence(hidden, 0.05)) == pytest.approx(want)
    assert float(divergence(hidden[:, 1:], 0.05)) == pytest.approx(0, abs=1e-9)


def test_overlapping_patches_are_averaged():
    """With patches that come back as they are, so does the picture; otherwise their mean counts."""
    module = SSDA(SMALL).eval()
    x = torch.rand(2, 1, 24, 20)
    module.restore = lambda patches: patches
    assert torch.allclose(module(x).redrawn, x, atol=1e-6)
    numbered = iter(range(100))
    module.restore = lambda patches: torch.stack([0 * p + next(numbered) for p in patches])
    made = module(x[:1]).redrawn[0, 0]
    across = (20 - 8) // STRIDE + 1
    assert float(made[0, 0]) == 0  # one patch lies there, and four here:
    assert float(made[4, 4]) == pytest.approx((0 + 1 + across + across + 1) / 4)


def test_layers_are_trained_one_after_the_other_and_then_together():
    config = SSDAConfig(patch=8, layers=(24, 16), pretrain=(3, 2), patches=9)
    torch.manual_seed(0)
    trainable = SSDATrainable(config)
    module, batch = trainable.module.train(), pictures()
    optimizer = torch.optim.AdamW(module.parameters(), 1e-2, weight_decay=0)
    moved = []
    for _ in range(6):
        before = {n: p.detach().clone() for n, p in module.named_parameters()}
        parts = trainable.loss(module(batch.scan), batch)
        optimizer.zero_grad()
        sum(parts.values()).backward()
        assert all(p.grad is not None for p in module.parameters())  # as several processes need
        optimizer.step()
        changed = {n.split(".")[1] for n, p in module.named_parameters()
                   if not torch.equal(p, before[n])}  # fmt: skip
        moved.append((changed, set(parts)))
    alone, together = {"error", "sparsity", "shrinkage"}, {"error", "shrinkage"}
    assert moved[:3] == [({"0"}, alone)] * 3
    assert [m[1] for m in moved[3:]] == [alone, alone, together]
    assert moved[5][0] == {"0", "1"}
    assert int(module.state_dict()["steps"]) == 6  # kept with checkpoints, so a run goes on right


def test_the_second_layer_learns_hidden_values_of_the_clean_patch():
    config = SSDAConfig(patch=8, layers=(12, 6), pretrain=(0, 9), sparsity=0, shrinkage=0)
    trainable, batch = SSDATrainable(config), pictures(count=1, side=8)
    module = trainable.module.train()
    first, second = module.coders
    flat = [p.reshape(1, -1) for p in (batch.scan, batch.truth)]
    damaged, clean = (first.encode(p) for p in flat)
    want = 0.5 * (second.decode(second.encode(damaged)) - clean).square().sum()
    got = trainable.loss(module(batch.scan), batch)["error"]
    assert float(got.detach()) == pytest.approx(float(want.detach()), rel=1e-5)


def test_training_learns_to_see_through_damage():
    torch.manual_seed(0)
    config = SSDAConfig(patch=8, layers=(48, 32), pretrain=(150, 100), sparsity=1e-3)
    trainable = SSDATrainable(config)
    module = trainable.module.train()
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    for step in range(700):
        batch = pictures(step)
        optimizer.zero_grad()
        sum(trainable.loss(module(batch.scan), batch).values()).backward()
        optimizer.step()
    batch = pictures(9999)
    with torch.no_grad():
        score, fill = trainable.restoration(module.eval()(batch.scan))
    damaged = batch.state == DAMAGED
    assert score[damaged].mean() > 2 * score[~damaged].mean()
    left = (fill - batch.truth)[damaged].square().mean()
    assert left < 0.1 * (batch.scan - batch.truth)[damaged].square().mean()


def test_it_is_announced_and_loads(weights):
    plugins = installed()
    spec = plugins.backend("ssda", ("restorer",))
    made = load_object(spec.factory)(make_options(spec, {"weights": str(weights)}))
    assert isinstance(made, Restorer) and isinstance(made, Measured)
    assert isinstance(made, FrameReplacer) and not made.whole_frame
    item = plugins.trainable("ssda")
    trainable = load_object(item.factory)(make_options(item, {"layers": (9, 5)}))
    assert isinstance(trainable, Trainable) and isinstance(trainable, JudgedTrainable)
    assert trainable.config()["layers"] == (9, 5)
    with pytest.raises(ValueError, match="multiple of 4"):
        SSDAConfig(patch=10)
    with pytest.raises(ValueError, match="for each layer"):
        SSDAConfig(layers=(9,))


@pytest.mark.parametrize(("output", "channels"), [("composite", 1), ("composite", 3), ("full", 1)])
def test_results_do_not_depend_on_tile_size(weights, rng, output, channels):
    image = picture(rng, CELL + 9, CELL + 41, channels)
    assert_same_for_any_tile(image, "ssda", lambda: engine(weights, output=output))


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint16)])
@pytest.mark.parametrize(("height", "width"), [(150, 210), (5, 7)])
def test_composite_changes_nothing_outside_its_mask(weights, rng, channels, dtype, height, width):
    image = picture(rng, height, width, channels, dtype)
    done = clean_array(image, CleanOptions(backend="ssda"), engine=engine(weights))
    kept = done.mask == 0
    assert np.array_equal(done.image[kept], image[kept])
    if height > 34:
        assert 0 < kept.sum() < kept.size
        assert (done.image != image).any()


def test_full_is_the_mean_of_restored_patches(weights, rng):
    image = picture(rng, 64, 96, dtype=np.uint8)[..., 0]
    restorer = SSDARestorer(SSDAOptions(weights=str(weights), output="full"))
    done = clean_array(
        image, CleanOptions(backend="ssda", grain="none"), engine=Engine(restorer, None, Device())
    )
    with torch.no_grad():
        shown = torch.from_numpy(image.astype(np.float32) / 255)[None, None]
        want = restorer.module(shown).redrawn[0, 0].numpy() * 255
    assert (done.mask == 255).all()
    assert np.abs(done.image.squeeze() - want).max() < 1


def test_broken_weights_are_one_clear_error(weights, tmp_path):
    odd = tmp_path / "odd"
    tensors = {n: t.numpy() for n, t in SSDA(SMALL).state_dict().items()}
    for config in ({"patch": 12}, {"patch": 7}, {"layers": "x"}, {"depth": 2}, {"layers": [24]}):
        save_weights(odd, tensors, WeightsHeader("ssda", asdict(SMALL) | config))
        with pytest.raises(BackendError, match=str(odd)):
            SSDARestorer(SSDAOptions(weights=str(odd)))

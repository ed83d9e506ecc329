import itertools
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from darkroom_backends.unet.accelerated import TorchNetwork
from darkroom_backends.unet.backend import UNetOptions, UNetRestorer, read_network, weights_file
from darkroom_backends.unet.calibration import anchors, thresholds
from darkroom_backends.unet.front import fill
from darkroom_backends.unet.model import GatedUNet
from darkroom_backends.unet.model import fill as torch_fill
from darkroom_backends.unet.network import OnnxNetwork
from darkroom_backends.unet.shape import STRIDE, UNetConfig
from darkroom_backends.unet.trainable import UNetTrainable
from scipy import ndimage as ndi

from darkroom.errors import BackendError
from darkroom.geometry import Grid, Window
from darkroom.judging import NAMES
from darkroom.options import CleanOptions
from darkroom.pipeline.engine import load_engine
from darkroom.pipeline.memory import clean_array
from darkroom.plugins.manager import installed, load_object, make_options
from darkroom.protocols import Restorer
from darkroom.scan import FrameStats, Tile, read_padded
from darkroom.training.session import start_from
from darkroom.training.trainable import Trainable
from darkroom.weights import JUDGE, WeightsHeader, fill_module, save_weights

SMALL = UNetConfig(widths=(8, 8, 8), dilations=(1,))
TABLE = [[0.0, 0.6, 0.9], [50.0, 0.4, 0.7], [100.0, 0.1, 0.3]]


@pytest.fixture(scope="module")
def network():
    """A small network whose heads are not zero, so that every part of it matters."""
    torch.manual_seed(1)
    module = GatedUNet(SMALL).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return module


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "unet.safetensors"
    header = WeightsHeader("unet", asdict(SMALL), calibration={"thresholds": TABLE})
    save_weights(path, {n: t.numpy() for n, t in network.state_dict().items()}, header)
    return path


@pytest.fixture(scope="module")
def restorer(weights):
    return UNetRestorer(UNetOptions(weights=str(weights)))


@pytest.fixture(scope="module")
def stats():
    flat = np.full(16, 0.01, np.float32)
    return FrameStats(
        black=0.0, white=1.0, median=0.4, noise=0.01,
        noise_levels=np.linspace(0, 1, 16, dtype=np.float32), noise_curve=flat,
        polarity="both", dpi=None, frame=Window(0, 0, 1, 1),
    )  # fmt: skip


def restore_whole(restorer, stats, image, core):
    """Score and fill of an image, put together from the cores of its tiles."""
    height, width, _channels = image.shape
    contract = restorer.contract
    score, fill = np.zeros((height, width), np.float32), image.copy()

    def read(window):
        return image[window.slices]

    for tiling in Grid(width, height, core, contract.halo, contract.multiple_of):
        pixels = np.ascontiguousarray(read_padded(read, width, height, tiling.read))
        tile = Tile(tiling.core, tiling.read, pixels, inside=tiling.read.clip(width, height))
        (made,) = restorer.restore([tile], stats)
        score[tiling.core.slices] = made.score[tile.core_slices]
        fill[tiling.core.slices] = made.over(pixels)[tile.core_slices]
    return score, fill


def test_it_is_announced_and_loads(weights):
    plugins = installed()
    spec = plugins.backend("unet", ("restorer",))
    made = load_object(spec.factory)(make_options(spec, {"weights": str(weights)}))
    assert isinstance(made, Restorer)
    item = plugins.trainable("unet")
    trainable = load_object(item.factory)(make_options(item, {}))
    assert isinstance(trainable, Trainable)
    assert plugins.check() == []


def test_the_default_is_as_large_as_the_docs_say():
    module = GatedUNet()
    assert sum(p.numel() for p in module.parameters()) == 610_604
    assert module.radius == 116


@pytest.mark.parametrize("config", [SMALL, UNetConfig(widths=(8, 8, 8), dilations=(1, 2))])
def test_nothing_beyond_the_radius_matters(config, rng):
    torch.manual_seed(0)
    module = GatedUNet(config).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    side = 2 * (module.radius + 32) // STRIDE * STRIDE
    x = torch.from_numpy(rng.random((1, 1, side, side)))
    at = side // 2
    y = x.clone()
    y[..., : at - module.radius] = torch.from_numpy(rng.random((side, at - module.radius)))
    with torch.no_grad():
        before, after = module(x), module(y)
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a[..., at:], b[..., at:])
        assert not torch.equal(a[..., at - module.radius :], b[..., at - module.radius :])


@pytest.mark.parametrize("config", [
    SMALL,
    UNetConfig((8, 16, 8), (0, 2), (1, 0), (1, 2, 3), colour=True),
])  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways_of_computing_say_the_same(config, channels, rng):
    torch.manual_seed(3)
    module = GatedUNet(config)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    assert_alike(config, {n: t.numpy() for n, t in module.state_dict().items()}, channels, rng)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_ships_is_computed_alike_in_both_ways(channels, rng):
    read = read_network(weights_file(UNetOptions()))
    config, tensors = read.built, read.tensors
    assert_alike(config, tensors, channels, rng)


def assert_alike(config, tensors, channels, rng):
    """ONNX Runtime's graph is made from the weights; torch is what they were trained with."""
    planes = np.float32(0.4) + rng.normal(0, 0.02, (channels, 128, 192)).astype(np.float32)
    planes[:, 30:34, 40:90] = 0.9
    planes[:, 80:, 100:] += np.float32(0.2)
    planes = planes if config.colour else planes[:1]
    ours = OnnxNetwork(config, tensors).look(planes)
    theirs = TorchNetwork(config, tensors, Path("weights"), "cpu", "float32").look(planes)
    assert theirs.damaged.max() > 0 and theirs.damaged.std() > 0
    np.testing.assert_allclose(ours.damaged, theirs.damaged, atol=1e-5)
    np.testing.assert_allclose(ours.repair, theirs.repair, atol=5e-5)
    damaged = ours.damaged
    whole = slice(0, 128), slice(0, 192)
    detail, gate = ours.detail_and_gate(*whole)
    filled = fill(np.moveaxis(planes, 0, 2).copy(), damaged, detail, gate)
    x, p, d, g = (torch.from_numpy(a) for a in (planes[:, None], damaged, detail, gate))
    expected = torch_fill(x, p[None, None], d[None, None], g[None, None]).clamp(0, 1)
    np.testing.assert_allclose(np.moveaxis(filled, 2, 0), expected[:, 0].numpy(), atol=2e-6)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_scores_are_the_same_bits_for_any_number_of_threads(weights, rng, threads):
    read = read_network(weights)
    config, tensors = read.built, read.tensors
    planes = rng.random((1, 200, 328), np.float32)
    alone = OnnxNetwork(config, tensors, 1).look(planes)
    seen = OnnxNetwork(config, tensors, threads).look(planes)
    assert np.array_equal(alone.damaged, seen.damaged)
    assert np.array_equal(alone.repair, seen.repair)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dpi", [None, 4000.0])
def test_results_do_not_depend_on_tile_size(restorer, stats, rng, channels, dpi):
    stats = replace(stats, dpi=dpi)
    image = rng.random((150, 210, channels)).astype(np.float32)
    whole = restore_whole(restorer, stats, image, 512)
    for core in (64, 112):
        tiled = restore_whole(restorer, stats, image, core)
        for a, b in zip(whole, tiled, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)


def test_a_grey_scan_is_to_a_network_for_colour_a_colour_scan_of_three_equal_planes(rng):
    module = GatedUNet(UNetConfig(colour=True)).eval()
    grey = torch.from_numpy(rng.random((1, 1, 64, 64), np.float32))
    coloured = grey.repeat(1, 3, 1, 1) * torch.tensor([1.0, 0.8, 0.5])[:, None, None]
    with torch.no_grad():
        alone, thrice, tinted = (module.look(x) for x in (grey, grey.repeat(1, 3, 1, 1), coloured))
    for a, b in zip(alone, thrice, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(alone[0], tinted[0])


def test_a_larger_network_grows_out_of_a_smaller_one(rng, tmp_path):
    small = UNetTrainable(UNetConfig())
    file = tmp_path / "small.safetensors"
    tensors = {name: t.numpy() for name, t in small.module.state_dict().items()}
    judged = tensors | {f"{JUDGE}base": np.zeros(1, np.float32)}  # which stays behind
    save_weights(file, judged, WeightsHeader(architecture="unet", config=dict(small.config())))
    start_from(UNetTrainable(UNetConfig()), file)
    large = UNetTrainable(UNetConfig(encoder=(1, 2), dilations=(1, 2, 3), colour=True))
    start_from(large, file)
    grey = torch.from_numpy(rng.random((1, 1, 64, 64), np.float32))
    with torch.no_grad():
        before, after = small.module.eval().look(grey)[0], large.module.eval().look(grey)[0]
    assert float((before - after).abs().max()) < 0.05
    with pytest.raises(BackendError, match="shape"):
        start_from(UNetTrainable(UNetConfig(widths=(16, 32, 48))), file)


@pytest.mark.parametrize("core", [64, 512])
def test_a_picture_is_seen_as_training_shows_it(weights, stats, rng, core):
    """Nothing is mirrored at its edges: crops in training end just so."""
    restorer = UNetRestorer(UNetOptions(weights=str(weights)))
    image = rng.random((136, 208, 1)).astype(np.float32)
    score, fill = restore_whole(restorer, stats, image, core)
    module = GatedUNet(SMALL)
    fill_module(module, read_network(weights).tensors, weights)
    with torch.no_grad():
        logit, made = module(torch.from_numpy(image[None, None, ..., 0]))
    np.testing.assert_allclose(score, torch.sigmoid(logit)[0, 0].numpy(), atol=2e-6)
    found = score >= TABLE[-1][1]
    assert found.any()
    expected = made[0, 0].clamp(0, 1).numpy()
    np.testing.assert_allclose(fill[found, 0], expected[found], atol=2e-6)


def test_at_half_the_scale_too(weights, stats, rng):
    restorer = UNetRestorer(UNetOptions(weights=str(weights), scale=2))
    image = rng.random((150, 210, 3)).astype(np.float32)
    whole = restore_whole(restorer, stats, image, 512)
    for core in (64, 112):
        for a, b in zip(whole, restore_whole(restorer, stats, image, core), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)


def test_scale_sees_what_is_twice_as_large(weights, stats, rng):
    """The score of an enlarged picture at scale 2 is that of the picture, enlarged."""
    small = rng.random((64, 64, 1)).astype(np.float32)
    large = small.repeat(2, 0).repeat(2, 1)
    inner = np.s_[16:48, 16:48]
    window, twice = Window(0, 0, 64, 64), Window(0, 0, 128, 128)
    fine = UNetRestorer(UNetOptions(weights=str(weights)))
    coarse = UNetRestorer(UNetOptions(weights=str(weights), scale=2))
    plain = fine.restore([Tile(window, window, small)], stats)[0].score
    seen = coarse.restore([Tile(twice, twice, large)], stats)[0].score
    means = seen.reshape(64, 2, 64, 2).mean((1, 3))
    assert np.corrcoef(plain[inner].ravel(), means[inner].ravel())[0, 1] > 0.9
    # By the file's resolution, too.
    both = UNetRestorer(UNetOptions(weights=str(weights)))
    sharp = replace(stats, dpi=4000.0)
    assert np.array_equal(both.restore([Tile(twice, twice, large)], sharp)[0].score, seen)
    with pytest.raises(ValueError, match="scale is 0 to 4"):
        UNetOptions(scale=5)


def test_grey_and_grey_as_rgb_are_found_and_filled_alike(restorer, stats, rng):
    grey = rng.random((64, 64, 1)).astype(np.float32)
    window = Window(0, 0, 64, 64)
    one, three = (Tile(window, window, image) for image in (grey, grey.repeat(3, 2)))
    first, second = (restorer.restore([tile], stats)[0] for tile in (one, three))
    np.testing.assert_allclose(first.score, second.score, atol=1e-5)
    fill, fills = first.over(one.image), second.over(three.image)
    for channel in range(3):
        np.testing.assert_allclose(fill[..., 0], fills[..., channel], atol=1e-4)


def test_scores_and_fills_are_in_range(restorer, stats, rng):
    window = Window(0, 0, 64, 48)
    tiles = [Tile(window, window, rng.random((48, 64, 3)).astype(np.float32)) for _ in range(2)]
    made = restorer.restore(tiles, stats)
    assert len(made) == 2
    for restoration in made:
        assert restoration.score.shape == (48, 64)
        fill = restoration.over(tiles[0].image)
        assert fill.shape == (48, 64, 3)
        assert restoration.score.dtype == fill.dtype == np.float32
        assert 0 <= restoration.score.min() <= restoration.score.max() <= 1
        assert 0 <= fill.min() <= fill.max() <= 1


def test_only_what_is_near_damage_is_filled_and_what_has_to_be(stats):
    restorer = UNetRestorer(UNetOptions())
    window = Window(0, 0, 320, 256)
    image = np.full((256, 320, 3), 0.4, np.float32)
    image[70:74, 10:14] = 0.9
    mask = np.zeros((256, 320), np.uint8)
    mask[200, 300] = 255
    plain, asked = (
        restorer.restore([Tile(window, window, image, m)], stats)[0] for m in (None, mask)
    )
    dirt, known = Window(0, 64, 64, 64), Window(256, 192, 64, 64)
    assert [part.window for part in plain.parts] == [dirt]
    assert [part.window for part in asked.parts] == [dirt, known]
    assert np.abs(plain.over(image)[71:73, 11:13] - 0.4).max() < 0.05


def test_sensitivity_moves_the_thresholds_smoothly(restorer):
    assert restorer.thresholds(50) == pytest.approx((0.4, 0.7))
    assert restorer.thresholds(0) == pytest.approx((0.6, 0.9))
    scale = [restorer.thresholds(s) for s in range(101)]
    for before, after in itertools.pairwise(scale):
        assert after[0] < before[0]
        assert after[1] < before[1]
        assert after[0] < after[1]


def test_calibration_keeps_within_the_false_alarms_allowed():
    sweep = {
        "0.2/0.5": {"visible": 0.7, "false_per_mp": 20.0},
        "0.3/0.8": {"visible": 0.6, "false_per_mp": 4.0},
        "0.5/0.9": {"visible": 0.4, "false_per_mp": 2.0},
    }
    table = anchors(sweep, ((0, 1.0), (50, 5.0), (100, 25.0)))
    assert table == [[0.0, 0.5, 0.9], [50.0, 0.3, 0.8], [100.0, 0.2, 0.5]]
    assert thresholds(table, 120) == pytest.approx((0.2, 0.5))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_judge_sees_each_component_with_its_score_and_fill(network, tmp_path, rng, channels):
    image = rng.random((80, 96, 1)) + 0.02 * rng.random((80, 96, channels))
    image = (image / 1.02).astype(np.float32)
    tensors = {n: t.numpy() for n, t in network.state_dict().items()}

    def cleaned(polarity="both", **judge):
        table = {"features": list(NAMES), "coefficients": [0.0] * len(NAMES), "intercept": 0.0}
        calibration = {"thresholds": [[0, 0.3, 0.3]], "judge": table | judge}
        path = tmp_path / "judged.safetensors"
        save_weights(path, tensors, WeightsHeader("unet", asdict(SMALL), calibration=calibration))
        options = CleanOptions(
            backend="unet",
            options={"unet": {"weights": str(path)}},
            grain="none",
            polarity=polarity,
        )
        return clean_array(image, options)

    everything = cleaned(bars=[[50, -5.0]])
    assert everything.artefacts > 0
    bright, dark = (cleaned(p, bars=[[50, -5.0]]).mask > 0 for p in ("bright", "dark"))
    assert np.array_equal(bright ^ dark, everything.mask > 0)
    assert cleaned(bars=[[50, 5.0]]).artefacts == 0
    # By the change alone: what is accepted at a bar are the components that change most.
    index = NAMES.index("change_mean")
    only = [0.0] * len(NAMES)
    only[index] = 1.0
    strong = cleaned(coefficients=only, bars=[[50, 0.05]])
    assert 0 < strong.artefacts < everything.artefacts
    labels, count = ndi.label(everything.mask > 0, np.ones((3, 3)))
    change = np.abs((image - everything.image).mean(2))
    for number in range(1, count + 1):
        own = labels == number
        if abs(change[own].mean() - 0.05) > 0.005:  # signs may differ within; allow for rounding
            assert (strong.mask[own] > 0).all() == (change[own].mean() > 0.05)


def test_a_judge_for_other_features_is_refused(network, tmp_path):
    path = tmp_path / "odd.safetensors"
    header = WeightsHeader("unet", asdict(SMALL), calibration={"judge": {"features": ["size"]}})
    save_weights(path, {n: t.numpy() for n, t in network.state_dict().items()}, header)
    with pytest.raises(BackendError, match="other features"):
        UNetRestorer(UNetOptions(weights=str(path)))


def test_a_given_mask_is_left_to_an_inpainter():
    """The network may take for picture what a person has marked, and leave it."""
    engine = load_engine(CleanOptions(backend="unet"), "auto", installed(), mask_given=True)
    assert engine.finder is None and engine.inpainter is not None


def test_broken_weights_are_one_clear_error(weights, tmp_path, network):
    cut = tmp_path / "cut"
    cut.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(BackendError, match=str(cut)):
        UNetRestorer(UNetOptions(weights=str(cut)))
    with pytest.raises(BackendError, match="missing"):
        UNetRestorer(UNetOptions(weights=str(tmp_path / "missing")))
    tensors = {n: t.numpy() for n, t in network.state_dict().items()}
    for config in ({"widths": [8, 8, 16]}, {"depth": 3}, {"widths": "wide"}):
        odd = tmp_path / "odd"
        save_weights(odd, tensors, WeightsHeader("unet", config))
        with pytest.raises(BackendError):
            UNetRestorer(UNetOptions(weights=str(odd)))


def test_training_learns_to_tell_damage_from_picture():
    """Some steps on one patch: every part of the loss falls by half."""
    from darkroom_backends.unet.trainable import UNetTrainable

    from darkroom.training.trainable import DAMAGED, Batch

    torch.manual_seed(0)
    trainable = UNetTrainable(SMALL)
    truth = torch.rand(2, 1, 64, 64) * 0.1 + 0.4
    state = torch.zeros_like(truth)
    state[..., 20:24, 30:34] = DAMAGED
    state[..., 44:46, 8:28] = DAMAGED
    scan = torch.where(state == DAMAGED, truth + 0.4, truth)
    batch = Batch(scan, truth, state, (scan - truth).abs())
    optimizer = torch.optim.Adam(trainable.module.parameters(), 3e-3)
    first = None
    for _ in range(60):
        parts = trainable.loss(trainable.module(scan), batch)
        first = first or {k: float(v.detach()) for k, v in parts.items()}
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
    for name, part in parts.items():
        assert float(part.detach()) < 0.5 * first[name], name


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_ships_heals_dust_and_leaves_clean_film_alone(rng, channels, inverted):
    y, x = np.mgrid[:320, :400].astype(np.float32)
    clean = 0.35 + 0.15 * np.sin(x / 70) * np.cos(y / 50) + 0.01 * rng.standard_normal(x.shape)
    scan = clean.copy()
    for row, column in rng.integers(20, 300, (12, 2)):
        speck = np.clip(3.2 - np.hypot(y - row, x - column), 0, 1)
        scan += speck * (0.9 - scan)
    clean, scan = (
        np.rint(65535 * np.repeat(p[..., None].clip(0, 1), channels, 2)).astype(np.uint16)
        for p in (clean, scan)
    )
    if inverted:
        clean, scan = 65535 - clean, 65535 - scan
    assert CleanOptions().backend == "unet"
    done = clean_array(scan, CleanOptions())
    before, after = (
        ((p.astype(float) - clean.astype(float)) ** 2).sum() for p in (scan, done.image)
    )
    assert after < 0.2 * before
    kept = done.mask == 0
    assert np.array_equal(done.image[kept], scan[kept])
    assert (clean_array(clean, CleanOptions()).mask > 0).mean() < 1e-3

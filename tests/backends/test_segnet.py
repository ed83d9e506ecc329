import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from darkroom_backends.calibration import NEVER, anchors, thresholds
from darkroom_backends.departures import judge_levels
from darkroom_backends.redrawing import CELL
from darkroom_backends.segnet.backend import SegNetOptions, SegNetRestorer
from darkroom_backends.segnet.levels import expectation, likeliest
from darkroom_backends.segnet.model import CLASSES, OVERFLOW, SegNet, SegNetConfig
from darkroom_backends.segnet.trainable import SegNetTrainable, cross_entropy, targets
from PIL import Image
from redrawn import assert_same_for_any_tile, picture
from torch import nn

from darkroom.cli.main import main
from darkroom.errors import BackendError, InputError, UsageError
from darkroom.judging import NAMES, Judge, Linear
from darkroom.options import CleanOptions, OutputOptions
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.detect import quantise
from darkroom.pipeline.engine import Engine
from darkroom.pipeline.memory import clean_array
from darkroom.pipeline.request import Request
from darkroom.plugins.manager import installed, load_object, make_options
from darkroom.protocols import Device, Restorer
from darkroom.training.session import start_from
from darkroom.training.trainable import DAMAGED, Batch, Trainable
from darkroom.weights import WeightsHeader, save_weights

SMALL = SegNetConfig(width=0.02)
TABLE = [[0.0, 0.6, 0.9], [50.0, 0.1, 0.12], [100.0, 0.05, 0.06]]

# The paper's network, layer by layer: channels in and out, and the side of a 256-pixel input.
ENCODER = [
    (1, 64, 256), (64, 64, 256),
    (64, 128, 128), (128, 128, 128),
    (128, 256, 64), (256, 256, 64), (256, 256, 64),
    (256, 512, 32), (512, 512, 32), (512, 512, 32),
    (512, 512, 16), (512, 512, 16), (512, 512, 16),
]  # fmt: skip
DECODER = [
    (512, 512, 16), (512, 512, 16), (512, 512, 16),
    (512, 512, 32), (512, 512, 32), (512, 256, 32),
    (256, 256, 64), (256, 256, 64), (256, 128, 64),
    (128, 128, 128), (128, 64, 128),
    (64, 64, 256),
]  # fmt: skip
CLASSIFIER = (64, 257, 256)


@pytest.fixture(scope="module")
def network():
    """A narrow network, its normalisation fitted to noise so that its output varies."""
    torch.manual_seed(1)
    module = SegNet(SMALL)
    with torch.no_grad():
        for _ in range(3):
            module(torch.rand(4, 1, 64, 64))
        module.classifier.weight.mul_(3)
    return module.eval()


@pytest.fixture(scope="module")
def wide():
    """The network as published."""
    return SegNetTrainable()


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "segnet.safetensors"
    header = WeightsHeader("segnet", asdict(SMALL), calibration={"thresholds": TABLE})
    save_weights(path, {n: t.numpy() for n, t in network.state_dict().items()}, header)
    return path


def restorer(weights, **options):
    return SegNetRestorer(SegNetOptions(weights=str(weights), **options))


def engine(weights, **options):
    return Engine(restorer(weights, **options), None, Device())


def test_every_layer_is_the_papers():
    module = SegNet().to("meta")
    seen = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda conv, given, made: seen.append(
                    (conv.in_channels, conv.out_channels, made.shape[2], conv.kernel_size)
                )
            )
    output = module(torch.empty(1, 1, 256, 256, device="meta"))
    assert seen == [(*layer, (3, 3)) for layer in [*ENCODER, *DECODER, CLASSIFIER]]
    assert output.logits.shape == (1, 257, 256, 256)
    kinds = [[type(x) for x in unit] for part in (module.encoder, module.decoder)
             for stage in part for unit in stage]  # fmt: skip
    assert kinds == [[nn.Conv2d, nn.BatchNorm2d, nn.ReLU]] * 25


def test_it_has_as_many_parameters_as_the_paper_describes():
    units = sum(9 * a * b + b + 2 * b for a, b, _ in ENCODER + DECODER)  # weight, bias, norm
    classifier = 9 * 64 * 257 + 257
    assert units + classifier == 29_590_145
    assert sum(p.numel() for p in SegNet().to("meta").parameters()) == units + classifier


def test_pools_keep_where_their_values_came_from(network):
    """Moving the picture by a whole number of pooling cells moves the result with it."""
    x = torch.rand(1, 1, 512, 512, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        a = network(x).logits[..., 224:240, 224:240]
        moved = network(x.roll((32, 32), (2, 3))).logits[..., 256:272, 256:272]
        odd = network(x.roll((1, 0), (2, 3))).logits[..., 225:241, 224:240]
    assert torch.allclose(a, moved, atol=1e-4)
    assert not torch.allclose(a, odd, atol=1e-2)


def vgg():
    """The features of torchvision's vgg16_bn with random weights, and their state dict."""
    layers, inputs = [], 3
    for outputs in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if outputs:
            conv, norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 1.5)
            layers += [conv, norm, nn.ReLU()]
            inputs = outputs
        else:
            layers.append(nn.MaxPool2d(2))
    features = nn.Sequential(*layers).eval()
    state = {f"features.{n}": t for n, t in features.state_dict().items()}
    return features, state | {"classifier.0.weight": torch.zeros(2, 2)}


def test_vgg_weights_become_a_grey_encoder(tmp_path, wide):
    torch.manual_seed(4)
    features, state = vgg()
    torch.save(state, tmp_path / "vgg16_bn.pth")
    assert len(start_from(wide, tmp_path / "vgg16_bn.pth")) == 64
    module = wide.module.eval()
    grey = torch.rand(1, 1, 32, 32)
    mean, spread = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        want = features[:6]((grey.expand(-1, 3, -1, -1) - mean) / spread)
        got = module.encoder[0]((grey - 0.449) / 0.226)
        # Both see a border of other values at the outermost pixels: two layers, two pixels.
        inner = np.s_[..., 2:-2, 2:-2]
        assert torch.allclose(got[inner], want[inner], atol=1e-4)
        deep = torch.rand(1, 512, 4, 4)
        assert torch.equal(module.encoder[4](deep), features[34:43](deep))


def test_files_that_are_no_vgg_are_refused(tmp_path, weights, wide):
    _, state = vgg()
    broken = {
        "missing.pth": {n: t for n, t in state.items() if n != "features.41.running_var"},
        "wide.pth": state | {"features.7.weight": torch.zeros(128, 32, 3, 3)},
        "grey.pth": state | {"features.0.weight": torch.zeros(64, 1, 3, 3)},
    }
    for name, values in broken.items():
        torch.save(values, tmp_path / name)
        with pytest.raises(BackendError, match=name):
            start_from(wide, tmp_path / name)
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.raises(BackendError, match="shape"):
        start_from(SegNetTrainable(SMALL), tmp_path / "vgg.pth")
    torch.save({"features.0.weight": print}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil\.pth"):
        start_from(wide, tmp_path / "evil.pth")
    own = SegNetTrainable(SMALL)
    assert start_from(own, weights)
    with pytest.raises(BackendError, match="No such file"):
        start_from(own, tmp_path / "absent.pth")
    other = load_object(installed().trainable("unet").factory)(None)
    with pytest.raises(BackendError, match="unet starts from weights files only"):
        start_from(other, tmp_path / "vgg.pth")


def test_the_truth_becomes_classes_and_what_is_none_overflows():
    truth = torch.tensor([0.0, 1.0, 0.5, 10 / 255 + 1e-4, math.nan, -0.2, 1.3, math.inf])
    assert targets(truth[None, None, None]).tolist() == [
        [[0, 255, 128, 10, OVERFLOW, OVERFLOW, OVERFLOW, OVERFLOW]]
    ]


def test_softened_cross_entropy_is_least_for_the_gaussian_it_asks_for():
    level = torch.arange(CLASSES, dtype=torch.float64)
    target = torch.tensor([100, OVERFLOW])

    def entropy(sigma, neighbours):
        log = (-((level - 100) ** 2) / (2 * sigma**2)).log_softmax(0)
        return cross_entropy(log.expand(2, -1), target, neighbours)

    assert entropy(2.0, 2.0)[0] < min(entropy(1.5, 2.0)[0], entropy(2.5, 2.0)[0])
    log = torch.randn(2, CLASSES).log_softmax(1)
    assert torch.equal(cross_entropy(log, target, 0.0), -log[[0, 1], target])
    assert torch.allclose(cross_entropy(log, target, 1.0)[1], -log[1, OVERFLOW])


def test_frozen_statistics_stay_and_are_what_training_normalises_by(network):
    module = SegNet(SegNetConfig(0.02, frozen=True))
    module.load_state_dict(network.state_dict())
    x = torch.rand(1, 1, 32, 32)
    before = {n: t.clone() for n, t in module.named_buffers()}
    with torch.no_grad():
        trained = module.train()(x).logits
        assert torch.equal(trained, module.eval()(x).logits)
    assert module.train().training
    assert all(torch.equal(t, before[n]) for n, t in module.named_buffers())


def test_a_share_of_the_pixels_is_classified_as_the_whole_would_be(network):
    x = torch.rand(2, 1, 32, 64)
    chosen = torch.rand(2, 32, 64) < 0.3
    chosen[0, 0, 0] = chosen[1, -1, -1] = True
    with torch.no_grad():
        output = network(x)
        some = network.classify(output.features, chosen)
    assert torch.allclose(some, output.logits.permute(0, 2, 3, 1)[chosen], atol=1e-4)


@pytest.mark.parametrize(
    "config", [SMALL, SegNetConfig(0.02, artefacts=5, neighbours=1, expectation=1, pixels=0.3)]
)
def test_training_learns_to_see_through_damage(config):
    torch.manual_seed(0)
    trainable = SegNetTrainable(config)
    truth = (torch.rand(2, 1, 32, 32) * 0.02 + torch.linspace(0.3, 0.6, 32)).clamp(0, 1)
    state = torch.zeros_like(truth)
    state[..., 10:14, 15:19] = DAMAGED
    scan = torch.where(state == DAMAGED, torch.ones_like(truth), truth)
    batch = Batch(scan, truth, state, (scan - truth).abs())
    optimizer = torch.optim.Adam(trainable.module.parameters(), 1e-2)
    trainable.module.train()
    first = None
    for _ in range(100):
        parts = trainable.loss(trainable.module(scan), batch)
        first = first or {k: float(v.detach()) for k, v in parts.items()}
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
    for name, part in parts.items():
        assert float(part.detach()) < 0.7 * first[name], name
    score, fill = trainable.restoration(trainable.module.eval()(scan))
    damaged = state == DAMAGED
    assert score[damaged].mean() > score[~damaged].mean()
    assert (fill - truth)[damaged].abs().mean() < 0.5 * (scan - truth)[damaged].abs().mean()


def test_levels_are_those_of_the_256_classes_alone():
    logits = torch.full((1, CLASSES, 1, 3), -50.0)
    logits[0, 100, 0, :] = 0.0  # certain
    logits[0, :256, 0, 2] = 0.0  # anything goes
    logits[0, OVERFLOW] = 20.0  # which is no level, so has no say
    assert expectation(logits).flatten().tolist() == pytest.approx([100, 100, 127.5])
    assert likeliest(logits[..., :2]).flatten().tolist() == [100, 100]


def test_a_level_is_improbable_beside_what_is_usual_there(rng):
    """The same speck on a sky that is drawn well and on foliage that is not."""
    mean = np.full((1, 1, 96, 96), 120, np.float32)
    departure = rng.normal(5, 1, (96, 96))
    departure[:, 48:] = rng.normal(5, 30, (96, 48))
    departure[40:44, [10, 11, 12, 80, 81, 82]] = 45
    planes = [torch.from_numpy(p.astype(np.float32)) for p in (mean + departure, mean)]
    score, level = (plane[0, 0].numpy() for plane in judge_levels(*planes))
    assert score[40:44, 10:13].min() > 0.9
    assert score[40:44, 80:83].max() < 0.5
    assert np.median(score[:, :48]) < 0.1
    # What the network misses by all around, it misses by under the speck as well.
    assert np.abs(level[40:44, 10:13] - 125).max() < 1
    assert quantise(score).max() < 255  # a threshold of NEVER is never reached


def test_it_is_announced_and_loads(weights):
    plugins = installed()
    spec = plugins.backend("segnet", ("restorer",))
    made = load_object(spec.factory)(make_options(spec, {"weights": str(weights)}))
    assert isinstance(made, Restorer)
    item = plugins.trainable("segnet")
    trainable = load_object(item.factory)(make_options(item, {"width": 0.25}))
    assert isinstance(trainable, Trainable)
    assert trainable.config()["width"] == 0.25
    assert plugins.check() == []


@pytest.mark.parametrize(("output", "channels"), [("composite", 1), ("composite", 3), ("full", 1)])
def test_results_do_not_depend_on_tile_size(weights, rng, output, channels):
    image = picture(rng, CELL + 8, CELL + 40, channels)
    assert_same_for_any_tile(image, "segnet", lambda: engine(weights, output=output))


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint16)])
def test_composite_changes_nothing_outside_its_mask(weights, rng, channels, dtype):
    image = picture(rng, 150, 210, channels, dtype)
    done = clean_array(image, CleanOptions(backend="segnet"), engine=engine(weights))
    kept = done.mask == 0
    assert 0 < kept.sum() < kept.size
    assert np.array_equal(done.image[kept], image[kept])
    changed = (done.image != image).any(axis=2)
    assert changed.any()
    if dtype == np.uint16:  # the expectation lies between levels
        assert (done.image[changed] % 257 != 0).any()


def test_the_judge_that_comes_with_the_weights_decides(network, tmp_path, rng):
    """One that accepts repairs only of what is too bright."""
    coefficients = [100.0 if name == "change_signed" else 0.0 for name in NAMES]
    judge = Judge(Linear(np.array(coefficients, np.float32), 0.0), ((0.0, 0.0),))
    calibration = {"thresholds": [[50.0, 0.5, 0.6]], "judge": judge.table()}
    image = picture(rng, 150, 210)
    image[90:94, 100:103] = 0
    masks = []
    for values in (calibration, {"thresholds": calibration["thresholds"]}):
        path = tmp_path / "judged.safetensors"
        tensors = {n: t.numpy() for n, t in network.state_dict().items()}
        save_weights(path, tensors, WeightsHeader("segnet", asdict(SMALL), calibration=values))
        done = clean_array(image, CleanOptions(backend="segnet", grain="none"), engine=engine(path))
        masks.append(done.mask > 0)
    judged, all_of_them = masks
    assert all_of_them[91, 101]
    assert not judged[91, 101]
    assert judged[31, 41]
    assert not (judged & ~all_of_them).any()


def test_polarity_leaves_the_other_kind_alone(weights, rng):
    image = picture(rng, 150, 210)
    image[90:94, 100:103] = 0

    def marked(polarity):
        options = CleanOptions(backend="segnet", grain="none", polarity=polarity)
        return clean_array(image, options, engine=engine(weights)).mask > 0

    bright, dark, both = (marked(polarity) for polarity in ("bright", "dark", "both"))
    assert np.array_equal(bright | dark, both)
    assert (bright.sum(), dark.sum()) != (both.sum(), both.sum())


def test_a_table_that_never_finds_leaves_the_scan_alone(network, tmp_path, rng):
    path = tmp_path / "never.safetensors"
    header = WeightsHeader(
        "segnet", asdict(SMALL), calibration={"thresholds": [[50.0, NEVER, NEVER]]}
    )
    save_weights(path, {n: t.numpy() for n, t in network.state_dict().items()}, header)
    image = picture(rng, 150, 210)
    done = clean_array(image, CleanOptions(backend="segnet"), engine=engine(path))
    assert not done.mask.any()
    assert np.array_equal(done.image, image)


def test_full_gives_every_pixel_its_most_likely_level(weights, rng, tmp_path):
    image = picture(rng, 100, 170, dtype=np.uint8)[..., 0]
    Image.fromarray(image).save(tmp_path / "scan.png")
    exclude = np.zeros_like(image)
    exclude[40:60, 40:60] = 255
    Image.fromarray(exclude).save(tmp_path / "exclude.png")
    options = CleanOptions(
        backend="segnet", options={"segnet": {"weights": str(weights), "output": "full"}}
    )
    receipt = clean_file(tmp_path / "scan.png", tmp_path / "out.png", Request(options))
    out = np.asarray(Image.open(tmp_path / "out.png"))
    # What the backend shows the network: the picture, mirrored as far as the stride asks for.
    padded = np.pad(image, ((0, 28), (0, 22)), "reflect").astype(np.float32) / 255
    module = restorer(weights).module  # stored in half precision, so not quite `network`
    with torch.no_grad():
        modes = module(torch.from_numpy(padded)[None, None]).logits[0, :256].argmax(0).numpy()
    assert (out == modes[:100, :170]).mean() > 0.999
    assert len(np.unique(out)) > 3
    assert receipt.coverage == 1.0
    assert receipt.masked_pixels == image.size
    assert any("every pixel" in w for w in receipt.warnings)
    kept = clean_file(
        tmp_path / "scan.png",
        tmp_path / "kept.png",
        Request(options, output=OutputOptions(exclude=tmp_path / "exclude.png")),
    )
    result = np.asarray(Image.open(tmp_path / "kept.png"))
    assert np.array_equal(result[exclude > 0], image[exclude > 0])
    assert np.array_equal(result[exclude == 0], out[exclude == 0])
    assert kept.masked_pixels == image.size - 400
    with pytest.raises(UsageError, match="inpainter"):
        request = Request(replace(options, inpainter="telea"))
        clean_file(tmp_path / "scan.png", tmp_path / "no.png", request)


def test_calibration_never_chooses_what_is_worse_than_nothing():
    sweep = {
        "0.2/0.5": {"sse_ratio": 1.4, "false_per_mp": 20.0},
        "0.3/0.8": {"sse_ratio": 0.9, "false_per_mp": 4.0},
        "0.5/0.9": {"sse_ratio": 0.95, "false_per_mp": 2.0},
    }
    table = anchors(sweep, ((0, 1.0), (50, 5.0), (100, 25.0)))
    assert table == [[0.0, NEVER, NEVER], [50.0, 0.3, 0.8], [100.0, 0.3, 0.8]]
    low, high = thresholds(table, 25)
    assert (low, high) == pytest.approx((0.65, 0.9))
    assert thresholds(table, 120) == pytest.approx((0.3, 0.8))


def test_broken_weights_are_one_clear_error(weights, tmp_path, network):
    cut = tmp_path / "cut"
    cut.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(BackendError, match=str(cut)):
        restorer(cut)
    with pytest.raises(BackendError, match="missing"):
        restorer(tmp_path / "missing")
    tensors = {n: t.numpy() for n, t in network.state_dict().items()}
    odd = tmp_path / "odd"
    good = {"thresholds": TABLE}
    for config, calibration in (
        ({"width": 0.3}, good),
        ({"depth": 3}, good),
        ({"width": "wide"}, good),
        ({"width": 7}, good),
        (asdict(SMALL), {"thresholds": [[1, 2]]}),
        (asdict(SMALL), {"thresholds": TABLE[::-1]}),
    ):
        save_weights(odd, tensors, WeightsHeader("segnet", config, calibration=calibration))
        with pytest.raises(BackendError, match=str(odd)):
            restorer(odd)
    save_weights(odd, tensors, WeightsHeader("unet", asdict(SMALL)))
    with pytest.raises(BackendError, match="'unet', not of 'segnet'"):
        restorer(odd)


def test_wrong_options_are_usage_errors(tmp_path, capsys):
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "a.png")
    for option in ("segnet:output=half", "segnet:precision=half", "segnet:window=3"):
        command = ["clean", str(tmp_path / "a.png"), "--backend", "segnet", "--option", option]
        assert main([*command, "-o", str(tmp_path / "o.png")]) == 2, option
        assert capsys.readouterr().err.startswith("error: ")

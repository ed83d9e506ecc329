import numpy as np
import pytest
import torch

from darkroom.damage.difference import LEVELS
from darkroom.training.trainable import DAMAGED
from darkroom.training.validate import Tally, merit, restored, tally, validate


def total(pictures, results):
    sums = Tally()
    for picture, result in zip(pictures, results, strict=True):
        sums.add(tally(picture, result))
    return sums.figures()


def test_doing_nothing_scores_one_and_harms_nothing(pictures):
    figures = total(pictures, [p.scan for p in pictures])
    assert figures == {
        "sse_ratio": 1.0, "harm": 0.0, "touched": 0.0, "visible": 0.0, "false_per_mp": 0.0,
    }  # fmt: skip


def test_the_truth_under_the_mask_heals_everything(pictures):
    results = [np.where(p.state == DAMAGED, p.truth, p.scan) for p in pictures]
    figures = total(pictures, results)
    assert figures["sse_ratio"] < 0.01
    assert figures["visible"] == 1
    assert figures["harm"] == 0


def test_a_false_repair_is_counted_and_costs(pictures):
    picture = pictures[0]
    far = np.argwhere(picture.state[8:-8, 8:-8] == 0)
    for y, x in far + 8:
        if (picture.state[y - 7 : y + 8, x - 7 : x + 8] == 0).all():
            break
    result = picture.scan.copy()
    result[y - 1 : y + 2, x - 1 : x + 2] += 30
    figures = total([picture], [result])
    assert figures["false_per_mp"] == pytest.approx(1e6 / picture.scan.size)
    assert figures["harm"] > 0
    assert figures["touched"] > 0
    assert figures["sse_ratio"] > 1


def test_figures_are_those_of_the_public_script(pictures, shared):
    import importlib.util

    spec = importlib.util.spec_from_file_location("score", shared / "score.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    rng = np.random.default_rng(2)
    results = [
        np.clip(p.scan + rng.normal(0, 3, p.scan.shape) * (p.scan > 150), 0, 255) for p in pictures
    ]
    rows = [
        script.score(p.scan, p.truth, r.astype(np.float32))
        for p, r in zip(pictures, results, strict=True)
    ]
    theirs, ours = script.summary(rows), total(pictures, results)
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], rel=1e-4), name


def test_whole_pictures_of_any_size_are_restored(tiny, pictures):
    from dataclasses import replace

    picture = pictures[0]
    odd = replace(picture, scan=picture.scan[:77, :91])
    score, fill = restored(tiny(), tiny().module, odd, torch.device("cpu"))
    assert score.shape == fill.shape == (77, 91)
    assert 0 <= fill.min() <= fill.max() <= 1


def test_validation_ranks_an_oracle_above_a_blind_network(tiny, pictures):
    trainable = tiny()
    truths = iter([p for p in pictures for _ in range(1)])

    class Oracle(torch.nn.Module):
        def forward(self, x):
            p = next(truths)
            score = torch.from_numpy((p.state == DAMAGED).astype(np.float32))[None, None]
            return score, torch.from_numpy(p.truth / LEVELS)[None, None]

    trainable.restoration = lambda output: output
    oracle = validate(trainable, Oracle(), pictures, torch.device("cpu"), [(0.5, 0.5)])["0.5/0.5"]
    blind = validate(tiny(), tiny().module, pictures, torch.device("cpu"), [(0.9, 0.9)])["0.9/0.9"]
    assert oracle["visible"] == 1
    assert blind["sse_ratio"] == 1
    assert merit(oracle) < merit(blind)


def test_false_alarms_beyond_what_is_allowed_cost_merit():
    figures = {"sse_ratio": 0.7, "false_per_mp": 5.0}
    assert merit(figures) == 0.7
    assert merit(figures | {"false_per_mp": 10.0}) > 0.7

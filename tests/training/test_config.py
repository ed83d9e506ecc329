import itertools
from pathlib import Path

import pytest

from darkroom.errors import InputError, UsageError
from darkroom.training.config import TrainConfig, make_config, read_recipe


def test_rate_rises_then_falls_to_a_hundredth():
    config = TrainConfig(steps=1000, warmup=10, rate=1.0)
    rates = [config.rate_at(step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.1)
    assert rates.index(max(rates)) in (9, 10)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[1000] == pytest.approx(0.01)
    assert TrainConfig(schedule="constant", rate=1.0, warmup=1).rate_at(19_999) == 1.0


@pytest.mark.parametrize(
    "values",
    [{"steps": 0}, {"clean": 1.5}, {"ema": 1.0}, {"schedule": "linear"}, {"amp": "fp16"},
     {"stepz": 3}, {"steps": "many"}, {"steps": True}, {"steps": 2.5}, {"epochs": -1},
     {"beta2": 1.0}],
)  # fmt: skip
def test_nonsense_is_refused(values):
    with pytest.raises(UsageError):
        make_config(values)


def test_whole_numbers_do_for_fractions():
    assert make_config({"clip": 1}).clip == 1.0


def test_recipes_are_read_strictly(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('arch = "unet"\n[network]\nwidths = [8, 8, 8]\n[train]\nsteps = 5\n')
    recipe = read_recipe(path)
    assert (recipe.architecture, recipe.train, recipe.network["widths"]) == (
        "unet", {"steps": 5}, [8, 8, 8],
    )  # fmt: skip
    for text in ("steps = 5", "[train]\nstep = 5", "not toml"):
        path.write_text(text)
        with pytest.raises(UsageError):
            read_recipe(path)
    with pytest.raises(InputError):
        read_recipe(tmp_path / "none.toml")


def test_the_papers_recipe_is_the_papers():
    root = Path(__file__).resolve().parent.parent.parent
    recipe = read_recipe(root / "presets" / "train-segnet-paper.toml")
    config = make_config(recipe.train)
    assert recipe.network["width"] == 1.0
    assert (config.epochs, config.crop, config.rate) == (100, 256, 1e-4)
    assert config.schedule == "constant"
    assert config.rate_at(0) == config.rate_at(10_000) == 1e-4
    assert (config.decay, config.beta2, config.ema) == (0.0, 0.999, 0.0)  # Adam, as it was
    assert not config.turns
    plain = ("damaged", "hard", "clean", "transplants", "negative", "tone", "noise")
    assert all(getattr(config, name) == 0 for name in plain)
    # 1,653 patches, two thirds of the whole.
    assert config.over(1653).steps == 20_663

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkroom.damage.fit import (
    LINES,
    Outline,
    core_sizes,
    outline_margin,
    read_frame,
    to_toml,
)
from darkroom.damage.model import VISIBLE, DamageModel, apply, render
from darkroom.damage.render import extent, shape
from darkroom.errors import InputError, UsageError
from darkroom.geometry import Window

SHARED = Path(os.environ.get("DARKROOM_SHARED", Path(__file__).parents[3] / "shared"))
DPI = 3500.0


def grey(height: int = 300, width: int = 400, channels: int = 3) -> np.ndarray:
    return np.full((height, width, channels), 0.4, np.float32)


def test_the_same_seed_gives_the_same_damage_and_another_does_not() -> None:
    model = DamageModel.load()
    assert model.sample(2000, 2000, DPI, 5) == model.sample(2000, 2000, DPI, 5)
    assert model.sample(2000, 2000, DPI, 5) != model.sample(2000, 2000, DPI, 6)


@pytest.mark.parametrize("preset,factor", [("light", 0.3), ("measured", 1.0), ("heavy", 3.0)])
def test_density_is_the_fitted_one(preset: str, factor: float) -> None:
    model = DamageModel.load(preset)
    side = 12000
    cm2 = (side * 2.54 / DPI) ** 2
    found = model.sample(side, side, DPI, 1)
    for kind, numbers in model.table["kinds"].items():
        expected = numbers["per_cm2"] * factor * cm2
        count = sum(a.kind == kind for a in found)
        assert abs(count - expected) < 5 * math.sqrt(expected) + 1, kind


def test_sizes_follow_the_fitted_quantiles() -> None:
    model = DamageModel.load("heavy")
    found = model.sample(12000, 12000, DPI, 2)
    for kind in ("speck", "dirt", "short_hair", "long_hair", "scratch"):
        numbers = model.table["kinds"][kind]
        members = [a for a in found if a.kind == kind]
        um = 25400 / DPI
        sizes = [
            (a.length if kind in LINES else math.sqrt(a.length * a.width)) * um for a in members
        ]
        target = numbers["length" if kind in LINES else "diameter"]
        share_below = (np.asarray(sizes)[:, None] <= np.asarray(target)[2:-2]).mean(axis=0)
        wanted = np.asarray(model.table["probabilities"])[2:-2]
        assert np.abs(share_below - wanted).max() < 1.7 / math.sqrt(len(members)), kind


def test_rendered_area_is_that_of_the_size_asked_for() -> None:
    model = DamageModel.load()
    ratios = []
    for artefact in model.sample(6000, 6000, 8000, 3):
        if artefact.kind != "dirt" or artefact.width < 8:
            continue
        box = extent(artefact)
        alpha = shape(artefact, box)
        area = (alpha > alpha.max() * 0.4).sum()
        ratios.append(area / (math.pi / 4 * artefact.length * artefact.width))
    assert len(ratios) > 30
    assert 0.8 < float(np.median(ratios)) < 1.3


def test_a_window_holds_the_pixels_of_the_whole_frame() -> None:
    artefacts = DamageModel.load("heavy").sample(400, 300, DPI, 4)
    whole, mask = apply(grey(), artefacts)
    window = Window(90, 50, 200, 130)
    part, part_mask = apply(grey(130, 200), artefacts, window)
    assert mask.any()
    assert np.array_equal(part, whole[window.slices])
    assert np.array_equal(part_mask, mask[window.slices])


def test_nothing_changes_where_no_artefact_lies_and_the_mask_says_where() -> None:
    artefacts = DamageModel.load("heavy").sample(400, 300, DPI, 4)
    image = np.random.default_rng(1).random((300, 400, 3), np.float32)
    damaged, mask = apply(image, artefacts)
    alpha, _ = render(artefacts, Window(0, 0, 400, 300))
    assert np.array_equal(damaged[alpha == 0], image[alpha == 0])
    assert np.array_equal(mask > 0, np.abs(damaged - image).max(axis=2) > np.float32(VISIBLE))
    assert damaged.min() >= 0 and damaged.max() <= 1


@pytest.mark.parametrize("polarity,sign", [("bright", 1), ("dark", -1)])
def test_polarity(polarity: str, sign: int) -> None:
    model = DamageModel.load("heavy", polarity=polarity)  # type: ignore[arg-type]
    image = grey(400, 400, 1)
    damaged, mask = apply(image, model.sample(400, 400, 3000, 7))
    assert (np.sign(damaged - image)[mask > 0] == sign).mean() > 0.98


def test_a_hair_is_as_straight_as_asked() -> None:
    from darkroom.damage.render import centreline

    base = next(a for a in DamageModel.load().sample(6000, 6000, DPI, 1) if a.kind == "long_hair")
    for wanted in (0.5, 0.8, 1.0):
        line = centreline(replace(base, straightness=wanted, length=300.0))
        chord = float(np.hypot(*(line[-1] - line[0])))
        assert chord / 300 == pytest.approx(wanted, abs=0.02)


def test_clusters_crowd_artefacts_together() -> None:
    model = DamageModel.load()
    loose = replace(
        model, table={**model.table, "clusters": {**model.table["clusters"], "share": 0.0}}
    )

    def dispersion(m: DamageModel) -> float:
        at = np.array([(a.x, a.y) for a in m.sample(9000, 9000, DPI, 3)])
        counts = np.histogram2d(at[:, 0], at[:, 1], bins=24)[0]
        return float(counts.var() / counts.mean())

    assert dispersion(model) > 2 > 1.5 > dispersion(loose)


def test_unknown_presets_and_empty_film_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no damage preset"):
        DamageModel.load("medium")
    with pytest.raises(UsageError, match="no film"):
        DamageModel.load().sample(100, 100, 0, 1)
    (tmp_path / "x.toml").write_text("a = 1")
    with pytest.raises(InputError, match="not a damage model"):
        DamageModel.load(path=tmp_path / "x.toml")


def test_toml_round_trip() -> None:
    import tomllib

    table = {"version": 1, "kinds": {"speck": {"diameter": [1.0, 2.5]}}}
    assert tomllib.loads(to_toml(table)) == table


@pytest.mark.skipif(not (SHARED / "dustyscans").exists(), reason="the outlines are absent")
def test_generated_sizes_and_density_match_the_real_frames() -> None:
    frames = [read_frame(p) for p in sorted((SHARED / "dustyscans").glob("*.json"))]
    margin, hair = outline_margin(frames)
    assert 2 < margin < 7 and 10 < hair < 40
    real = core_sizes(frames, margin)
    found = DamageModel.load("heavy").sample(10000, 10000, DPI, 8)
    um = 25400 / DPI
    for kind, table in real.items():
        made = [a for a in found if a.kind == kind]
        sizes = [(a.length if kind in LINES else math.sqrt(a.length * a.width)) * um for a in made]
        wanted = table["length" if kind in LINES else "diameter"]
        grid = np.sort(np.concatenate([sizes, wanted]))
        gap = np.abs(
            np.searchsorted(np.sort(sizes), grid, "right") / len(sizes)
            - np.searchsorted(np.sort(wanted), grid, "right") / len(wanted)
        ).max()
        # Kolmogorov-Smirnov at 0.1 %, plus what shipping only some quantiles may cost.
        limit = 1.95 * math.sqrt(1 / len(sizes) + 1 / len(wanted)) + 0.03
        assert gap < limit, (kind, gap)
        rate = np.mean([sum(o.kind == kind for o in f.outlines) / f.cm2 for f in frames])
        area = (10000 * 2.54 / DPI) ** 2
        assert len(made) / area / 3 == pytest.approx(rate, rel=0.35), kind
    assert all(isinstance(o, Outline) for o in frames[0].outlines)

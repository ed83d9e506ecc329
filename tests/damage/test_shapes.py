import numpy as np
import pytest

from darkroom.damage.shapes import draw_artefact, draw_highlight, lit


@pytest.mark.parametrize("draw", [draw_artefact, draw_highlight])
def test_drawn_shapes_are_opacities(draw, rng):
    for _ in range(40):
        opacity = draw(rng)
        assert opacity.dtype == np.float32
        assert 0 < opacity.max() <= 1
        assert opacity.min() >= 0


def test_highlights_end_within_their_window(rng):
    for _ in range(40):
        opacity = draw_highlight(rng)
        rim = np.concatenate((opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]))
        assert rim.max() < 0.05 * opacity.max()


def test_a_highlight_keeps_the_grain_and_darkens_nothing(rng):
    grain = (100 + 5 * rng.standard_normal((60, 60))).astype(np.float32)
    opacity = np.full(grain.shape, 0.5, np.float32)
    bright = lit(grain, opacity, 200.0)
    assert bright.mean() == pytest.approx(150, abs=1)
    assert bright.std() == pytest.approx(grain.std(), rel=0.1)
    np.testing.assert_array_equal(lit(grain, opacity, 20.0), grain)


def test_drawn_artefacts_grow_with_their_size():
    def covered(size):
        drawn = (draw_artefact(np.random.default_rng(i), size) for i in range(40))
        return np.mean([(opacity > 0.05).sum() for opacity in drawn])

    assert covered(3.0) > 2 * covered(1.0)

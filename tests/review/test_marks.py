"""The mask follows from the marks and the decisions alone, and its parts are those of the mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.geometry import Window
from darkroom.io.scratch import Scratch
from darkroom.mask import components
from darkroom.review.marks import Edit, LiveMask, State, outline, stroke

SIZE = (90, 700)  # columns, rows: several bands


@pytest.fixture
def spools():
    scratch = Scratch()
    made = [scratch.spool(*SIZE, 1, np.uint8) for _ in range(2)]
    yield made
    for spool in made:
        spool.close()


def filled(spools, picture):
    spools[0].write(Window(0, 0, *SIZE), picture)
    return LiveMask(*spools)


def expected(found, mask, state):
    out = found.copy()
    for name in state.vetoed:
        shape = mask.shape(mask.mark(name))
        out[shape.window.slices][shape.pixels] = 0
    for edit in state.edits:
        if not edit.vetoed:
            out[edit.shape.window.slices][edit.shape.pixels] = 255 if edit.adds else 0
    return out


def check(mask, found, state):
    now = mask.live.read(Window(0, 0, *SIZE))[..., 0]
    assert np.array_equal(now, expected(found, mask, state))
    key = lambda part: (part.anchor[1], part.anchor[0])  # noqa: E731
    assert mask.parts == sorted(components([(0, now)], SIZE[0]), key=key)


@given(seed=st.integers(0, 10_000), deeds=st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_any_way_of_deciding(seed, deeds):
    rng = np.random.default_rng(seed)
    found = np.zeros(SIZE[::-1], np.uint8)
    for _ in range(25):
        x, y = rng.integers(0, SIZE[0] - 9), rng.integers(0, SIZE[1] - 60)
        found[y : y + rng.integers(1, 60), x : x + rng.integers(1, 9)] = 255
    scratch = Scratch()
    with scratch.spool(*SIZE, 1, np.uint8) as a, scratch.spool(*SIZE, 1, np.uint8) as b:
        mask = filled((a, b), found)
        states = [State()]
        for i, deed in enumerate(deeds):
            state = states[-1]
            if deed < 2:
                names = [m.name for m in mask.marks if rng.random() < 0.3]
                names += [e.name for e in state.edits if e.adds and rng.random() < 0.5]
                after = state.with_veto(names, deed == 0)
            else:
                points = rng.random((rng.integers(1, 5), 2)) * SIZE
                shape = stroke(points, rng.random() * 9 + 0.5, *SIZE)
                assert shape is not None
                edit = Edit(f"e{i}", "paint" if deed == 2 else "erase", shape)
                after = state.with_edits([edit])
            mask.redraw(mask.changed(state, after), after)
            check(mask, found, after)
            states.append(after)
        # Undo, step by step, ends where it began.
        for after, before in zip(states[:0:-1], states[-2::-1], strict=True):
            mask.redraw(mask.changed(after, before), before)
            check(mask, found, before)


def test_brush_covers_the_disc_that_is_drawn():
    shape = stroke(np.array([[20.0, 30.0]]), 6.0, 100, 100)
    y, x = np.mgrid[0:100, 0:100] + 0.5
    far = np.hypot(x - 20, y - 30)
    drawn = np.zeros((100, 100), bool)
    drawn[shape.window.slices] = shape.pixels
    assert drawn[far < 5].all() and not drawn[far > 7.5].any()
    assert stroke(np.array([[-50.0, 4.0]]), 6.0, 100, 100) is None


def test_outline_goes_around_without_touching(spools):
    found = np.zeros(SIZE[::-1], np.uint8)
    found[100:104, 40:60] = 255
    mask = filled(spools, found)
    (line,) = outline(mask.shape(mask.marks[0]))
    assert line[:, 0].min() < 40 and line[:, 0].max() > 60
    assert line[:, 1].min() < 100 and line[:, 1].max() > 104


def test_other_sensitivity_leaves_decisions_alone(spools):
    found = np.zeros(SIZE[::-1], np.uint8)
    for y in (10, 50, 90):
        found[y : y + 5, 10:15] = 255
    mask = filled(spools, found)
    first, second, third = mask.marks
    state = State().with_veto([first.name], True)
    mask.redraw(mask.changed(State(), state), state)
    new = stroke(np.array([[60.0, 60.0]]), 3.0, *SIZE)
    seen = [(mask.shape(first), 0.9), (mask.shape(second), 0.9), (new, 0.7)]
    more, fewer = mask.against(seen, state)
    assert more == [(new, 0.7)]  # the vetoed one is not offered again
    assert fewer == [third]

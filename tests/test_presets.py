"""Presets: strict keys, guesses at what was meant, who wins."""

import pytest

from darkroom.errors import InputError, UsageError
from darkroom.options import CleanOptions, Length
from darkroom.presets import available, find, merge, parse

SHIPPED = {"black-and-white", "camera-scan", "colour-negative", "colour-slide", "heavy-damage"}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path))
    (tmp_path / "presets").mkdir()
    return tmp_path / "presets"


def test_the_shipped_presets_are_valid_and_titled():
    found = {preset.name: preset for preset in available()}
    assert set(found) >= SHIPPED
    for name in SHIPPED:
        assert found[name].title and found[name].values
        assert found[name].origin == "built in"


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        ("sensitivty = 3", "unknown key 'sensitivty'", "Did you mean 'sensitivity'?"),
        ("wholly_unknown = 3", "unknown key 'wholly_unknown'", "presets show"),
        ("sensitivity = 'high'", "sensitivity must be", None),
        ("sensitivity = true", "sensitivity must be", None),
        ("sensitivity = 101", "not between 0 and 100", None),
        ("polarity = 'up'", "polarity must be one of auto, bright, dark, both", None),
        ("grain = 'some'", "grain must be one of", None),
        ("min_size = 'big'", "not a length", "300um"),
        ("max_coverage = '200%'", "not a share", "2%"),
        ("seed = 1.5", "seed must be int", None),
        ("backend = 3", "backend must be str", None),
        ("options = 3", "options must be dict", None),
        ("sensitivity = ", "not valid TOML", None),
    ],
)
def test_faulty_presets_are_refused_with_their_origin(text, cause, hint):
    with pytest.raises(UsageError, match=cause) as caught:
        parse("mine", text, "mine.toml")
    if hint:
        assert hint in str(caught.value.hint)


def test_what_is_given_wins_over_the_preset_and_that_over_defaults(home):
    (home / "mine.toml").write_text(
        'sensitivity = 20\nmin_size = "300um"\nmax_coverage = "5%"\n'
        "[options.classical]\nbody = 4.0\npeak = 9.0\n"
    )
    options, preset = merge(
        "mine", sensitivity=60.0, seed=None, options=["classical:peak=8", "other:key=a=b"]
    )
    assert preset is not None and preset.name == "mine"
    assert options.sensitivity == 60 and options.seed == CleanOptions().seed
    assert options.min_size == Length(300, "um") and options.max_coverage == 0.05
    assert options.options == {"classical": {"body": 4.0, "peak": "8"}, "other": {"key": "a=b"}}


def test_without_a_preset_the_defaults_stand():
    assert merge() == (CleanOptions(), None)


def test_ones_own_preset_hides_a_built_in_one_and_a_path_is_read(home, tmp_path):
    own = home / "colour-slide.toml"
    own.write_text("sensitivity = 1\n")
    assert find("colour-slide").values == {"sensitivity": 1}
    assert find("colour-slide").origin == str(own)
    assert find(str(own)).digest == find("colour-slide").digest
    with pytest.raises(InputError, match="no such file"):
        find(str(tmp_path / "nowhere.toml"))
    with pytest.raises(UsageError) as caught:
        find("color-slide")
    assert caught.value.hint == "Did you mean 'colour-slide'?"

"""Invariant I6: a broken plugin harms nobody who does not use it, and one can see what is wrong."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from darkroom.errors import BackendError, UsageError
from darkroom.plugins.manager import DISTRIBUTION, GROUP, Plugins, load_object, make_options
from darkroom.protocols import Cleaned

FIXTURES = Path(__file__).resolve().parent.parent / "plugins_fixture"
EVERYTHING = sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir())
BROKEN = {
    "import_error": "ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
    "exits": "SystemExit: 3",
    "raising_hook": "RuntimeError: no licence found",
    "wrong_signature": "registry",
    "unknown_hook": "unknown hook 'darkroom_backend'",
    "wrong_type": "TypeError: a hook must return a list of BackendSpec",
    "wrong_kind": "backend 'delphi' is of unknown kind 'oracle'",
}


@pytest.fixture
def load(monkeypatch):
    """Plugins of darkroom itself and of the named fixtures, as if these were installed."""

    def load_(*names):
        paths = [str(FIXTURES / name) for name in names]
        for path in paths:
            monkeypatch.syspath_prepend(path)
        entries = list(importlib.metadata.entry_points(group=GROUP))
        own = [entry for entry in entries if entry.dist.name == DISTRIBUTION]
        for dist in importlib.metadata.distributions(path=paths):
            own += dist.entry_points.select(group=GROUP)
        return Plugins(own)

    yield load_
    for name in [name for name in sys.modules if name.startswith("fixture_")]:
        del sys.modules[name]


def record(plugins, dist):
    (found,) = (r for r in plugins.records if r.dist == f"fixture-{dist.replace('_', '-')}")
    return found


def test_a_good_plugin_offers_what_it_announces(load):
    plugins = load("good")
    assert record(plugins, "good").state == "active"
    assert record(plugins, "good").offers == (
        "detector tophat",
        "inpainter ringmean",
        "restorer unbuilt",
        "presets fixture_good_presets",
        "hook darkroom_scan_cleaned",
    )
    assert plugins.version_of("tophat") == "1.0"


def test_listing_imports_no_backend(load):
    load("good").backend("tophat")
    assert "fixture_good" in sys.modules
    assert "fixture_good_backends" not in sys.modules


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_recorded_on_one_line(load, name):
    found = record(load(name), name)
    assert found.state == "failed"
    assert BROKEN[name] in found.error
    assert "\n" not in found.error


def test_all_broken_plugins_together_leave_the_good_ones_alone(load):
    alone, together = load("good"), load(*EVERYTHING)
    assert set(alone.backends) < set(together.backends)
    assert together.backends["tophat"] == alone.backends["tophat"]
    assert {name for name in together.backends if name not in alone.backends} == {"ghost"}
    assert len(together.records) == len(alone.records) + len(EVERYTHING) - 1


def test_a_taken_plugin_name_is_shown_and_the_first_stays(load):
    plugins = load("duplicate_name")
    assert record(plugins, "duplicate_name").state == "duplicate"
    assert "taken by darkroom" in record(plugins, "duplicate_name").error
    assert "usurper" not in plugins.backends


def test_a_taken_backend_name_drops_the_whole_second_plugin(load):
    plugins = load("good", "duplicate_backend")
    assert record(plugins, "duplicate_backend").state == "failed"
    assert plugins.backends["tophat"].factory.startswith("fixture_good")
    assert "innocent" not in plugins.backends


def test_a_raising_hook_after_cleaning_is_a_complaint_and_others_are_called(
    load, tmp_path, monkeypatch
):
    monkeypatch.setenv("FIXTURE_LOG", str(tmp_path / "log"))
    plugins = load("raising_cleaned", "good")
    complaints = plugins.scan_cleaned(Cleaned("a.tif", None, {"artefacts": 3}))
    assert complaints == ["plugin raising-cleaned: ValueError: cannot upload"]
    assert (tmp_path / "log").read_text() == '["a.tif", 3]\n'


def test_check_finds_announcements_that_do_not_import(load):
    problems = load("good", "missing_factory").check()
    assert ("backend ghost", "fixture_missing_factory:Ghost") in [
        (what, cause.split(" does")[0]) for what, cause in problems
    ]
    assert not any(what == "backend tophat" for what, _ in problems)


def test_an_unknown_backend_gets_a_suggestion(load):
    with pytest.raises(BackendError, match="no backend called 'topat'") as caught:
        load("good").backend("topat")
    assert caught.value.hint == "Did you mean 'tophat'?"


def test_a_backend_of_the_wrong_kind_or_without_its_modules_is_refused(load):
    plugins = load("good")
    with pytest.raises(BackendError, match="is of kind inpainter, not detector"):
        plugins.backend("ringmean", ("detector", "restorer"))
    with pytest.raises(BackendError, match="needs no_such_module"):
        plugins.backend("unbuilt")


def test_backend_options_are_checked_and_converted(load):
    spec = load("good").backend("tophat")
    assert make_options(spec, {"size": "21"}).size == 21
    with pytest.raises(UsageError, match="no option 'sise'") as caught:
        make_options(spec, {"sise": "21"})
    assert "size" in caught.value.hint
    with pytest.raises(UsageError, match="must be int"):
        make_options(spec, {"size": "wide"})


def test_what_does_not_import_is_a_backend_error():
    with pytest.raises(BackendError, match="does not import"):
        load_object("no_such_module:x")


def test_a_missing_backend_names_the_plugins_that_failed_to_load(load):
    with pytest.raises(BackendError, match=r"no backend called 'delphi'; this plugin failed"):
        load("import_error").backend("delphi")
    with pytest.raises(BackendError, match=r"no backend called 'delphi'$"):
        load("good").backend("delphi")


def test_the_same_plugin_installed_twice_is_one_plugin(monkeypatch):
    entries = list(importlib.metadata.entry_points(group=GROUP))
    assert [r.state for r in Plugins([*entries, *entries]).records] == ["active"] * len(
        {(e.name, e.value) for e in entries}
    )

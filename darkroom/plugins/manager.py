"""Discovery, isolation and bookkeeping of plugins.

pluggy gives no isolation: one raising hook loses every plugin's answer, one failing entry point
ends the load, and a duplicate name is skipped silently. So plugins are loaded and called one by
one here, and each outcome is kept as a `PluginRecord`.
"""

import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, get_args

import pluggy

from darkroom import errors
from darkroom.plugins import discovery, hookspecs
from darkroom.plugins.discovery import PluginRecord, known_of
from darkroom.plugins.isolation import PluginError, isolated, load
from darkroom.protocols import BackendSpec, Cleaned, Kind, ReaderSpec, TrainableSpec, WriterSpec

GROUP = "darkroom.plugins"
DISTRIBUTION = "darkroom-film"  # darkroom itself on the package index, where `darkroom` is taken


class Plugins:
    """The plugins found, and what they offer.

    Args:
        entry_points: what to load; all installed ones of the group by default.
    """

    def __init__(self, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> None:
        self.records: list[PluginRecord] = []
        if entry_points is None:
            entry_points = self._installed()
        self._managers: list[tuple[PluginRecord, pluggy.PluginManager]] = []
        self.backends: dict[str, BackendSpec] = {}
        self.trainables: dict[str, TrainableSpec] = {}
        self._versions: dict[str, str] = {}
        self.readers: list[ReaderSpec] = []
        self.writers: list[WriterSpec] = []
        self.preset_packages: list[str] = []
        taken: dict[str, PluginRecord] = {}
        seen: set[tuple[str, str]] = set()
        for entry in sorted(entry_points, key=_order):
            if (entry.name, entry.value) in seen:
                continue  # the same plugin, installed under a further name of its distribution
            seen.add((entry.name, entry.value))
            record = PluginRecord(entry.name, entry.value, *_dist(entry))
            self.records.append(record)
            if entry.name in taken:
                record.state = "duplicate"
                record.error = f"the name is taken by {taken[entry.name].dist}"
                continue
            taken[entry.name] = record
            self._load(entry, record)
        self.readers.sort(key=lambda spec: -spec.priority)
        self.writers.sort(key=lambda spec: -spec.priority)

    def _installed(self) -> list[importlib.metadata.EntryPoint]:
        """Those installed; a distribution that cannot be read becomes a record."""
        found = []
        for item in discovery.entry_points(GROUP):
            # Not `isinstance(item, EntryPoint)`: importlib_metadata, which Dask brings, takes over
            # discovery once it is imported and gives entry points of a class of its own.
            if not isinstance(item, tuple):
                found.append(item)
                continue
            name, version, error = item
            record = PluginRecord(name, "entry_points.txt", name, version)
            record.fail(f"its entry_points.txt is damaged: {type(error).__name__}: {error}")
            self.records.append(record)
        return found

    def _load(self, entry: importlib.metadata.EntryPoint, record: PluginRecord) -> None:
        """Import one plugin, check its hooks and take what it offers; record any failure."""
        manager = pluggy.PluginManager(hookspecs.NAMESPACE)
        manager.add_hookspecs(hookspecs)

        def announced() -> tuple[list[Any], ...]:
            manager.register(entry.load(), name=entry.name)
            manager.check_pending()
            hook = manager.hook
            return (
                _checked(hook.darkroom_backends(), BackendSpec),
                _checked(hook.darkroom_readers(), ReaderSpec),
                _checked(hook.darkroom_writers(), WriterSpec),
                _checked(hook.darkroom_presets(), str),
                _checked(hook.darkroom_trainables(), TrainableSpec),
            )

        try:
            backends, readers, writers, presets, trainables = load(announced)
        except PluginError as error:
            record.fail(str(error))
            return
        for spec in backends:
            if spec.kind not in get_args(Kind):
                record.fail(f"backend {spec.name!r} is of unknown kind {spec.kind!r}")
                return
            if spec.name in self.backends:
                record.fail(f"backend name {spec.name!r} is already taken")
                return
        for item in trainables:
            if item.name in self.trainables:
                record.fail(f"trainable name {item.name!r} is already taken")
                return
        self.backends |= {spec.name: spec for spec in backends}
        self._versions |= {spec.name: record.version for spec in backends}
        self.readers += readers
        self.writers += writers
        self.preset_packages += presets
        self.trainables |= {spec.name: spec for spec in trainables}
        self._managers.append((record, manager))
        record.offers = (
            *(f"{spec.kind} {spec.name}" for spec in backends),
            *(f"reader {spec.name}" for spec in readers),
            *(f"writer {spec.name}" for spec in writers),
            *(f"presets {name}" for name in presets),
            *(f"trainable {spec.name}" for spec in trainables),
            *(
                ["hook darkroom_scan_cleaned"]
                if _implements(manager, "darkroom_scan_cleaned")
                else []
            ),
        )

    def scan_cleaned(self, cleaned: Cleaned) -> list[str]:
        """Tell every plugin of a finished scan.

        Returns:
            One line for each plugin that raised; the scan's result stands all the same.
        """
        complaints = []
        for record, manager in self._managers:
            try:
                with isolated():
                    manager.hook.darkroom_scan_cleaned(cleaned=cleaned)
            except PluginError as error:
                complaints.append(f"plugin {record.name}: {error}")
        return complaints

    def check(self) -> list[tuple[str, str]]:
        """Import everything that active plugins announce.

        Returns:
            (what, cause) of each announcement that does not import or does not fit.
        """
        problems = []
        for name, spec in self.backends.items():
            if self.missing(spec):
                continue  # wants something optional that is not installed: no fault of the plugin
            for dotted in filter(None, (spec.factory, spec.options)):
                problems += _try_import(f"backend {name}", dotted)
        for name, network in self.trainables.items():
            for dotted in filter(None, (network.factory, network.options)):
                problems += _try_import(f"trainable {name}", dotted)
        for kind, specs in (("reader", self.readers), ("writer", self.writers)):
            for item in specs:
                problems += _try_import(f"{kind} {item.name}", item.opener)
        return problems

    def version_of(self, backend: str) -> str:
        """The version of the distribution that a backend came from."""
        return self._versions[backend]

    def missing(self, spec: BackendSpec) -> list[str]:
        """Modules that a backend needs and this environment lacks; found without importing."""
        return [module for module in spec.requires if not _findable(module)]

    def backend(self, name: str, kinds: Sequence[str] = ()) -> BackendSpec:
        """The backend called `name`.

        Args:
            name: as the user typed it.
            kinds: the kinds that will do; any if empty.

        Raises:
            BackendError: no such backend, of another kind, or modules it needs are missing.
        """
        known = [s.name for s in self.backends.values() if not kinds or s.kind in kinds]
        spec = self.backends.get(name)
        if spec is None:
            raise errors.BackendError(
                f"no backend called {name!r}{self._failures()}",
                hint=did_you_mean(name, known, "darkroom backends"),
            )
        if kinds and spec.kind not in kinds:
            raise errors.BackendError(
                f"backend {name!r} is of kind {spec.kind}, not {' or '.join(kinds)}",
                hint=f"Known: {', '.join(sorted(known)) or 'none'}.",
            )
        missing = self.missing(spec)
        if missing:
            raise errors.BackendError(
                f"backend {name!r} needs {', '.join(missing)}, which is not installed",
                hint=f"pip install {' '.join(missing)}",
            )
        return spec

    def _failures(self) -> str:
        """Which plugins failed to load, to be said where something is missing."""
        failed = [f"{r.name} ({r.error})" for r in self.records if r.state == "failed"]
        if not failed:
            return ""
        noun = "this plugin" if len(failed) == 1 else "these plugins"
        return f"; {noun} failed to load: {', '.join(failed)}"

    def trainable(self, name: str) -> TrainableSpec:
        """The trainable network called `name`.

        Raises:
            BackendError: there is none.
        """
        spec = self.trainables.get(name)
        if spec is None:
            known = list(self.trainables)
            raise errors.BackendError(
                f"no network called {name!r} to train",
                hint=did_you_mean(name, known, "darkroom plugins"),
            )
        return spec


@functools.cache
def installed() -> Plugins:
    """The plugins of this environment, found once a process."""
    return Plugins()


def load_object(dotted: str) -> Any:
    """What "package.module:attribute" names.

    Raises:
        BackendError: it does not import.
    """
    module, _, attribute = dotted.partition(":")
    try:
        return load(lambda: getattr(importlib.import_module(module), attribute))
    except PluginError as error:
        if isinstance(error.__cause__, errors.DarkroomError):
            raise error.__cause__ from None
        raise errors.BackendError(
            f"{dotted} does not import: {error}", hint="Run `darkroom plugins check`."
        ) from error


def make_options(spec: BackendSpec | TrainableSpec, given: dict[str, Any]) -> Any:
    """The backend's options with `given` in place of defaults; None if it has none.

    Values given as text are converted to the type of the default.

    Raises:
        UsageError: an unknown option or a value of the wrong type.
    """
    if spec.options is None:
        if given:
            raise errors.UsageError(f"backend {spec.name!r} has no options: {', '.join(given)}")
        return None
    kind = load_object(spec.options)
    try:
        defaults = {f.name: getattr(kind(), f.name) for f in fields(kind)}
    except TypeError as error:
        raise errors.BackendError(
            f"{spec.options} is no dataclass of options with defaults: {error}",
            hint="This is a fault of the plugin.",
        ) from error
    values = {}
    for key, value in given.items():
        if key not in defaults:
            raise errors.UsageError(
                f"backend {spec.name!r} has no option {key!r}",
                hint=did_you_mean(key, list(defaults), "darkroom backends -v"),
            )
        values[key] = _convert(value, defaults[key], f"{spec.name}:{key}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise errors.UsageError(f"backend {spec.name!r}: {error}") from error


def did_you_mean(name: str, known: Sequence[str], listing: str) -> str:
    """A hint that names the nearest known name, or how to list them all."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"`{listing}` lists what there is."


def _convert(value: Any, default: Any, what: str) -> Any:
    if not isinstance(value, str) or isinstance(default, str) or default is None:
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}[
                value.lower()
            ]
        return type(default)(value)
    except (KeyError, ValueError) as error:
        raise errors.UsageError(
            f"{what} must be {type(default).__name__}, not {value!r}"
        ) from error


def _checked(answers: list[Any], kind: type) -> list[Any]:
    """The one plugin's answer, or nothing; TypeError where it is not a list of `kind`."""
    answer = answers[0] if answers else []
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise TypeError(f"a hook must return a list of {kind.__name__}, not {answer!r}")
    for item in answer:
        if not isinstance(item, kind):
            raise TypeError(f"a hook must return a list of {kind.__name__}, but holds {item!r}")
    return list(answer)


def _order(entry: importlib.metadata.EntryPoint) -> tuple[bool, str, str]:
    """Our own first, so that a stranger cannot take a built-in name by sorting before it."""
    return _dist(entry)[0] != DISTRIBUTION, entry.name, entry.value


def _dist(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    return known_of(entry.dist) if entry.dist else ("unknown", "0")


def _implements(manager: pluggy.PluginManager, hook: str) -> bool:
    return bool(getattr(manager.hook, hook).get_hookimpls())


def _findable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _try_import(what: str, dotted: str) -> list[tuple[str, str]]:
    try:
        target = load_object(dotted)
    except errors.BackendError as error:
        return [(what, str(error))]
    return [] if callable(target) else [(what, f"{dotted} is not callable")]

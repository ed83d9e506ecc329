"""Presets: TOML files that set options of `darkroom clean` for a kind of film.

A preset is found by path, else by name: in the user's folder, then in the packages that plugins
announce, then among those that ship. Keys are strict. What the command line says wins.
"""

import hashlib
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from darkroom.config import user_folder
from darkroom.errors import DarkroomWarning, InputError, UsageError, about
from darkroom.options import INFRARED, IR_OFF, CleanOptions, Length, parse_share
from darkroom.plugins.manager import did_you_mean
from darkroom.values import parse_toml, read_text, typed

BUILT_IN = "darkroom._presets"
ABOUT = ("title", "description")
_PARSERS = {"min_size": Length.parse, "max_size": Length.parse, "max_coverage": parse_share}


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset as read.

    Attributes:
        name: file name without suffix.
        origin: where it was found, for people.
        text: the file's text.
        title: one line on what it is for.
        values: options it sets, by the names of `CleanOptions`.
    """

    name: str
    origin: str
    text: str
    title: str
    values: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def parse(name: str, text: str, origin: str) -> Preset:
    """Check a preset's text.

    Raises:
        UsageError: not TOML, an unknown key, or a value of the wrong type.
    """
    table = parse_toml(text, origin, UsageError)
    known = {f.name: f for f in fields(CleanOptions)}
    values = {}
    for key, value in table.items():
        if key in ABOUT:
            continue
        if key not in known:
            raise UsageError(
                f"{origin}: unknown key {key!r}",
                hint=did_you_mean(key, list(known), "darkroom presets show NAME"),
            )
        with about(f"{origin}: {key}"):
            values[key] = _PARSERS.get(key, lambda v: v)(value)
    with about(origin):
        check_values(values, origin)
    return Preset(name, origin, text, str(table.get("title", "")), values)


def check_values(values: dict[str, Any], origin: str) -> None:
    """Refuse values that `CleanOptions` cannot take.

    Raises:
        UsageError: a value of the wrong type or range.
    """
    kinds: dict[str, tuple[type, ...]] = {
        "backend": (str,),
        "inpainter": (str,),
        "ir": (str,),
        "reference": (str,),
        "sensitivity": (int, float),
        "seed": (int,),
        "options": (dict,),
    }
    choices = {
        "polarity": ("auto", "bright", "dark", "both"),
        "grain": ("match", "none"),
        "scratches": ("auto", "on", "off"),
    }
    for key, value in values.items():
        if key in choices and value not in choices[key]:
            raise UsageError(f"{origin}: {key} must be one of {', '.join(choices[key])}")
        if key in kinds and (not isinstance(value, kinds[key]) or isinstance(value, bool)):
            raise UsageError(f"{origin}: {key} must be {kinds[key][-1].__name__}, not {value!r}")
    if "options" in values:
        typed(dict[str, dict[str, Any]], values["options"], f"{origin}: options", UsageError)
    CleanOptions(**values)


def find(name_or_path: str, packages: Sequence[str] = ()) -> Preset:
    """The preset of that name, or in that file.

    Args:
        name_or_path: a path ending in `.toml`, or a name.
        packages: packages of plugins that hold presets.

    Raises:
        InputError: a path that cannot be read.
        UsageError: no such preset, or a faulty one.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        return parse(path.stem, read_text(path), str(path))
    everything = {name: (read, origin) for name, read, origin in _files(packages)}
    if name_or_path not in everything:
        raise UsageError(
            f"no preset called {name_or_path!r}",
            hint=did_you_mean(name_or_path, list(everything), "darkroom presets list"),
        )
    read, origin = everything[name_or_path]
    return parse(name_or_path, read(), origin)


def merge(
    name_or_path: str | None = None,
    packages: Sequence[str] = (),
    *,
    options: Sequence[str] | None = None,
    **given: Any,
) -> tuple[CleanOptions, Preset | None]:
    """The options of a run: what is given wins over the preset, and that over the defaults.

    Args:
        name_or_path: a preset as for `find`, or None.
        packages: packages of plugins that hold presets.
        options: options of single backends as "backend:key=value".
        given: options by the names of `CleanOptions`, as users write them; None is not given.

    Raises:
        InputError: a preset's path that cannot be read.
        UsageError: no such preset, or a value that is not valid.
    """
    preset = find(name_or_path, packages) if name_or_path is not None else None
    values: dict[str, Any] = dict(preset.values) if preset else {}
    for key, value in given.items():
        if value is not None:
            plain = value.value if isinstance(value, StrEnum) else value
            values[key] = _PARSERS.get(key, lambda v: v)(plain)
    if given.get("backend") not in (None, INFRARED) and "ir" not in values:
        values["ir"] = IR_OFF  # who names a backend for the picture gets it
    if options:
        values["options"] = _backend_options(options, values.get("options", {}))
    check_values(values, "the command line")
    return CleanOptions(**values), preset


def _backend_options(
    given: Sequence[str], preset: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The preset's options of backends, with those given in their place."""
    merged = {backend: dict(values) for backend, values in preset.items()}
    for text in given:
        match = re.fullmatch(r"([^:=]+):([^:=]+)=(.*)", text, re.DOTALL)
        if match is None:
            raise UsageError(
                f"--option {text!r} is not of the form BACKEND:KEY=VALUE",
                hint="`darkroom backends -v` lists the options.",
            )
        merged.setdefault(match[1], {})[match[2]] = match[3]
    return merged


def available(packages: Sequence[str] = ()) -> list[Preset]:
    """All presets found by name, those that shadow others only.

    Raises:
        UsageError: one of them is faulty.
    """
    everything = {name: (read, origin) for name, read, origin in _files(packages)}
    return [parse(name, read(), origin) for name, (read, origin) in sorted(everything.items())]


def _packaged(item: Traversable, origin: str) -> str:
    try:
        return item.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{item.name} of {origin}: cannot be read: {error}") from error


def _files(packages: Sequence[str]) -> list[tuple[str, Callable[[], str], str]]:
    """(name, what gives its text, origin) of every preset; later ones shadow earlier ones."""
    found: list[tuple[str, Callable[[], str], str]] = []
    for package in (BUILT_IN, *packages):
        try:
            items = sorted(resources.files(package).iterdir(), key=lambda i: i.name)
        except Exception as error:  # of a plugin: it costs its own presets only
            text = f"presets of {package} cannot be read: {type(error).__name__}: {error}"
            warnings.warn(text, DarkroomWarning, stacklevel=2)
            continue
        for item in items:
            if item.name.endswith(".toml") and not item.name.startswith("train-"):
                origin = "built in" if package == BUILT_IN else package
                name = item.name.removesuffix(".toml")
                found.append((name, partial(_packaged, item, origin), origin))
    folder = user_folder() / "presets"
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
        found.append((path.stem, partial(read_text, path), str(path)))
    return found

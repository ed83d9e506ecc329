"""`darkroom backends`."""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from darkroom.cli import console
from darkroom.cli.options import TableAsJson, Verbose

if TYPE_CHECKING:
    from darkroom.protocols import BackendSpec


def backends(as_json: TableAsJson = False, verbose: Verbose = False) -> None:
    """List what can find and repair artefacts.

    A detector finds, an inpainter fills what it is told to, a restorer does both. With -v, their
    options too, to be set with `darkroom clean --option BACKEND:KEY=VALUE`.
    """
    from darkroom.plugins.manager import installed

    plugins = installed()
    specs = sorted(plugins.backends.values(), key=lambda spec: (spec.kind, spec.name))
    missing = {spec.name: plugins.missing(spec) for spec in specs}
    if as_json:
        for spec in specs:
            extra = {"missing": missing[spec.name], "version": plugins.version_of(spec.name)}
            console.record(asdict(spec) | extra | {"defaults": _options(spec)})
        return
    rows = []
    for spec in specs:
        lacking = missing[spec.name]
        state = f"needs {', '.join(lacking)}" if lacking else "ready"
        rows.append((spec.name, spec.kind, "/".join(spec.devices), state, spec.summary))
    console.table(("NAME", "KIND", "DEVICES", "STATE", "SUMMARY"), rows)
    if verbose:
        for spec in specs:
            for key, value in (_options(spec) if not missing[spec.name] else {}).items():
                console.say(f"  {spec.name}:{key}={value}")


def _options(spec: "BackendSpec") -> dict[str, Any]:
    """A backend's own options with their defaults."""
    from darkroom.plugins.manager import load_object

    if spec.options is None:
        return {}
    defaults = load_object(spec.options)()
    return {item.name: getattr(defaults, item.name) for item in fields(defaults)}

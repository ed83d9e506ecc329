"""A plugin with a backend of a kind that does not exist."""

from darkroom.plugins import BackendSpec, hookimpl


@hookimpl
def darkroom_backends():
    return [BackendSpec("oracle", "delphi", "fixture_wrong_kind:x", "Knows")]

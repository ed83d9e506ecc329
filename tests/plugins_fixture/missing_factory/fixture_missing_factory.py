"""A plugin that announces a backend which does not import."""

from darkroom.plugins import BackendSpec, hookimpl


@hookimpl
def darkroom_backends():
    return [BackendSpec("detector", "ghost", "fixture_missing_factory:Ghost", "Is not there")]

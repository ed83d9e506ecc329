"""A plugin under a name that darkroom itself uses."""

from darkroom.plugins import BackendSpec, hookimpl


@hookimpl
def darkroom_backends():
    return [BackendSpec("detector", "usurper", "fixture_duplicate_name:x", "Takes a name")]

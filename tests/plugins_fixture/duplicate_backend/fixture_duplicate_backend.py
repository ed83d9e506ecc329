"""A plugin whose backend has the name of another plugin's."""

from darkroom.plugins import BackendSpec, hookimpl


@hookimpl
def darkroom_backends():
    return [
        BackendSpec("detector", "innocent", "fixture_duplicate_backend:x", "Goes with it"),
        BackendSpec("detector", "tophat", "fixture_duplicate_backend:x", "Another top-hat"),
    ]

"""A plugin with a hook that does not exist."""

from darkroom.plugins import hookimpl


@hookimpl
def darkroom_backend():
    return []

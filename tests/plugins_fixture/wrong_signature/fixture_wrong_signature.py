"""A plugin whose hook asks for what darkroom does not give."""

from darkroom.plugins import hookimpl


@hookimpl
def darkroom_backends(registry):
    return []

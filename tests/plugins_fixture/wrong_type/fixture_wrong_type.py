"""A plugin whose hook returns names where descriptions are wanted."""

from darkroom.plugins import hookimpl


@hookimpl
def darkroom_backends():
    return ["my_backend:Factory"]

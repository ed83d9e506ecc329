"""A plugin whose hook raises."""

from darkroom.plugins import hookimpl


@hookimpl
def darkroom_backends():
    raise RuntimeError("no licence\nfound")

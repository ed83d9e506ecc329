"""A plugin that works until a scan is cleaned."""

from darkroom.plugins import hookimpl


@hookimpl
def darkroom_scan_cleaned(cleaned):
    raise ValueError("cannot upload")

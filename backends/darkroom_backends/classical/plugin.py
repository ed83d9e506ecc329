"""Announces the classical detector and inpainters."""

from collections.abc import Sequence

from darkroom.plugins import BackendSpec, hookimpl


@hookimpl
def darkroom_backends() -> Sequence[BackendSpec]:
    """The detector, and the inpainters that any detector may use."""
    return []

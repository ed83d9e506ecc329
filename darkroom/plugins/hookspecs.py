"""Every way a plugin can extend darkroom.

A plugin is a module (or object) registered under the entry point group `darkroom.plugins` that
implements some of these hooks, marked with `hookimpl`:

    from darkroom.plugins import BackendSpec, hookimpl

    @hookimpl
    def darkroom_backends():
        return [BackendSpec("inpainter", "mean", "my_package.fill:MeanFill", "Fills with the mean")]

Hooks return descriptions made of strings; what they name is imported when it is first used. Each
plugin is loaded and called on its own: one that fails is recorded, shown by
`darkroom plugins check`, and harms no other.
"""

from collections.abc import Sequence

import pluggy

from darkroom.protocols import BackendSpec, Cleaned, ReaderSpec, TrainableSpec, WriterSpec

NAMESPACE = "darkroom"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@hookspec
def darkroom_backends() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Detectors, inpainters and restorers."""


@hookspec
def darkroom_readers() -> Sequence[ReaderSpec]:  # type: ignore[empty-body]
    """Readers of scan files."""


@hookspec
def darkroom_writers() -> Sequence[WriterSpec]:  # type: ignore[empty-body]
    """Writers of scan files."""


@hookspec
def darkroom_trainables() -> Sequence[TrainableSpec]:  # type: ignore[empty-body]
    """Networks that `darkroom train` can train."""


@hookspec
def darkroom_presets() -> Sequence[str]:  # type: ignore[empty-body]
    """Packages ("my_package.presets") whose `*.toml` files are presets."""


@hookspec
def darkroom_scan_cleaned(cleaned: Cleaned) -> None:
    """Called once after each scan that `darkroom clean` has finished.

    Args:
        cleaned: the source, the output and the receipt as it was written.
    """

"""Announces the baseline."""

from collections.abc import Sequence

from darkroom.plugins import BackendSpec, hookimpl


@hookimpl
def darkroom_backends() -> Sequence[BackendSpec]:
    """One detector; the inpainter `biharmonic` fills what it finds."""
    return [
        BackendSpec(
            kind="detector",
            name="baseline",
            factory="darkroom_backends.baseline.detector:Baseline",
            summary="Top-hats and a hysteresis threshold by scikit-image: a yardstick, not a tool",
            options="darkroom_backends.baseline.detector:BaselineOptions",
            requires=("skimage",),
            inpainter="biharmonic",
        )
    ]

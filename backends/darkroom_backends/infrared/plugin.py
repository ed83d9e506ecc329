"""Announces the infrared detector."""

from collections.abc import Sequence

from darkroom.plugins import BackendSpec, hookimpl

PACKAGE = "darkroom_backends.infrared"


@hookimpl
def darkroom_backends() -> Sequence[BackendSpec]:
    """The detector; any inpainter fills what it finds."""
    return [
        BackendSpec(
            "detector",
            "infrared",
            f"{PACKAGE}.detector:InfraredDetector",
            "What is dark in infrared and should not be, by a model fitted to each frame",
            options=f"{PACKAGE}.options:InfraredOptions",
            requires=("cv2",),
            inpainter="oliveira",
        )
    ]

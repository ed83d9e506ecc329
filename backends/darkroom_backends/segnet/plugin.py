"""What the `segnet` backend announces."""

from darkroom.plugins.hookspecs import hookimpl
from darkroom.protocols import BackendSpec, TrainableSpec

HERE = "darkroom_backends.segnet"


@hookimpl
def darkroom_trainables() -> list[TrainableSpec]:
    """Its network."""
    return [
        TrainableSpec(
            name="segnet",
            factory=f"{HERE}.trainable:SegNetTrainable",
            summary="The network of the segnet backend: which of 256 levels each pixel should have.",
            options=f"{HERE}.model:SegNetConfig",
        )
    ]

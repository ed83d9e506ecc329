"""What the `segnet` backend announces."""

from darkroom.plugins.hookspecs import hookimpl
from darkroom.protocols import BackendSpec, TrainableSpec

HERE = "darkroom_backends.segnet"


@hookimpl
def darkroom_backends() -> list[BackendSpec]:
    """The restorer."""
    return [
        BackendSpec(
            kind="restorer",
            name="segnet",
            factory=f"{HERE}.backend:SegNetRestorer",
            summary="SegNet of 257 classes: replaces levels that it finds improbable",
            options=f"{HERE}.backend:SegNetOptions",
            requires=("torch", "safetensors"),
            inpainter="oliveira",
            devices=("cpu", "cuda"),
        )
    ]


@hookimpl
def darkroom_trainables() -> list[TrainableSpec]:
    """Its network."""
    return [
        TrainableSpec(
            name="segnet",
            factory=f"{HERE}.trainable:SegNetTrainable",
            summary="The network of the segnet backend: which of 256 levels each pixel is.",
            options=f"{HERE}.model:SegNetConfig",
        )
    ]

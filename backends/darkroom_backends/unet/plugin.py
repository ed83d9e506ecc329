"""What the `unet` backend announces."""

from darkroom.plugins.hookspecs import hookimpl
from darkroom.protocols import BackendSpec, TrainableSpec

HERE = "darkroom_backends.unet"


@hookimpl
def darkroom_backends() -> list[BackendSpec]:
    """The restorer."""
    return [
        BackendSpec(
            kind="restorer",
            name="unet",
            factory=f"{HERE}.backend:UNetRestorer",
            summary="Gated residual U-Net that finds and fills at once, with weights: the default",
            options=f"{HERE}.backend:UNetOptions",
            requires=("onnxruntime", "safetensors"),
            inpainter="oliveira",
            devices=("cpu", "cuda"),
        )
    ]


@hookimpl
def darkroom_trainables() -> list[TrainableSpec]:
    """Its network."""
    return [
        TrainableSpec(
            name="unet",
            factory=f"{HERE}.trainable:UNetTrainable",
            summary="The network of the unet backend: where is damage, and what belongs there.",
            options=f"{HERE}.shape:UNetConfig",
        )
    ]

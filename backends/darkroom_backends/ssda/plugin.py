"""What the `ssda` backend announces."""

from darkroom.plugins.hookspecs import hookimpl
from darkroom.protocols import BackendSpec, TrainableSpec

HERE = "darkroom_backends.ssda"


@hookimpl
def darkroom_backends() -> list[BackendSpec]:
    """The restorer."""
    return [
        BackendSpec(
            kind="restorer",
            name="ssda",
            factory=f"{HERE}.backend:SSDARestorer",
            summary="stacked sparse denoising auto-encoder: redraws patches it finds improbable",
            options=f"{HERE}.backend:SSDAOptions",
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
            name="ssda",
            factory=f"{HERE}.trainable:SSDATrainable",
            summary="The network of the ssda backend: patches restored by layers of sparse units.",
            options=f"{HERE}.model:SSDAConfig",
        )
    ]

"""Announces the classical detector and inpainters."""

from collections.abc import Sequence

from darkroom.plugins import BackendSpec, hookimpl

PACKAGE = "darkroom_backends.classical"


@hookimpl
def darkroom_backends() -> Sequence[BackendSpec]:
    """The detector, and the inpainters that any detector may use."""
    return [
        BackendSpec(
            "detector",
            "classical",
            f"{PACKAGE}.detector:ClassicalDetector",
            "Local medians find candidates, fitted trees judge them; no network, any computer",
            options=f"{PACKAGE}.options:ClassicalOptions",
            requires=("cv2",),
            inpainter="oliveira",
        ),
        BackendSpec(
            "inpainter",
            "biharmonic",
            f"{PACKAGE}.inpaint:Biharmonic",
            "Smoothest continuation of the rim (scikit-image)",
            requires=("skimage",),
        ),
        BackendSpec(
            "inpainter",
            "oliveira",
            f"{PACKAGE}.inpaint:Oliveira",
            "Fast diffusion by convolution (Oliveira et al. 2001)",
            options=f"{PACKAGE}.options:OliveiraOptions",
            requires=("cv2",),
        ),
        BackendSpec(
            "inpainter",
            "navier-stokes",
            f"{PACKAGE}.inpaint:NavierStokes",
            "Lines of equal level continued into the hole (OpenCV)",
            options=f"{PACKAGE}.options:CvOptions",
            requires=("cv2",),
        ),
        BackendSpec(
            "inpainter",
            "telea",
            f"{PACKAGE}.inpaint:Telea",
            "Fast marching from the rim (OpenCV)",
            options=f"{PACKAGE}.options:CvOptions",
            requires=("cv2",),
        ),
    ]

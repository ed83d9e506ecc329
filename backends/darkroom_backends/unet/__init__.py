"""The `unet` backend: a gated residual U-Net that finds and fills artefacts in one pass."""

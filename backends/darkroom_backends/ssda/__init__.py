"""The `ssda` backend: blind inpainting by a stacked sparse denoising auto-encoder."""

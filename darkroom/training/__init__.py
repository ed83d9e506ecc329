"""The training loop shared by every trainable backend."""

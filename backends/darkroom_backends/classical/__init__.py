"""Detect-then-inpaint with classical image processing."""

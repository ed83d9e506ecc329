"""JPEG: 8-bit grey and RGB."""

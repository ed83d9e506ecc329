"""Photoshop's format: layered files for image editors, and masks that editors save in it."""

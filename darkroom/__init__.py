"""darkroom: find and repair dust, hairs and scratches on film scans, and change nothing else."""

__version__ = "0.2.0"

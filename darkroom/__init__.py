"""darkroom: find and repair dust, hairs and scratches on film scans, and change nothing else."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.api import clean, detect, open_scan

__version__ = "0.2.0"
__all__ = ["__version__", "clean", "detect", "open_scan"]


def __getattr__(name: str) -> Any:
    """The public functions, imported when they are first used."""
    if name in __all__:
        return getattr(importlib.import_module("darkroom.api"), name)
    raise AttributeError(f"module 'darkroom' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""What the plugin announces. Strings only: darkroom reads this at every start."""

import json
import os
from pathlib import Path

from darkroom.plugins import BackendSpec, Cleaned, hookimpl


@hookimpl
def darkroom_backends() -> list[BackendSpec]:
    """One inpainter."""
    return [
        BackendSpec(
            kind="inpainter",
            name="median",
            factory="darkroom_median.fill:MedianFill",
            summary="Fills with the median of what surrounds the artefact",
            options="darkroom_median.fill:MedianOptions",
        )
    ]


@hookimpl
def darkroom_scan_cleaned(cleaned: Cleaned) -> None:
    """Add a line to the diary that DARKROOM_DIARY names, if it names one."""
    diary = os.environ.get("DARKROOM_DIARY")
    if diary:
        entry = {"source": cleaned.source, "artefacts": cleaned.receipt["artefacts"]}
        with Path(diary).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

"""A plugin in good order: a detector, an inpainter, a restorer, presets and a hook."""

import json
import os
from pathlib import Path

from darkroom.plugins import BackendSpec, hookimpl


@hookimpl
def darkroom_backends():
    return [
        BackendSpec(
            "detector",
            "tophat",
            "fixture_good_backends:TopHat",
            "Marks what is brighter than its surroundings",
            options="fixture_good_backends:TopHatOptions",
            inpainter="ringmean",
        ),
        BackendSpec(
            "inpainter", "ringmean", "fixture_good_backends:RingMean", "Fills with the mean"
        ),
        BackendSpec(
            "restorer", "unbuilt", "no_such_module:Net", "Needs much", requires=("no_such_module",)
        ),
    ]


@hookimpl
def darkroom_presets():
    return ["fixture_good_presets"]


@hookimpl
def darkroom_scan_cleaned(cleaned):
    if log := os.environ.get("FIXTURE_LOG"):
        with Path(log).open("a") as file:
            file.write(json.dumps([cleaned.source, cleaned.receipt["artefacts"]]) + "\n")

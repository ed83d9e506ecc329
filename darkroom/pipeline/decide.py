"""Who looks at a scan: its infrared, the backend for pictures, or nobody where a mask is given.

Only what has been decided for is loaded.
"""

from dataclasses import dataclass, replace
from typing import Any

from darkroom.codec import Codec
from darkroom.errors import DarkroomError, UsageError
from darkroom.options import CleanOptions
from darkroom.pipeline.detect import replaces_frame
from darkroom.pipeline.engine import Engine
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.pipeline.infrared_run import InfraredRun, judge
from darkroom.pipeline.workbench import Workbench
from darkroom.scan import FrameStats, Scan


@dataclass(frozen=True, slots=True)
class Decision:
    """Who looks, and with what.

    Attributes:
        engine: the backends, loaded.
        options: of the run with them.
        stats: of the frame, with those of the infrared where that is used.
        plane: the infrared laid over the picture, or None where it is not used.
        infrared: what the receipt says of the infrared, or None where none was looked at.
    """

    engine: Engine
    options: CleanOptions
    stats: FrameStats
    plane: InfraredPlane | None = None
    infrared: dict[str, Any] | None = None


def decide(
    bench: Workbench, scan: Scan, codec: Codec, stats: FrameStats, infrared: InfraredRun | None
) -> Decision:
    """Take the infrared if there is one of use, else the backend for pictures.

    Args:
        bench: gives the backends.
        scan: the picture.
        codec: its encoding.
        stats: the survey.
        infrared: the plane to try, or None.

    Raises:
        InputError: infrared was asked for by name and is no use.
        BackendError: a backend cannot be loaded.
        UsageError: an option it does not have.
    """
    report = None
    if infrared is not None:
        seen, report = judge(infrared, scan, codec, stats)
        if seen.refusal is None:
            try:
                engine = bench.engine(infrared.options)
            except DarkroomError as error:
                if infrared.required:
                    raise
                report |= {"used": False, "refusal": str(error)}
            else:
                stats = replace(stats, infrared=seen.stats)
                return Decision(engine, infrared.options, stats, seen.plane, report)
    options = bench.request.options
    engine = bench.engine(options)
    if replaces_frame(engine.finder) and engine.inpainter is not None:
        raise UsageError(
            "a backend that replaces the whole frame needs no inpainter",
            hint="Leave --inpainter out.",
        )
    return Decision(engine, options, stats, None, report)

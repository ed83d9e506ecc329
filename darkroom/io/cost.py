"""What reading a scan takes of the machine."""

from dataclasses import dataclass

from darkroom.scan import Scan


@dataclass(frozen=True, slots=True)
class ReadCost:
    """What reading a scan by windows takes, whatever the size of the windows.

    Attributes:
        how: in a few words, for a person to read.
        memory: bytes of memory at most, besides the windows asked for.
        disk: bytes of temporary files.
        rows: how many rows windows side by side may have so that nothing is decoded twice; None
            if it makes no difference.
    """

    how: str
    memory: int
    disk: int = 0
    rows: int | None = None


def held_rows(*scans: Scan) -> int | None:
    """How high windows side by side may be for none of the scans to decode anything twice."""
    costs = [getattr(scan, "cost", None) for scan in scans]
    rows = [cost.rows for cost in costs if cost is not None and cost.rows is not None]
    return min(rows, default=None)

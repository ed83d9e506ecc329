"""What reading a scan takes of the machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadCost:
    """What reading a scan by windows takes, whatever the size of the windows.

    Attributes:
        how: in a few words, for a person to read.
        memory: bytes of memory at most, besides the windows asked for.
        disk: bytes of temporary files.
    """

    how: str
    memory: int
    disk: int = 0

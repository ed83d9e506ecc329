"""What of a scan a format cannot hold, without writing it."""

from darkroom.io.png import write as png_write
from darkroom.io.tiff import write as tiff_write
from darkroom.scan import ScanInfo


def planned_losses(suffix: str, info: ScanInfo, compression: str | None = None) -> list[str]:
    """What a sink for a PNG or a TIFF would name as lost.

    Args:
        suffix: ".png", or anything else for a TIFF.
        info: the source.
        compression: of the TIFF, or None for the source's.

    Raises:
        UsageError: if the format cannot hold such pixels.
    """
    if suffix.lower() == ".png":
        return png_write.losses(info)
    return tiff_write.losses(info, compression)

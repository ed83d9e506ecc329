"""What cleaning a file would keep of it, and what not."""

from pathlib import Path

from darkroom.errors import UsageError
from darkroom.inspect.report import InfraredReport
from darkroom.io.losses import planned_losses
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.carry import carried_tags
from darkroom.pipeline.naming import target_suffix
from darkroom.scan import ScanInfo


def target_of(path: Path) -> str:
    """Format that `clean` writes for a file unless another is named: "TIFF" or "PNG"."""
    return "PNG" if target_suffix(path).lower() == ".png" else "TIFF"


def carried(info: ScanInfo) -> frozenset[tuple[str, int]]:
    """(directory, number) of the tags that a cleaned TIFF would hold."""
    _, tags = carried_tags(info, [])
    # The orientation is written from what was understood of it, as the profile is.
    return frozenset((tag.ifd, tag.code) for tag in tags) | {("image", T.ORIENTATION)}


def kept_by(info: ScanInfo, infrared: InfraredReport | None, icc: str | None) -> tuple[str, ...]:
    """What the cleaned file would hold besides the picture."""
    kept = [f"every sample outside the repairs, {8 * info.dtype.itemsize} bits"]
    if infrared and infrared.where != "file":
        kept.append(f"infrared, as a {infrared.where} where it was")
    elif info.extra:
        kept.append(f"{info.extra} further sample{'s' * (info.extra > 1)}")
    if icc:
        kept.append(f"ICC profile {icc}")
    if info.resolution:
        kept.append("resolution")
    if info.orientation != 1:
        kept.append(f"orientation {info.orientation}; pixels are not turned")
    metadata = info.metadata
    blocks = {"XMP": metadata.xmp, "IPTC": metadata.iptc, "EXIF": metadata.exif}
    kept += [name for name, block in blocks.items() if block]
    if metadata.tags:
        kept.append(f"{len(carried(info)) - 1} tags")
    return tuple(kept)


def lost_by(info: ScanInfo, infrared: InfraredReport | None) -> tuple[str, ...]:
    """What the cleaned file would not hold."""
    lost = []
    if infrared and infrared.where == "file":
        lost.append(f"infrared ({Path(infrared.path).name} stays beside the source)")
    try:
        lost += planned_losses(target_suffix(info.path), info)
    except UsageError as error:
        lost.append(f"everything, unless another format is named with -o: {error}")
    return tuple(lost)

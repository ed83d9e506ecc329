"""EXIF blocks: what they say of the picture, and making one of a TIFF's tags."""

import struct
from typing import Any

from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import SHORT, pack_exif, parse_exif, unpack_value
from darkroom.metadata import Tag
from darkroom.scan import ScanInfo


def exif_values(block: bytes | None) -> dict[int, Any]:
    """Values of the image directory of an EXIF block by tag; empty if it is damaged or None."""
    if not block:
        return {}
    try:
        order, tags = parse_exif(block)
        return {tag.code: unpack_value(tag, order) for tag in tags if tag.ifd == "image"}
    except Exception:
        return {}


def exif_orientation(block: bytes | None) -> int:
    """Orientation 1 to 8; 1 if the block does not say."""
    value = exif_values(block).get(T.ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def exif_resolution(block: bytes | None) -> tuple[float, float] | None:
    """(horizontal, vertical) in pixels per inch, or None."""
    values = exif_values(block)
    pairs = [values.get(code) for code in (T.X_RESOLUTION, T.Y_RESOLUTION)]
    unit = values.get(T.RESOLUTION_UNIT, 2)
    if unit not in (2, 3) or not all(
        isinstance(pair, tuple) and len(pair) == 2 and all(pair) for pair in pairs
    ):
        return None
    scale = 2.54 if unit == 3 else 1.0
    x, y = (pair[0] / pair[1] * scale for pair in pairs if pair)
    return x, y


STALE_THUMBNAIL = "EXIF thumbnail (showing the picture before cleaning)"


def without_thumbnail(block: bytes | None) -> tuple[bytes | None, bool]:
    """An EXIF block that leads to no thumbnail, and whether it did: it shows the uncleaned picture.

    The thumbnail is the second directory of the chain (EXIF 2.3, section 4.5.2). Only the link to
    it is cut; no other byte moves, so that maker notes still mean the same.
    """
    prefix = b"Exif\0\0" if block and block.startswith(b"Exif\0\0") else b""
    data = (block or b"")[len(prefix) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 10:
        return block, False
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 2 > len(data):
        return block, False
    at = start + 2 + 12 * struct.unpack_from(order + "H", data, start)[0]
    if not any(data[at : at + 4]):
        return block, False
    return prefix + data[:at] + bytes(len(data[at : at + 4])) + data[at + 4 :], True


def exif_of_tags(info: ScanInfo, losses: list[str], *, keep: frozenset[int] = frozenset()) -> bytes:
    """An EXIF block of a TIFF's tags, as far as EXIF knows them; the others go to `losses`.

    Args:
        info: the source.
        losses: gets a phrase for each tag left out.
        keep: tags that the target carries in another way.
    """
    tags = []
    if info.infrared and info.infrared.where == "page":
        losses.append("infrared page")
    for tag in info.metadata.tags:
        if tag.ifd != "image" or tag.code in T.EXIF_IMAGE_TAGS:
            tags.append(tag)
        elif tag.code not in keep:
            losses.append(T.STALE.get(tag.code) or T.tag_name(tag.code))
    if info.orientation != 1:
        tags.append(Tag(T.ORIENTATION, SHORT, 1, info.orientation))
    return pack_exif(tags, info.storage.byteorder)

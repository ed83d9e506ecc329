"""Photoshop's image resources: blocks of a number, a name and data, one after the other.

Source: Adobe Photoshop File Formats Specification, "Image Resources Section".
"""

import struct
from collections.abc import Iterator

RESOLUTION, IPTC, OLD_THUMBNAIL, THUMBNAIL = 1005, 1028, 1033, 1036
ICC, EXIF, XMP = 1039, 1058, 1060
STALE_THUMBNAIL = "Photoshop thumbnail (showing the picture before cleaning)"


def resources(block: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(number, start, end, data) of each resource, as far as the block makes sense."""
    at = 0
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        number, name = struct.unpack_from(">HB", block, at + 4)
        start = at + 6 + (name + 2) // 2 * 2
        if start + 4 > len(block):
            return
        length = struct.unpack_from(">I", block, start)[0]
        end = start + 4 + length + length % 2
        yield number, at, min(end, len(block)), block[start + 4 : start + 4 + length]
        at = end


def pack_resource(number: int, data: bytes) -> bytes:
    """A resource without a name."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def iptc_record(block: bytes) -> bytes | None:
    """The IPTC record among the resources."""
    return next((data for number, _, _, data in resources(block) if number == IPTC), None) or None


def without_thumbnails(block: bytes) -> tuple[bytes, bool]:
    """The block without thumbnails, and whether it had one: they show the uncleaned picture."""
    stale = [
        (start, end)
        for number, start, end, _ in resources(block)
        if number in (THUMBNAIL, OLD_THUMBNAIL)
    ]
    for start, end in reversed(stale):
        block = block[:start] + block[end:]
    return block, bool(stale)

"""The metadata of any source as tags of a TIFF."""

from fractions import Fraction

from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import (
    ASCII,
    BYTE,
    EXIF_IFD,
    GPS_IFD,
    RATIONAL,
    SHORT,
    UNDEFINED,
    ByteOrder,
    IfdError,
    pack_value,
    parse_exif,
)
from darkroom.metadata import Tag
from darkroom.scan import ScanInfo

# Keywords of text chunks that have a TIFF tag of the same meaning (PNG 3rd edition, 11.3.3.1).
TEXT_TAGS = {"Description": T.DESCRIPTION, "Title": 269, "Author": T.ARTIST}
TEXT_TAGS |= {"Copyright": T.COPYRIGHT, "Software": T.SOFTWARE, "Source": T.MODEL}
TEXT_TAGS |= {"Comment": T.DESCRIPTION}
MOST_NAMED = 20  # texts that are lost one by one; of more, the number
UNDERSTOOD = ("pHYs", "tIME", "tEXt", "zTXt", "iTXt")  # chunks that a TIFF has other means for


def carried_tags(info: ScanInfo, losses: list[str]) -> tuple[ByteOrder, list[Tag]]:
    """Byte order to write in and the tags to write; what has to stay behind goes to `losses`.

    Values keep the bytes and the byte order of the source, so that private tags and maker notes
    in it still mean the same.
    """
    order: ByteOrder = info.storage.byteorder
    tags = list(info.metadata.tags)
    losses += info.metadata.left_out
    if info.metadata.exif:
        try:
            order, found = parse_exif(info.metadata.exif, losses)
            tags += found
        except (IfdError, ValueError, ArithmeticError):
            losses.append("EXIF (damaged in the source)")
    # Interchange formats carry text, profile and resolution in their own ways.
    tags = [tag for tag in T.kept(tags) if _portable(tag, order, losses)]
    tags += _text_tags(info, tags, losses)
    present = {tag.code for tag in tags if tag.ifd == "image"}
    if info.resolution and T.X_RESOLUTION not in present:
        tags += _resolution_tags(info.resolution)
    names = dict.fromkeys(chunk.name for chunk in info.metadata.chunks)
    losses += [f"PNG chunk {name}" for name in names if name not in UNDERSTOOD]
    blocks = ((T.ICC, UNDEFINED, info.profile.icc), (T.XMP, BYTE, info.metadata.xmp))
    for code, dtype, data in (*blocks, (T.IPTC, UNDEFINED, info.metadata.iptc)):
        if data:
            tags.append(Tag(code, dtype, len(data), data))
    return order, tags


def _portable(tag: Tag, order: ByteOrder, losses: list[str]) -> bool:
    """Whether a tag can stand in another file; if not, why goes to `losses`."""
    if tag.ifd == "image" and tag.code in (EXIF_IFD, GPS_IFD):
        return False
    if tag.code in T.STALE and tag.ifd == "image":
        losses.append(T.STALE[tag.code])
    elif tag.code in T.DNG_MARKS and tag.ifd == "image":
        losses.append(f"{T.tag_name(tag.code)} (the result is a TIFF, not a DNG)")
    elif tag.dtype in (13, 16, 17, 18):
        losses.append(f"{T.tag_name(tag.code)} (points into the source file)")
    else:
        try:
            return len(pack_value(tag, order)) > 0
        except IfdError:
            losses.append(f"{T.tag_name(tag.code)} (its value is damaged)")
    return False


def _text_tags(info: ScanInfo, tags: list[Tag], losses: list[str]) -> list[Tag]:
    """PNG text chunks as tags where TIFF has them; the others are named as lost."""
    present = {tag.code for tag in tags if tag.ifd == "image"}
    values = {tag.value.rstrip(b"\0 ") for tag in tags if isinstance(tag.value, bytes)}
    made, lost = [], []
    for key, value in info.metadata.text:
        code = TEXT_TAGS.get(key)
        if code is None:
            lost.append(f"text {key!r}")
        elif code not in present:
            made.append(Tag(code, ASCII, len(value) + 1, value))
            present.add(code)
        elif value.encode() not in values:
            lost.append(f"text {key!r}")
    losses += lost[:MOST_NAMED]
    if len(lost) > MOST_NAMED:
        losses.append(f"{len(lost) - MOST_NAMED:,} further texts")
    return made


def _resolution_tags(resolution: tuple[float, float]) -> list[Tag]:
    made = [Tag(T.RESOLUTION_UNIT, SHORT, 1, 2)]
    for code, value in zip((T.X_RESOLUTION, T.Y_RESOLUTION), resolution, strict=True):
        ratio = Fraction(value).limit_denominator(10000)
        made.append(Tag(code, RATIONAL, 1, (ratio.numerator, ratio.denominator)))
    return made

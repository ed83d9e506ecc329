"""Which TIFF tags describe the storage of pixels, and which are worth carrying along."""

from collections.abc import Iterable

from darkroom.io.tiff.ifd import ByteOrder, unpack_value
from darkroom.io.tiff.ifd import tag_name as tag_name
from darkroom.metadata import Metadata, Tag

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
FILL_ORDER, DESCRIPTION, MAKE, MODEL, STRIP_OFFSETS, ORIENTATION = 266, 270, 271, 272, 273, 274
SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, X_RESOLUTION, Y_RESOLUTION = 277, 278, 279, 282, 283
PLANAR, RESOLUTION_UNIT, SOFTWARE, DATE_TIME, ARTIST, PREDICTOR = 284, 296, 305, 306, 315, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUB_IFDS = 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, XMP, COPYRIGHT = 338, 339, 347, 700, 33432
IPTC, PHOTOSHOP, EXIF_IFD, ICC, GPS_IFD = 33723, 34377, 34665, 34675, 34853
DNG_VERSION, DNG_BACKWARD = 50706, 50707
PHOTOSHOP_LAYERS = 37724

# Tags that say how pixels are stored: the writer makes its own. Old-style subfile type (255),
# free lists (288, 289), JPEG internals (512-521), subsampling and reference black/white (529-532).
STRUCTURAL = frozenset(
    {SUBFILE, 255, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, 263, STRIP_OFFSETS}
    | {ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR, 320, 288, 289}
    | {TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT}
    | {JPEG_TABLES, ICC, XMP, IPTC, EXIF_IFD, GPS_IFD, *range(512, 522), *range(529, 533)}
    | {400, 401, 402, 403}
)
# Without one of these, or with another value, pixels come out wrong.
PIXEL_TAGS = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, SAMPLES, PLANAR}
    | {ROWS_PER_STRIP, STRIP_COUNTS, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS}
    | {SAMPLE_FORMAT, JPEG_TABLES}
)
# A TIFF with a DNG version is taken for a DNG by raw converters, which would then ignore the
# picture's own encoding.
DNG_MARKS = frozenset({DNG_VERSION, DNG_BACKWARD})
# Photoshop opens these instead of the picture: they would show it as it was before cleaning.
STALE = {PHOTOSHOP_LAYERS: "Photoshop layers, which hold the picture before cleaning"}
LARGEST_VALUE = 64 << 20  # bytes; larger values are embedded originals, not metadata

# Tags of the image directory that EXIF 2.3 knows, section 4.6.4; others do not belong there.
EXIF_IMAGE_TAGS = frozenset(
    {DESCRIPTION, MAKE, MODEL, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, SOFTWARE}
    | {DATE_TIME, ARTIST, COPYRIGHT, 301, 316, 318, 319}
)
# What TIFF/EP (ISO 12234-2) puts into the image directory that holds for a developed picture too:
# exposure, time, lens, light, and what else the photographer set.
EP_TAGS = frozenset(
    {33434, 33437, 34850, 34855, 36867, 36868, *range(37377, 37388), *range(37393, 37398)}
)
# DNG 1.7, chapter 4: camera, matrices, calibration, white point, illuminants. They tell of colours,
# and nothing of how samples are stored.
DNG_COLOUR = frozenset({50708, 50709, *range(50721, 50733), 50778, 50779, 50931, 50932})
DNG_COLOUR |= {50964, 50965}


def kept(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    """The tags to carry: everything that does not describe storage; a code's first one wins."""
    seen: dict[tuple[str, int], Tag] = {}
    for tag in tags:
        if tag.ifd != "image" or tag.code not in STRUCTURAL:
            seen.setdefault((tag.ifd, tag.code), tag)
    return tuple(seen.values())


def text_of(metadata: Metadata, code: int, order: ByteOrder = "<") -> str | None:
    """The text of an ASCII tag such as Make or Software, or None."""
    for tag in metadata.tags:
        if tag.code == code and tag.ifd == "image":
            return str(unpack_value(tag, order)).strip()
    return None

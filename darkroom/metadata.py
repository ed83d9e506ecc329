"""What a file holds besides pixels, and how it stores them."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Tag:
    """One TIFF tag as it stood in the file.

    Attributes:
        code: tag number.
        dtype: TIFF data type number (1 BYTE … 18 IFD8).
        count: number of values.
        value: the values as the TIFF library gives them.
        ifd: which directory it stood in.
    """

    code: int
    dtype: int
    count: int
    value: Any
    ifd: Literal["image", "exif", "gps", "interop"] = "image"


@dataclass(frozen=True, slots=True)
class Chunk:
    """An ancillary chunk of a PNG.

    Attributes:
        name: its four letters.
        data: its body.
        late: whether it stands after the image data.
    """

    name: str
    data: bytes
    late: bool = False


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says besides pixels; carried as raw as the format allows.

    Attributes:
        tags: TIFF tags worth keeping, or their equivalents synthesised from another format.
        exif: an EXIF block as a TIFF stream ("II*…" or "MM*…"), from PNG or JPEG.
        xmp: an XMP packet.
        iptc: an IPTC-IIM record.
        text: key and value pairs of PNG text chunks.
        chunks: chunks of a PNG that another PNG can hold.
        left_out: a phrase for everything of the file that no result will hold: previews, damaged
            tags, the sensor's own samples.
    """

    tags: tuple[Tag, ...] = ()
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    text: tuple[tuple[str, str], ...] = ()
    chunks: tuple[Chunk, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Storage:
    """How a file stores its pixels, as far as a writer may want to do the same.

    Attributes:
        byteorder: "<" or ">", of samples and tag values.
        compression: "none", "lzw", "deflate", "packbits", "zstd" or "jpeg"; None if the format
            has no such choice.
        predictor: TIFF code: 1 none, 2 horizontal difference, 3 floating point.
        planar: whether each sample is stored apart.
        tile: (columns, rows) of a tile, or None for strips.
        rows_per_strip: of strips, or None.
        page: label of the TIFF page, "0.1" for the second SubIFD of the first.
        subfile: its NewSubfileType.
    """

    byteorder: Literal["<", ">"] = "<"
    compression: str | None = None
    predictor: int = 1
    planar: bool = False
    tile: tuple[int, int] | None = None
    rows_per_strip: int | None = None
    page: str = "0"
    subfile: int = 0

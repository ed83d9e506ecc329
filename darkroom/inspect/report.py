"""What `darkroom inspect` finds out, as plain values."""

from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class TagReport:
    """A tag of a page.

    Attributes:
        code: tag number.
        name: its name in the TIFF, EXIF or DNG specification, or "tag N".
        ifd: "image", "exif" or "gps".
        value: its value as text, cut short where it is long.
        kept: whether `clean` would write it again.
    """

    code: int
    name: str
    ifd: str
    value: str
    kept: bool


@dataclass(frozen=True, slots=True)
class PageReport:
    """A page or SubIFD of a file.

    Attributes:
        label: "0" for the first page, "0.1" for the second SubIFD of it.
        role: "picture", "infrared", "preview", "sensor data", "mask", "depth map" or
            "further page".
        reason: what in the file says so.
        width: columns.
        height: rows.
        bits: of a sample, with "float" where they are no integers.
        samples: what each sample of a pixel is.
        photometric: how the file says that samples are to be read.
        compression: how pixels are packed.
        storage: strips, tiles, byte order and the like.
        decoded_bytes: size of the pixels once decoded.
        reading: how they would be read.
        memory_bytes: memory that reading takes, besides the windows asked for.
        disk_bytes: temporary files that reading takes.
        problem: why the page cannot be read, or None.
        tags: everything else that stands in its directory.
    """

    label: str
    role: str
    reason: str
    width: int
    height: int
    bits: str
    samples: tuple[str, ...]
    photometric: str
    compression: str
    storage: str
    decoded_bytes: int
    reading: str = ""
    memory_bytes: int = 0
    disk_bytes: int = 0
    problem: str | None = None
    tags: tuple[TagReport, ...] = ()


@dataclass(frozen=True, slots=True)
class InfraredReport:
    """Where the infrared plane of a scan is.

    Attributes:
        where: "sample", "page" or "file".
        detail: the same in words.
        path: the file that holds it.
        width: columns.
        height: rows.
    """

    where: str
    detail: str
    path: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class FileReport:
    """A file.

    Attributes:
        path: the file.
        format: "tiff", "png", "jpeg" or "raw" (developed by LibRaw).
        file_bytes: its size.
        width: columns of the picture.
        height: rows of the picture.
        channels: picture samples a pixel.
        bits: of a sample as it is read.
        encoding: "linear", "gamma" or "unknown".
        encoding_reason: what in the file says so.
        icc: name of the embedded profile, or None.
        dpi: (horizontal, vertical), or None.
        orientation: EXIF orientation, 1 to 8.
        film: "colour negative", "positive", "black and white" or "unknown": a guess.
        film_reason: what it was guessed from.
        infrared: where the infrared plane is, or None.
        pages: every page and SubIFD.
        target: what `clean` would write, "TIFF" or "PNG".
        keeps: what the cleaned file would hold besides the pixels.
        loses: what it would not.
    """

    path: str
    format: str
    file_bytes: int
    width: int
    height: int
    channels: int
    bits: int
    encoding: str
    encoding_reason: str
    icc: str | None
    dpi: tuple[float, float] | None
    orientation: int
    film: str
    film_reason: str
    infrared: InfraredReport | None
    pages: tuple[PageReport, ...]
    target: str
    keeps: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()
    schema: int = field(default=SCHEMA)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON."""
        return asdict(self)

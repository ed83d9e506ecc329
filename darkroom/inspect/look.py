"""Looking at one file of any kind."""

import io
from pathlib import Path

from darkroom.errors import DarkroomError
from darkroom.inspect.film import FilmGuess, guess_film
from darkroom.inspect.keep import carried, kept_by, lost_by, target_of
from darkroom.inspect.report import FileReport, InfraredReport, PageReport, TagReport
from darkroom.inspect.tiff import exif_tags, tiff_pages
from darkroom.io import CACHE_BYTES, MAX_PIXELS, Scratch, open_infrared, open_scan
from darkroom.io.files import PositionedFile
from darkroom.io.infrared import find_sidecar
from darkroom.io.registry import TIFF_MAGIC
from darkroom.scan import Scan, ScanInfo

DECODE_MEMORY = 1 << 30  # what cannot be decoded in pieces may take this much for the guess
WHOLE = "the only picture of the file"


def inspect_file(
    path: Path, *, max_pixels: int = MAX_PIXELS, scratch: Scratch | None = None
) -> tuple[FileReport, Scan]:
    """Everything that can be said of a file, and the open scan, which the caller closes.

    Args:
        path: the file.
        max_pixels: larger images are refused.
        scratch: where spools go.

    Raises:
        InputError: the file cannot be read or is not supported.
    """
    scratch = scratch or Scratch(memory=DECODE_MEMORY)
    scan = open_scan(path, max_pixels=max_pixels, scratch=scratch)
    try:
        return _report(scan), scan
    except BaseException:
        scan.close()
        raise


def _report(scan: Scan) -> FileReport:
    info = scan.info
    icc = profile_name(info.profile.icc)
    pages = _pages(scan)
    infrared = _infrared(info, pages)
    film = _film(scan)
    return FileReport(
        path=str(info.path),
        format=info.format,
        file_bytes=info.path.stat().st_size,
        width=info.width,
        height=info.height,
        channels=info.channels,
        bits=8 * info.dtype.itemsize,
        encoding=info.profile.encoding.value,
        encoding_reason=info.profile.reason,
        icc=icc,
        dpi=info.resolution,
        orientation=info.orientation,
        film=film.kind,
        film_reason=film.reason,
        infrared=infrared,
        pages=pages,
        target=target_of(info.path),
        keeps=kept_by(info, infrared, icc),
        loses=lost_by(info, infrared),
    )


def _film(scan: Scan) -> FilmGuess:
    try:
        return guess_film(scan)
    except DarkroomError as error:
        return FilmGuess("unknown", str(error))


def _infrared(info: ScanInfo, pages: tuple[PageReport, ...]) -> InfraredReport | None:
    """Where the plane is; one beside the scan that cannot be read is told of as such."""
    plane = info.infrared
    path = plane.path if plane else find_sidecar(info.path)
    if path is None:
        return None
    where = plane.where if plane else "file"
    labels = [page.label for page in pages if page.role == "infrared"]
    details = {
        "sample": f"sample {plane.index + 1 if plane else 0} of each pixel of the picture",
        "page": f"page {', '.join(labels)}, a grey one of the picture's shape",
        "file": f"{path.name} beside the scan",
    }
    try:
        scan = open_infrared(info)
    except DarkroomError as error:
        return InfraredReport(where, f"{details[where]}, not readable: {error}", str(path), 0, 0)
    width, height = (scan.info.width, scan.info.height) if scan else (0, 0)
    if scan:
        scan.close()
    detail = details[where]
    if (width, height) != (info.width, info.height):
        detail += f", {width} x {height}"
    return InfraredReport(where, detail, str(path), width, height)


def _pages(scan: Scan) -> tuple[PageReport, ...]:
    """The pages of a file built like a TIFF; for others the one picture that they are."""
    info = scan.info
    with PositionedFile(info.path) as file:
        if file.head(4) in TIFF_MAGIC:
            return tiff_pages(file, scan, carried(info), CACHE_BYTES)
    return (_only_page(scan),)


def _only_page(scan: Scan) -> PageReport:
    info = scan.info
    colours = ("red", "green", "blue") if info.channels == 3 else ("grey",)
    tags = [*exif_tags(info, carried(info)), *_text(info)]
    return PageReport(
        label="0",
        role="picture",
        reason=WHOLE,
        width=info.width,
        height=info.height,
        bits=str(8 * info.dtype.itemsize),
        samples=(*colours, *("opacity" for _ in range(info.extra))),
        photometric="RGB" if info.channels == 3 else "black is zero",
        compression=info.format.upper(),
        storage=info.layout,
        decoded_bytes=info.nbytes,
        reading=scan.cost.how,
        memory_bytes=scan.cost.memory,
        disk_bytes=scan.cost.disk,
        tags=tuple(tags),
    )


def _text(info: ScanInfo) -> list[TagReport]:
    """Text chunks and comments, which have names and no numbers."""
    keeps = info.format == "png"
    return [TagReport(0, key, "text", value[:80], keeps) for key, value in info.metadata.text]


def profile_name(icc: bytes | None) -> str | None:
    """The description of an ICC profile; its size where it has none that can be read."""
    if not icc:
        return None
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
    except (OSError, ImageCms.PyCMSError):
        name = ""
    return " ".join(name.split()) or f"without a name, {len(icc)} bytes"

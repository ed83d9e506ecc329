"""The pages and SubIFDs of a file that is built like a TIFF."""

from collections.abc import Container, Iterable

from darkroom.errors import DarkroomError
from darkroom.inspect.report import PageReport, TagReport
from darkroom.io.files import PositionedFile
from darkroom.io.scratch import Scratch
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import ByteOrder, parse_exif, unpack_value
from darkroom.io.tiff.open import DEPTH, MASK, REDUCED, choose_picture, layout, sample_kind
from darkroom.io.tiff.pages import (
    CFA,
    COMPRESSIONS,
    OTHER_COMPRESSIONS,
    PHOTOMETRICS,
    Page,
    page_metadata,
    read_pages,
)
from darkroom.io.tiff.read import TiffScan
from darkroom.metadata import Tag
from darkroom.scan import ReadCost, Scan, ScanInfo

LONGEST_VALUE = 80  # characters shown
COLOURS = {3: ("red", "green", "blue"), 1: ("grey",)}
EXTRAS = {1: "opacity (premultiplied)", 2: "opacity"}
Carried = Container[tuple[str, int]]


def tiff_pages(
    file: PositionedFile, scan: Scan, carried: Carried, cache_bytes: int
) -> tuple[PageReport, ...]:
    """Every page and SubIFD, in reading order.

    Args:
        file: the open file.
        scan: the same, opened for its picture.
        carried: (directory, number) of tags that cleaning keeps.
        cache_bytes: what a reader may keep decoded.
    """
    pages = read_pages(file)
    picture = choose_picture(file.path, pages)
    first = pages[0].number
    found = []
    for page in pages:
        tags = _tags(page_metadata(file, page, []), page.layout.order)
        told_of = page.number in (picture.number, first)
        found.append(
            _page(file, page, picture, scan, tags, carried if told_of else (), cache_bytes)
        )
    return tuple(found)


def _page(
    file: PositionedFile,
    page: Page,
    picture: Page,
    scan: Scan,
    tags: list[tuple[Tag, str]],
    carried: Carried,
    cache_bytes: int,
) -> PageReport:
    role, reason = _role(page, picture, scan.info)
    bits = sorted(set(page.bits)) or [1]
    floating = " float" if page.sample_formats[0] == 3 else ""
    samples, cost, problem, stored = _readable(file, page, picture, scan, cache_bytes)
    return PageReport(
        label=page.label,
        role=role,
        reason=reason,
        width=page.width,
        height=page.height,
        bits="/".join(map(str, bits)) + floating,
        samples=samples,
        photometric=PHOTOMETRICS.get(page.photometric, f"number {page.photometric}"),
        compression=_compression(page),
        storage=stored,
        decoded_bytes=page.width * page.height * page.samples * max(bits) // 8,
        reading=cost.how if cost else "",
        memory_bytes=cost.memory if cost else 0,
        disk_bytes=cost.disk if cost else 0,
        problem=problem,
        tags=tuple(
            TagReport(t.code, T.tag_name(t.code, t.ifd), t.ifd, text, (t.ifd, t.code) in carried)
            for t, text in tags
        ),
    )


def _role(page: Page, picture: Page, info: ScanInfo) -> tuple[str, str]:
    """What a page is, and what says so."""
    plane = info.infrared
    if page is picture or page.number == picture.number:
        role = "sensor data" if page.photometric == CFA else "picture"
        return role, "the largest page in full resolution"
    if plane and plane.where == "page" and plane.index == page.number:
        says = "with NewSubfileType 4" if page.subfile == MASK else "and size"
        return "infrared", f"a grey page of the picture's shape {says}"
    if page.subfile & DEPTH:
        return "depth map", "NewSubfileType has bit 3"
    if page.subfile & MASK:
        return "mask", "NewSubfileType has bit 2"
    if page.subfile & REDUCED:
        return "preview", "NewSubfileType has bit 0: reduced resolution"
    if page.width * page.height < picture.width * picture.height:
        return "further page", "full resolution by its tags, but smaller than the picture"
    return "further page", "as large as the picture, but after it"


def _readable(
    file: PositionedFile, page: Page, picture: Page, scan: Scan, cache_bytes: int
) -> tuple[tuple[str, ...], ReadCost | None, str | None, str]:
    """Names of the samples, cost, problem and storage of a page."""
    kind = f"{page.samples} sample{'s' * (page.samples > 1)}"
    cost: ReadCost | None
    try:
        dtype, channels = sample_kind(file.path, page)
        extra = page.samples - channels
        info = ScanInfo(file.path, "tiff", page.width, page.height, channels, dtype, extra)
        # Closing this scan would close the file, which the pages share; it holds nothing else.
        cost = TiffScan(file, page, info, cache_bytes=cache_bytes, scratch=Scratch()).cost
    except DarkroomError as error:
        problem = str(error).removeprefix(f"{file.path}: ")
        if page.number == picture.number and scan.info.format == "raw":
            cost = scan.cost
            return (kind,), cost, None, "developed by LibRaw"
        return (kind,), None, problem, ""
    names = list(COLOURS[channels])
    for i in range(extra):
        names.append(EXTRAS.get((*page.extra_kinds, *(0,) * extra)[i], "further sample"))
    plane = scan.info.infrared
    if page.number == picture.number and plane and plane.where == "sample":
        names[plane.index] = "infrared"
    if page.number != picture.number and plane and plane.index == page.number:
        names = ["infrared"] if plane.where == "page" else names
    return tuple(names), cost, None, layout(page, dtype)


def _compression(page: Page) -> str:
    code = page.compression
    return COMPRESSIONS.get(code) or OTHER_COMPRESSIONS.get(code, f"number {code}")


def exif_tags(info: ScanInfo, carried: Carried) -> list[TagReport]:
    """The tags of the EXIF block of a PNG or JPEG."""
    if not info.metadata.exif:
        return []
    try:
        order, tags = parse_exif(info.metadata.exif)
    except ValueError:
        return []
    return [
        TagReport(
            t.code,
            T.tag_name(t.code, t.ifd),
            t.ifd,
            text,
            info.format == "png" or (t.ifd, t.code) in carried,
        )
        for t, text in _tags(tags, order)
    ]


def _tags(tags: Iterable[Tag], order: ByteOrder) -> list[tuple[Tag, str]]:
    """Tags that do not describe the storage of pixels, with their values as text."""
    shown = [t for t in tags if t.ifd != "image" or t.code not in T.STRUCTURAL - _SHOWN]
    return [(tag, _text(tag, order)) for tag in shown]


_SHOWN = {T.ORIENTATION, T.ICC, T.XMP, T.IPTC}


def _text(tag: Tag, order: ByteOrder) -> str:
    """A value as a person would read it."""
    value = unpack_value(tag, order)
    if isinstance(value, str):
        text = " ".join(value.split())
    elif tag.dtype in (5, 10) and isinstance(value, tuple):
        pairs = zip(value[::2], value[1::2], strict=False)
        text = " ".join(f"{a / b:g}" if b else f"{a}/{b}" for a, b in pairs)
    elif isinstance(tag.value, bytes) and len(tag.value) > 64:
        return f"{len(tag.value)} bytes"
    else:
        text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"

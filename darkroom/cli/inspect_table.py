"""The tables of `darkroom inspect`, drawn by Rich."""

from collections.abc import Iterator

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from darkroom.inspect.report import FileReport, PageReport
from darkroom.text import printable

MIB = 1 << 20
KINDS = {"tiff": "TIFF", "png": "PNG", "jpeg": "JPEG", "raw": "camera raw", "psd": "Photoshop"}
STYLES = {"picture": "bold", "sensor data": "bold", "infrared": "magenta", "preview": "dim"}


def draw(report: FileReport, *, verbose: bool) -> Iterator[object]:
    """Everything to print of one file, in order."""
    kind = KINDS.get(report.format, report.format)
    yield Text.assemble((printable(report.path), "bold"), f"  {kind}, {size(report.file_bytes)}")
    yield Padding(_pages(report.pages), (0, 0, 0, 2), expand=False)
    yield Padding(_facts(report), (0, 0, 0, 2), expand=False)
    for page in report.pages if verbose else ():
        if page.tags:
            yield Padding(_tags(page), (1, 0, 0, 2), expand=False)
    yield Text()


def _pages(pages: tuple[PageReport, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("page", "what", "size", "bits", "samples", "stored as", "reading takes"):
        table.add_column(name, overflow="fold")
    for page in pages:
        stored = page.storage or f"{page.compression}, {page.photometric}"
        stored = stored.removeprefix(f"{page.bits}-bit, ")  # has a column of its own
        table.add_row(
            page.label,
            Text(page.role, STYLES.get(page.role, "")),
            f"{page.width} x {page.height}",
            page.bits,
            ", ".join(page.samples),
            f"{stored}; {page.problem}" if page.problem else stored,
            _cost(page),
        )
    return table


def _cost(page: PageReport) -> str:
    if not page.reading:
        return "-"
    text = f"{size(page.memory_bytes)} of memory"
    if page.disk_bytes:
        text += f", {size(page.disk_bytes)} of disk"
    return f"{text} ({page.reading})"


def _facts(report: FileReport) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    decoded = report.width * report.height * report.channels * report.bits // 8
    dpi = "not known" if report.dpi is None else " x ".join(f"{v:g}" for v in report.dpi)
    infrared = report.infrared.detail if report.infrared else "none"
    assumed = ", so taken as gamma-encoded" if report.encoding == "unknown" else ""
    rows = {
        "picture": f"{report.width * report.height / 1e6:.1f} MP, {size(decoded)} decoded",
        "encoding": f"{report.encoding}: {report.encoding_reason}{assumed}",
        "profile": report.icc or "none",
        "dpi": dpi,
        "film": f"{report.film} (a guess): {report.film_reason}",
        "infrared": infrared,
        "clean writes": report.target,
        "keeps": "; ".join(report.keeps),
        "loses": "; ".join(report.loses) or "nothing",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    for page in report.pages:
        names = [tag.name + ("" if tag.kept else "*") for tag in page.tags]
        if names:
            table.add_row(f"tags of {page.label}", ", ".join(names))
    if any(not tag.kept for page in report.pages for tag in page.tags):
        table.add_row("", "* is not written again")
    return table


def _tags(page: PageReport) -> Table:
    table = Table(title=f"page {page.label}", box=None, title_justify="left", pad_edge=False)
    for name in ("tag", "name", "directory", "kept", "value"):
        table.add_column(name, overflow="fold")
    for tag in page.tags:
        kept = "yes" if tag.kept else "no"
        table.add_row(str(tag.code), tag.name, tag.ifd, kept, tag.value)
    return table


def size(count: int) -> str:
    """Bytes for a person."""
    if count >= 1024 * MIB:
        return f"{count / MIB / 1024:.1f} GiB"
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{max(1, count // 1024)} KiB"

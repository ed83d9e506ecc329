"""Opening the file of a mask: layers of editors, bilevel and palette pictures, else any scan."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.errors import DarkroomError, InputError
from darkroom.geometry import Window
from darkroom.io.files import PositionedFile, check_size, reading
from darkroom.io.psd.layout import (
    ALPHA,
    RGB,
    SIGNATURE,
    USER_MASK,
    Header,
    Layer,
    Order,
    Read,
    file_layers,
    find_sections,
    parse_header,
    tiff_layers,
)
from darkroom.io.psd.read import open_psd, read_channel
from darkroom.io.psd.write import REPAIR_LAYER
from darkroom.io.registry import TIFF_MAGIC, open_scan
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.spooled import SpooledScan
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.open import open_tiff
from darkroom.io.tiff.pages import Page, read_pages
from darkroom.protocols import ReaderSpec
from darkroom.scan import Scan, ScanInfo

MASK_PAGE = "darkroom mask"  # what a page of a TIFF with layers is called
PAGE_NAME = 285
EXPORT_HINT = "export the mask as PNG, TIFF or PSD"
# Modes of Pillow: marks may be in the colours of a palette, or in its transparency.
MODES = {"1": "L", "P": "RGBA", "PA": "RGBA", "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA"}
BILEVEL = ("1", "P", "PA")
PROJECTS = {b"gimp xcf": "GIMP's own format (XCF)", b"PK\3\4": "a project file (KRA, ORA)"}


@dataclass(frozen=True, slots=True)
class MaskFile:
    """The picture of a mask.

    Attributes:
        scan: its pixels.
        as_stored: whether it is known to lie as the scan that it belongs to is stored.
    """

    scan: Scan
    as_stored: bool = False


def open_mask_file(
    path: Path, readers: Sequence[ReaderSpec] | None, limits: dict[str, Any]
) -> MaskFile:
    """Open a mask.

    Args:
        path: the file.
        readers: as for `open_scan`.
        limits: `cache_bytes`, `max_pixels` and `scratch`.

    Raises:
        InputError: if it cannot be read.
    """
    with PositionedFile(path) as file:
        head = file.head(16)
    if head.startswith(SIGNATURE):
        return _photoshop(path, limits)
    for magic, name in PROJECTS.items():
        if head.startswith(magic):
            raise InputError(f"{path}: {name} cannot be read as a mask", hint=EXPORT_HINT)
    if head[:4] in TIFF_MAGIC:
        layered = _layered_tiff(path, limits)
        if layered is not None:
            return layered
    try:
        return MaskFile(open_scan(path, readers=readers, **limits))
    except InputError as reason:
        scan = _by_pillow(path, limits)
        if scan is None:
            raise reason from None
        return MaskFile(scan)


# -- layers ------------------------------------------------------------------------------------


def _photoshop(path: Path, limits: dict[str, Any]) -> MaskFile:
    """The repairs of a layered file, else its topmost layer that is transparent somewhere."""
    with PositionedFile(path) as file, reading(path, "Photoshop file"):
        header = parse_header(file.head(26))
        check_size(path, header.width, header.height, limits["max_pixels"])
        layers = file_layers(file.read, header, find_sections(file.read, header).layers)
        found = _layer(file.read, layers, header, ">")
        if found is not None:
            return _layer_file(path, file.read, found, header, ">", limits["scratch"])
    return MaskFile(open_psd(path, **limits))


def _layer(read: Read, layers: list[Layer], header: Header, order: Order) -> Layer | None:
    """The layer whose opacity is the mask, or None if the flat picture is."""
    for layer in reversed(layers):
        if REPAIR_LAYER in layer.name:
            return layer
    for layer in reversed(layers):
        if layer.hidden or ALPHA not in layer.channels or not layer.window.area:
            continue
        whole = layer.window.contains(Window(0, 0, header.width, header.height))
        opacity = read_channel(read, layer, ALPHA, layer.window, header, order)
        if not whole or int(opacity.min()) < np.iinfo(opacity.dtype).max:
            return layer
    return None


def _layer_file(
    path: Path, read: Read, layer: Layer, header: Header, order: Order, scratch: Scratch
) -> MaskFile:
    """The opacity of a layer, user mask included, as a grey picture of the whole canvas."""
    needed = 4 * layer.window.area * header.dtype.itemsize
    scratch.require_memory(path, needed, "a layer has to be decoded as a whole")
    ours = REPAIR_LAYER in layer.name
    warnings = [] if ours else [f"the opacity of its layer {layer.name!r} was read as the mask"]
    if layer.hidden:
        warnings.append(f"its layer {layer.name!r} is hidden; it was read all the same")
    window, dtype = layer.window, header.dtype.newbyteorder("=")
    opacity = np.zeros((window.height, window.width), dtype)
    if ALPHA in layer.channels:
        opacity = read_channel(read, layer, ALPHA, window, header, order)
    elif window.area:
        opacity[:] = np.iinfo(dtype).max
    if USER_MASK in layer.channels:
        opacity = np.minimum(opacity, _user_mask(read, layer, header, order))
    inside = window.clip(header.width, header.height)
    opacity = opacity[inside.relative_to(window).slices]

    def decode(spool: Spool) -> None:
        if inside.area:
            spool.write(inside, opacity)

    info = ScanInfo(path, "psd", header.width, header.height, 1, dtype, layout="layer")
    return MaskFile(SpooledScan(info, decode, scratch, warnings=tuple(warnings)), ours)


def _user_mask(read: Read, layer: Layer, header: Header, order: Order) -> np.ndarray[Any, Any]:
    """A layer's user mask over the layer's own window."""
    dtype = header.dtype.newbyteorder("=")
    outside = layer.mask_outside * (np.iinfo(dtype).max // 255)
    out = np.full((layer.window.height, layer.window.width), outside, dtype)
    mask = read_channel(read, layer, USER_MASK, layer.mask_window, header, order)
    common = layer.window.intersect(layer.mask_window)
    if common.area:
        part = mask[common.relative_to(layer.mask_window).slices]
        out[common.relative_to(layer.window).slices] = part
    return out


def _layered_tiff(path: Path, limits: dict[str, Any]) -> MaskFile | None:
    """The page or the layer that is the mask, or None where a TIFF says of none that it is."""
    with PositionedFile(path) as file, reading(path, "TIFF file"):
        pages = read_pages(file)
        for page in pages:
            name = f"{page.text(T.DESCRIPTION)} {page.text(PAGE_NAME)}"
            if len(pages) > 1 and (MASK_PAGE in name or REPAIR_LAYER in name):
                return MaskFile(open_tiff(path, page_number=page.number, **limits))
        block = pages[0].data(T.PHOTOSHOP_LAYERS)
        if block is None:
            return None
        layers, read, order = tiff_layers(block)
        header = _header_of(pages[0])
        found = _layer(read, layers, header, order)
        if found is None:
            return None
        return _layer_file(path, read, found, header, order, limits["scratch"])


def _header_of(page: Page) -> Header:
    return Header(False, max(1, page.samples), page.width, page.height, page.bits[0], RGB)


# -- what no scan is ---------------------------------------------------------------------------


def _by_pillow(path: Path, limits: dict[str, Any]) -> Scan | None:
    """A picture of 1 bit, with a palette, or of another format that Pillow reads; else None."""
    from PIL import Image

    scratch: Scratch = limits["scratch"]
    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            # Of other TIFFs and JPEGs darkroom's own reader is the stricter: what it refuses is
            # damaged, and would give other marks in silence.
            known = BILEVEL if image.format in ("TIFF", "JPEG", "MPO") else MODES
            if image.mode not in known:
                return None
            check_size(path, *image.size, limits["max_pixels"])
            mode = MODES[image.mode]
            transparent = image.has_transparency_data
            if mode == "RGBA" and not transparent:
                mode = "RGB"
            needed = image.width * image.height * (len(mode) + 1)
            scratch.require_memory(path, needed, "a mask of this kind is decoded as a whole")
            orientation = image.getexif().get(T.ORIENTATION, 1)
            pixels = np.asarray(image.convert(mode))
    except DarkroomError:
        raise
    except Exception:  # of a damaged file Pillow raises nearly anything; the first error tells more
        return None
    finally:
        Image.MAX_IMAGE_PIXELS = most
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    info = ScanInfo(
        path,
        "mask",
        pixels.shape[1],
        pixels.shape[0],
        3 if pixels.shape[2] > 2 else 1,
        np.dtype(np.uint8),
        extra=int(transparent and pixels.shape[2] in (2, 4)),
        extra_kinds=(2,) * int(transparent and pixels.shape[2] in (2, 4)),
        photometric="rgb" if pixels.shape[2] > 2 else "minisblack",
        orientation=orientation if orientation in range(1, 9) else 1,
        layout="mask",
    )

    def decode(spool: Spool) -> None:
        spool.write(Window(0, 0, spool.width, spool.height), pixels)

    return SpooledScan(info, decode, scratch)

"""The picture that `darkroom demo` leaves: the frame, crops at 100 %, before, after and mask."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from darkroom.geometry import Window
from darkroom.io import open_scan
from darkroom.io.atomic import write_atomic
from darkroom.scan import Pixels, Scan

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

CROP_WIDTH, CROP_HEIGHT = 420, 280
GAP, TEXT, TITLE = 24, 22, 34
PAPER, INK, FAINT = (18, 18, 20), (236, 234, 228), (150, 148, 142)
HEADINGS = ("Scan, 100 %", "Cleaned, 100 %", "Mask: all that may change")


def draw(
    scan: Path, cleaned: Path, mask: Path, target: Path, places: Sequence[tuple[int, int]]
) -> None:
    """Write the picture.

    Args:
        scan: before.
        cleaned: after.
        mask: what was repaired.
        target: the PNG.
        places: centres (x, y) of the crops.
    """
    from PIL import Image, ImageDraw

    with open_scan(scan) as before, open_scan(cleaned) as after, open_scan(mask) as marked:
        info = before.info
        width = 4 * GAP + 3 * CROP_WIDTH
        half = (width - 3 * GAP) // 2
        tall = round(half * info.height / info.width)
        crops = [_crop(info.window, x, y) for x, y in places]
        height = 2 * GAP + TITLE + TEXT + 8 + tall
        height += GAP + TEXT + 8 + len(crops) * (CROP_HEIGHT + GAP)
        sheet = Image.new("RGB", (width, height), PAPER)
        pen = ImageDraw.Draw(sheet)
        top = GAP // 2
        _write(pen, GAP, top, "darkroom demo", TITLE - 6, INK)
        top += TITLE + 4
        for x, title, source in ((GAP, "Before", before), (2 * GAP + half, "After", after)):
            _write(pen, x, top, title, TEXT - 4, FAINT)
            sheet.paste(_whole(source, half, tall), (x, top + TEXT + 4))
            for place in crops if source is before else ():
                _outline(pen, place, half / info.width, x, top + TEXT + 4)
        top += TEXT + 4 + tall + GAP
        for column, title in enumerate(HEADINGS):
            _write(pen, GAP + column * (CROP_WIDTH + GAP), top, title, TEXT - 4, FAINT)
        top += TEXT + 4
        for row, place in enumerate(crops):
            for column, source in enumerate((before, after, marked)):
                at = (GAP + column * (CROP_WIDTH + GAP), top + row * (CROP_HEIGHT + GAP))
                sheet.paste(_eight_bit(source.read(place)), at)
    data = io.BytesIO()
    sheet.save(data, "PNG", optimize=True)
    write_atomic(target, data.getvalue(), overwrite=True)


def _crop(frame: Window, x: int, y: int) -> Window:
    """A crop about a place, moved into the frame."""
    width, height = min(CROP_WIDTH, frame.width), min(CROP_HEIGHT, frame.height)
    left = min(max(0, x - width // 2), frame.width - width)
    top = min(max(0, y - height // 2), frame.height - height)
    return Window(left, top, width, height)


def _whole(scan: Scan, width: int, height: int) -> "Image.Image":
    """The frame made small, by the means of blocks and then a resampling."""
    from PIL import Image

    block = max(1, scan.info.width // (2 * width))
    rows = []
    columns = scan.info.width // block * block
    for y in range(0, scan.info.height - block + 1, block):
        strip = scan.read(Window(0, y, columns, block)).astype(np.float32)
        rows.append(strip.reshape(block, -1, block, strip.shape[2]).mean(axis=(0, 2)))
    small = np.stack(rows).astype(scan.info.dtype)
    return _eight_bit(small).resize((width, height), Image.Resampling.LANCZOS)


def _eight_bit(pixels: Pixels) -> "Image.Image":
    from PIL import Image

    shift = 8 * (pixels.dtype.itemsize - 1)
    bytes_ = (pixels >> shift).astype(np.uint8)
    return Image.fromarray(bytes_ if bytes_.shape[2] == 3 else bytes_[..., 0]).convert("RGB")


def _outline(pen: "ImageDraw.ImageDraw", place: Window, scale: float, left: int, top: int) -> None:
    box = (place.x * scale + left, place.y * scale + top)
    far = (place.right * scale + left, place.bottom * scale + top)
    pen.rectangle((*box, *far), outline=INK, width=2)


def _write(
    pen: "ImageDraw.ImageDraw", x: int, y: int, text: str, size: int, ink: tuple[int, int, int]
) -> None:
    from PIL import ImageFont

    pen.text((x, y), text, fill=ink, font=ImageFont.load_default(size))

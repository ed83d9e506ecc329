"""What a scan is: its description, its pixels by window, and the tiles backends work on.

Nothing here reads a file; readers in `darkroom.io` fill these types in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.metadata import Metadata, Storage

Pixels: TypeAlias = NDArray[Any]  # (H, W, S) in the file's own dtype
Float: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]


LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue (ITU-R BT.709), on gamma-encoded values: the one grey there is."""


def luminance(image: Float) -> Float:
    """What a grey network, a figure or a survey sees of a picture.

    Args:
        image: float32 (H, W, C), C = 1 or 3, gamma-encoded, in any unit.

    Returns:
        float32 (H, W) in that unit; the only channel where there is but one. Summed channel by
        channel, so that a pixel gets the same value in every tile.
    """
    if image.shape[2] == 1:
        return image[..., 0]
    red, green, blue = (np.float32(weight) for weight in LUMINANCE)
    plane: Float = image[..., 0] * red
    plane += image[..., 1] * green
    plane += image[..., 2] * blue
    return plane


class Encoding(StrEnum):
    """How sample values relate to light."""

    LINEAR = "linear"
    GAMMA = "gamma"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ColorProfile:
    """The embedded ICC profile, if any, and the encoding the reader concluded from the file.

    Attributes:
        icc: the profile's bytes.
        encoding: how sample values relate to light.
        reason: what in the file the encoding was concluded from, for a person to read.
    """

    icc: bytes | None = None
    encoding: Encoding = Encoding.UNKNOWN
    reason: str = field(default="nothing in the file says", compare=False)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where the infrared channel lies.

    Attributes:
        where: "sample" (of the picture's own page), "page" (another page of the same file) or
            "file" (a sidecar).
        index: sample number, or page number.
        path: the file that holds it.
        width: columns of the plane itself; may differ from the picture's.
        height: rows of the plane itself.
    """

    where: Literal["sample", "page", "file"]
    index: int
    path: Path
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ScanInfo:
    """Everything known of a scan without reading its pixels.

    Attributes:
        path: the file.
        format: "tiff", "png", "jpeg" or "raw".
        width: columns.
        height: rows.
        channels: picture samples a pixel, 1 (grey) or 3 (RGB).
        extra: samples after those, carried through untouched (alpha, infrared).
        dtype: uint8, uint16 or float32 in native byte order.
        photometric: how 0 is to be read.
        profile: colour profile and encoding.
        resolution: (horizontal, vertical) in pixels per inch, or None.
        orientation: EXIF orientation 1 to 8; pixels are never turned.
        metadata: tags and blocks to carry.
        infrared: where the infrared plane is, if there is one.
        extra_kinds: TIFF ExtraSamples codes of the extra samples.
        storage: what a writer may want to repeat.
        layout: the same for a person to read.
    """

    path: Path
    format: str
    width: int
    height: int
    channels: int
    dtype: np.dtype[Any]
    extra: int = 0
    photometric: Literal["minisblack", "miniswhite", "rgb"] = "minisblack"
    profile: ColorProfile = ColorProfile()
    resolution: tuple[float, float] | None = None
    orientation: int = 1
    metadata: Metadata = Metadata()
    infrared: Plane | None = None
    extra_kinds: tuple[int, ...] = ()
    storage: Storage = Storage()
    layout: str = ""

    @property
    def samples(self) -> int:
        """Samples a pixel, extras included."""
        return self.channels + self.extra

    @property
    def window(self) -> Window:
        """The whole image."""
        return Window(0, 0, self.width, self.height)

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels once decoded, extras included."""
        return self.width * self.height * self.samples * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class ReadCost:
    """What reading a scan by windows takes, whatever the size of the windows.

    Attributes:
        how: in a few words, for a person to read.
        memory: bytes of memory at most, besides the windows asked for.
        disk: bytes of temporary files.
        rows: how many rows windows side by side may have so that nothing is decoded twice; None
            if it makes no difference.
    """

    how: str = "in memory"
    memory: int = 0
    disk: int = 0
    rows: int | None = None


class Scan(Protocol):
    """An open scan: its description and its pixels by window.

    `read` may be called from several threads.

    Attributes:
        info: what it is.
        cost: what reading it takes.
        warnings: what the user should know of how the file was understood, a sentence each.
    """

    info: ScanInfo
    cost: ReadCost
    warnings: tuple[str, ...]

    def read(self, window: Window) -> Pixels:
        """The samples of a window inside the image: (height, width, samples), native dtype.

        Raises:
            InputError: if the data are damaged.
            ValueError: if the window leaves the image.
        """

    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class BaseScan:
    """What scans have in common; one of a kind adds `_read`, and `close` if it holds anything.

    Args:
        info: what it is.
        cost: what reading it takes.
        warnings: as for `Scan`.
    """

    def __init__(
        self, info: ScanInfo, cost: ReadCost = ReadCost(), warnings: tuple[str, ...] = ()
    ) -> None:
        self.info, self.cost, self.warnings = info, cost, warnings

    def read(self, window: Window) -> Pixels:
        """See `Scan.read`."""
        if not self.info.window.contains(window):
            raise ValueError(f"{window} leaves the image")
        return self._read(window)

    def _read(self, window: Window) -> Pixels:
        raise NotImplementedError

    def close(self) -> None:
        """Release what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ScanView(BaseScan):
    """Another view of a scan, which is closed with it.

    Args:
        scan: the scan.
        info: what the view is.
    """

    def __init__(self, scan: Scan, info: ScanInfo) -> None:
        super().__init__(info, scan.cost, scan.warnings)
        self._scan = scan

    def close(self) -> None:
        """Close the scan."""
        self._scan.close()


def held_rows(*scans: Scan) -> int | None:
    """How high windows side by side may be for none of the scans to decode anything twice."""
    return min((s.cost.rows for s in scans if s.cost.rows is not None), default=None)


def read_padded(
    read: Callable[[Window], Pixels], width: int, height: int, window: Window
) -> Pixels:
    """The samples of a window that may stick out of an image.

    What lies outside is the image mirrored at its edge pixels (reflect-101), as often as needed.

    Args:
        read: gives the samples of a window inside the image.
        width: image columns.
        height: image rows.
        window: the pixels wanted.

    Returns:
        (window.height, window.width, samples) in the dtype that `read` gives.
    """
    if Window(0, 0, width, height).contains(window):
        return read(window)
    rows = reflect(window.y, window.bottom, height)
    columns = reflect(window.x, window.right, width)
    y, x = int(rows.min()), int(columns.min())
    inside = Window(x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1)
    pixels = read(inside)
    if inside.height != window.height or inside.y != window.y:
        pixels = np.take(pixels, rows - y, axis=0)
    if inside.width != window.width or inside.x != window.x:
        pixels = np.take(pixels, columns - x, axis=1)
    return pixels


def reflect(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices start..stop-1 folded into 0..size-1 by mirroring at the edge samples."""
    index = np.arange(start, stop)
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    folded = np.abs(index) % period
    return np.where(folded >= size, period - folded, folded)


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of a scan as backends see it.

    Attributes:
        core: the pixels this tile answers for, in image coordinates.
        read: the pixels it holds, in image coordinates; may stick out of the image.
        image: float32 (H, W, C) over `read`, in [0, 1], gamma-encoded, C = 1 or 3.
        mask: uint8 (H, W) over `read`, 0 keep and 255 repair, or None.
        infrared: float32 (H, W) over `read` in [0, 1], proportional to infrared light and laid
            over the picture, or None.
        score: float32 (H, W) over `read` in [0, 1], what a restorer made of it, or None.
        fill: float32 (H, W, C) over `read`, a restorer's repair, or None; meaningless where the
            score is below the low threshold.
        inside: the part of `read` that the picture covers; the rest is mirrored. None stands for
            all of it. A thing cut by the picture's edge and its mirror image look like one whole
            thing, so a network that knows edges had better look at this part only.
    """

    core: Window
    read: Window
    image: Float
    mask: Bytes | None = None
    infrared: Float | None = None
    score: Float | None = None
    fill: Float | None = None
    inside: Window | None = None

    @property
    def core_slices(self) -> tuple[slice, slice]:
        """(rows, columns) of the core within the tile's arrays."""
        return self.core.relative_to(self.read).slices

    def luminance(self) -> Float:
        """(H, W), see `luminance`; for a grey tile, the image itself."""
        return luminance(self.image)


@dataclass(frozen=True, slots=True)
class InfraredStats:
    """How the infrared of clean film follows the picture, and how far it strays from that.

    The model and its units are those of `darkroom.infrared`.

    Attributes:
        size: (width, height) of the frame, which the shading is scaled by.
        level: log infrared where the picture is white.
        crosstalk: change of log infrared with the log light of each channel.
        bends: change of log infrared with the square of that.
        tones: (least, largest) log light of each channel beyond which it bends no more.
        lamp: float32 (65, 65), log infrared of the lamp beside `level`, at places evenly spaced
            from edge to edge of the frame, rows first.
        mirrors: slope of log infrared against the log luminance of the picture.
        noise: robust standard deviation of log infrared about the model, in equal bins of
            gamma-encoded luminance over [0, 1].
        mean_noise: the same of means over 3 x 3 pixels.
        edges: spread of log infrared about the model at the picture's edges, as a share of their
            height in the model: what focus and place leave, of single pixels and of means.
        exponents: change of each channel's log light with the log transmission of what lies on
            the film.
        exponent_doubt: standard deviation of a single artefact's exponents about these.
        stray: standard deviation of log transmission at an artefact's rim, by focus and place, as a
            share of its range within 3 x 3 pixels.
        shift: (dx, dy) in pixels that the plane was moved by in the picture's middle.
        covered: the part of the picture that the plane shows, or None for all of it.
    """

    size: tuple[int, int]
    level: float
    crosstalk: tuple[float, ...]
    bends: tuple[float, ...]
    tones: tuple[tuple[float, float], ...]
    lamp: Float
    mirrors: float
    noise: tuple[float, ...]
    mean_noise: tuple[float, ...]
    edges: tuple[float, float] = (0.0, 0.0)
    exponents: tuple[float, ...] = ()
    exponent_doubt: float = 3.0
    stray: float = 0.3
    shift: tuple[float, float] = (0.0, 0.0)
    covered: Window | None = None


@dataclass(frozen=True, slots=True)
class FrameStats:
    """What the survey learnt of the whole frame, so that no tile judges by itself alone.

    Values are in the gamma-encoded [0, 1] scale that tiles have.

    Attributes:
        black: 0.1 % percentile of luminance.
        white: 99.9 % percentile of luminance.
        median: 50 % percentile of luminance.
        noise: robust standard deviation of grain plus scanner noise in luminance.
        noise_levels: luminance of the centres of equal bins over [0, 1].
        noise_curve: noise at each of those, interpolated where the frame has none.
        polarity: which artefacts the frame can be expected to carry.
        dpi: pixels per inch, or None.
        frame: the picture without film border and holder, in image coordinates.
        infrared: of the infrared plane, where the run uses one.
    """

    black: float
    white: float
    median: float
    noise: float
    noise_levels: tuple[float, ...]
    noise_curve: tuple[float, ...]
    polarity: Literal["bright", "dark", "both"]
    dpi: float | None
    frame: Window
    infrared: InfraredStats | None = None

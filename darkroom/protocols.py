"""What a backend is to the rest of darkroom.

A backend is one of three kinds. A *detector* says where artefacts are and leaves the repair to
an inpainter. An *inpainter* fills pixels it is told to fill. A *restorer* does both at once.
All work on `Tile`s, numpy arrays in and out; none sees a file, an option of the command line or
another tile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from darkroom.geometry import Window
from darkroom.judging import Candidate
from darkroom.scan import Bytes, Float, FrameStats, Tile

Kind: TypeAlias = Literal["detector", "inpainter", "restorer"]


@dataclass(frozen=True, slots=True)
class TileContract:
    """What tiles a loaded backend wants, so that callers can cut them without knowing it.

    Attributes:
        halo: context in pixels on each side of a core beyond which no pixel matters.
        multiple_of: the sides and origins of read windows are multiples of this.
        tile: preferred side of a core in pixels.
        channels: "gray" gets luminance, "rgb" always three channels, "any" what the scan has.
        batch: most tiles given in one call (restorers).
        workspace: bytes of working memory for each pixel of a read window, for planning.
        parallel: may be called from several threads at once.
        at_once: most tiles under way at a time, where each takes all processors for most of its
            work; 0 for as many as there are threads.
        grow: pixels by which the mask of an accepted component is widened before the repair.
        relative: share of a component's own greatest score that the pixels of its mask reach; the
            others of the component are left as they are. 0 takes all of it.
        needs: what it cannot work without, e.g. {"infrared"}.
    """

    halo: int = 0
    multiple_of: int = 1
    tile: int = 512
    channels: Literal["gray", "rgb", "any"] = "any"
    batch: int = 1
    workspace: int = 64
    parallel: bool = True
    at_once: int = 0
    grow: int = 1
    relative: float = 0.0
    needs: frozenset[str] = frozenset()


@runtime_checkable
class Detector(Protocol):
    """Finds artefacts."""

    contract: TileContract

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """(low, high) limits of the score at a sensitivity of 0 to 100.

        A component of pixels at or above `low` is a candidate if one of them reaches `high`.
        """

    def detect(self, tile: Tile, stats: FrameStats) -> Float:
        """Score of each pixel of the read window: float32 (H, W) in [0, 1], 1 = surely damaged.

        May depend only on pixels within the contract's halo, never on where the tile lies.
        """


@runtime_checkable
class Scaled(Protocol):
    """A finder that looks at fine scans on another scale, and so wants other tiles of them."""

    def contract_for(self, dpi: float | None) -> TileContract:
        """Its contract for scans of so many pixels per inch; None where the file does not say."""


@runtime_checkable
class ComponentJudge(Protocol):
    """A finder that also judges each candidate as a whole, however it lay on the tiles."""

    margin: int

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """Confidence in [0, 1] that the component in `crop.mask` is an artefact.

        `crop.read` is the component's bounding box and `margin` pixels around it. For a restorer
        it ends with the image, and `crop.score` and `crop.fill` are there; the fill is only where
        there are candidates. Components at or above 0.5 are repaired.
        """


@runtime_checkable
class Measured(Protocol):
    """A finder whose judge can be fitted, on candidates as it sees them itself."""

    margin: int

    def candidate(self, crop: Tile, stats: FrameStats) -> Candidate:
        """A candidate, as large as it sees it; `crop` is as for a `ComponentJudge`."""


@runtime_checkable
class MaskRefiner(Protocol):
    """A detector that says itself how far an accepted component reaches."""

    margin: int

    def refine(self, crop: Tile, stats: FrameStats) -> Bytes:
        """The pixels to repair: uint8 (H, W), 0 or 255, over `crop.read`.

        `crop` is as for a `ComponentJudge`. Takes the place of growing by `contract.grow`.
        """


@runtime_checkable
class Recoverer(Protocol):
    """A detector that can bring back film which shows through what it found."""

    def recover(self, crop: Tile, fill: Float, stats: FrameStats) -> Float:
        """The repair, with the film itself in place of the fill wherever it shows through.

        Args:
            crop: image, mask and whatever else the detector works with.
            fill: float32 (H, W, C), the inpainter's repair, with grain.
            stats: of the frame.

        Returns:
            float32 (H, W, C) in [0, 1]; only pixels under `crop.mask` are used.
        """


@runtime_checkable
class Inpainter(Protocol):
    """Fills masked pixels."""

    contract: TileContract

    def fill(self, crop: Tile) -> Float:
        """The crop's image with the pixels under `crop.mask` replaced: float32 (H, W, C)."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A part of a tile that is filled.

    Attributes:
        window: counted from the corner of the tile's read window.
        fill: float32 (H, W, C) over it.
    """

    window: Window
    fill: Float


@dataclass(frozen=True, slots=True)
class Restoration:
    """A restorer's answer for one tile: a score, and what pixels should be if they are damaged.

    Attributes:
        score: float32 (H, W) in [0, 1] over the read window.
        fill: float32 (H, W, C) over the read window, or None where `parts` hold it.
        parts: the fill where there is any: all pixels of the core whose score reaches the lowest
            threshold, and whatever lies between them.
    """

    score: Float
    fill: Float | None = None
    parts: Sequence[Filled] = ()

    def over(self, image: Float) -> Float:
        """The fill of the whole read window: where there is none, the tile's image."""
        if self.fill is not None:
            return self.fill
        whole = image.copy()
        for part in self.parts:
            whole[part.window.slices] = part.fill
        return whole


@runtime_checkable
class Restorer(Protocol):
    """Finds and fills artefacts in one pass."""

    contract: TileContract

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """As for a detector."""

    def restore(self, tiles: Sequence[Tile], stats: FrameStats) -> list[Restoration]:
        """Scores and fills of tiles of equal size.

        A tile's mask, if it has one, is what has to be filled whatever its score.
        """


@runtime_checkable
class FrameReplacer(Protocol):
    """A restorer that can be asked for every pixel's value, damaged or not.

    Attributes:
        whole_frame: whether it was asked. Then the whole picture is the mask, but for what the
            user excludes; no coverage limit holds, no grain is added, and the receipt says so.
    """

    whole_frame: bool


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a backend's answers rest on besides its code and its options; receipts keep it.

    Attributes:
        precision: number format of its arithmetic, "float32" or "bfloat16".
        weights: name of the weights file, or None without one.
        weights_sha256: of the tensors in it, as its header has it.
    """

    precision: str = "float32"
    weights: str | None = None
    weights_sha256: str = ""


@runtime_checkable
class Accountable(Protocol):
    """A backend that says what its answers rest on."""

    provenance: Provenance


Backend: TypeAlias = Detector | Inpainter | Restorer


@dataclass(frozen=True, slots=True)
class Device:
    """Where a backend computes.

    Attributes:
        name: "cpu", "cuda:0", "mps".
        threads: of processors, to compute with; 0 for all that there are.
    """

    name: str = "cpu"
    threads: int = 0


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """A backend as a plugin announces it. Strings only: announcing imports nothing.

    Attributes:
        kind: what it does.
        name: what users call it.
        factory: "package.module:callable"; called as `factory(options, device=Device)`.
        summary: one line for `darkroom backends`.
        options: "package.module:Class", a dataclass of its options with defaults, or None.
        requires: importable modules it needs, checked without importing them.
        inpainter: for detectors, the inpainter used unless another is asked for; for restorers,
            the one that fills where the mask is given.
        devices: kinds of device it can use.
    """

    kind: Kind
    name: str
    factory: str
    summary: str
    options: str | None = None
    requires: tuple[str, ...] = ()
    inpainter: str | None = None
    devices: tuple[str, ...] = ("cpu",)


@dataclass(frozen=True, slots=True)
class TrainableSpec:
    """A network that `darkroom train` can train. Strings only.

    Attributes:
        name: what users call it; also the architecture in the weights file.
        factory: "package.module:callable"; called as `factory(options)`, gives a
            `darkroom.training.trainable.Trainable`.
        summary: one line.
        options: "package.module:Class", a dataclass of the network's shape with defaults, or None.
    """

    name: str
    factory: str
    summary: str
    options: str | None = None


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """A reader of scans.

    Attributes:
        name: what it is called in messages.
        suffixes: lower-case suffixes with their dot, for globs and for telling formats apart
            where their first bytes are the same.
        magic: what the file may begin with; empty if only the suffix tells.
        opener: "package.module:callable" of (path, *, cache_bytes, max_pixels, scratch) -> Scan.
        priority: the reader with the higher one is asked first; built-ins have 0.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: tuple[bytes, ...]
    opener: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class WriterSpec:
    """A writer of scans.

    Attributes:
        name: what it is called in messages.
        suffixes: lower-case suffixes with their dot that ask for it.
        opener: "package.module:callable" of (path, info, *, compression) -> ScanSink.
        priority: as for readers.
    """

    name: str
    suffixes: tuple[str, ...]
    opener: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `darkroom_scan_cleaned` tells plugins after each finished file."""

    source: str
    output: str | None
    receipt: Mapping[str, Any] = field(default_factory=dict)

"""`darkroom demo`: a photograph becomes a dusty film scan, is cleaned, and the result is measured.

The scan is made band by band, and so are the figures, so that the peak memory that is reported is
that of cleaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.damage.model import DamageModel, apply
from darkroom.errors import OutputError
from darkroom.geometry import Window, bands
from darkroom.io import create_scan, open_scan
from darkroom.io.guard import prepare
from darkroom.options import CleanOptions, OutputOptions
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.job import Job
from darkroom.pipeline.output import refuse_existing
from darkroom.pipeline.progress import Progress, Silent
from darkroom.pipeline.receipt import Receipt, receipt_path
from darkroom.pipeline.request import Request
from darkroom.plugins.manager import Plugins, installed
from darkroom.scan import Bytes, ColorProfile, Encoding, Float, Pixels, ScanInfo

WIDTH, HEIGHT, DPI = 4000, 3000, 4000
ROWS = 250  # of a band; grain is drawn by bands, so this belongs to the picture
GRAIN = 0.022  # standard deviation in the mid-tones, of full scale
GRAIN_BLUR = 0.8  # pixels; grain at 4000 dpi is a little coarser than a pixel
GRAIN_COLOUR = 0.5  # share of the grain that each dye layer has of its own
FULL = 65_535


class Film:
    """A photograph on film with dust on it, as a scanner would see it; any rows at any time.

    Args:
        photograph: float32 (H, W, 3) in [0, 1], sRGB.
        width: of the scan.
        height: of the scan.
        seed: of grain and damage.
    """

    def __init__(self, photograph: Float, width: int, height: int, seed: int) -> None:
        self.photograph, self.seed = photograph, seed
        self.frame = Window(0, 0, width, height)
        self.damage = DamageModel.load().sample(width, height, DPI, seed)

    def rows(self) -> Iterator[tuple[Window, Pixels, Pixels, Bytes]]:
        """Bands of (window, clean uint16, damaged uint16, mask of the damage)."""
        for window in bands(self.frame.width, self.frame.height, ROWS):
            clean = np.clip(self._enlarged(window) + self._grain(window), 0, 1)
            clean = (clean * FULL).round().astype(np.float32) / np.float32(FULL)
            damaged, mask = apply(clean, self.damage, window)
            truth, scan = ((a * FULL).round().astype(np.uint16) for a in (clean, damaged))
            yield window, truth, scan, mask

    def _enlarged(self, window: Window) -> Float:
        """Bicubic interpolation of the photograph, whose middle fills the frame."""
        import cv2

        height, width = self.photograph.shape[:2]
        scale = min(width / self.frame.width, height / self.frame.height)
        left = (width - scale * self.frame.width) / 2
        x = (np.arange(window.width, dtype=np.float32) + 0.5) * scale + left - 0.5
        y = (np.arange(window.y, window.bottom, dtype=np.float32) + 0.5) * scale - 0.5
        columns, rows = np.meshgrid(x, y)
        return np.asarray(
            cv2.remap(
                self.photograph,
                columns.astype(np.float32),
                rows.astype(np.float32),
                cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT_101,
            )
        )

    def _grain(self, window: Window) -> Float:
        """Noise with the correlation of film grain, strongest in the mid-tones."""
        import cv2

        margin = 4
        noise = np.concatenate(
            [
                self._white(window.y // ROWS - 1)[-margin:],
                self._white(window.y // ROWS)[: window.height],
                self._white(window.y // ROWS + 1)[:margin],
            ]
        )
        smooth = cv2.GaussianBlur(noise, (0, 0), GRAIN_BLUR)[margin : margin + window.height]
        # The blur of independent unit noise has this deviation: 1 / (2 sqrt(pi) sigma).
        smooth *= 2 * np.sqrt(np.pi) * GRAIN_BLUR
        tone = self._enlarged(window).mean(axis=2, keepdims=True)
        strength = GRAIN * (0.35 + 2.6 * tone * (1 - tone))
        return np.asarray(smooth * strength, np.float32)

    def _white(self, band: int) -> Float:
        """Unit noise of one band, partly common to the three dye layers."""
        rng = np.random.default_rng([self.seed, band + 1])
        noise = rng.standard_normal((ROWS, self.frame.width, 4), np.float32)
        own = np.float32(np.sqrt(GRAIN_COLOUR))
        common = np.float32(np.sqrt(1 - GRAIN_COLOUR))
        return own * noise[..., :3] + common * noise[..., 3:]


@dataclass(slots=True)
class Figures:
    """What cleaning did to the demonstration, against doing nothing.

    Errors are sums of squared differences from the undamaged picture, full scale 1.

    Attributes:
        drawn: artefacts that the damage model drew.
        damaged_pixels: pixels under visible damage.
        damage_before: error within the damage, before.
        damage_after: error within the damage, after.
        frame_before: error over the whole frame, before.
        frame_after: error over the whole frame, after.
        changed_outside: pixels changed outside the mask that was written.
        changed_needlessly: pixels changed that were not damaged.
    """

    drawn: int = 0
    damaged_pixels: int = 0
    damage_before: float = 0.0
    damage_after: float = 0.0
    frame_before: float = 0.0
    frame_after: float = 0.0
    changed_outside: int = 0
    changed_needlessly: int = 0

    @property
    def damage_ratio(self) -> float:
        """Error left within the damage, 1 = as much as before."""
        return self.damage_after / self.damage_before

    @property
    def frame_ratio(self) -> float:
        """Error left in the whole frame, 1 = as much as doing nothing."""
        return self.frame_after / self.frame_before


@dataclass(frozen=True, slots=True)
class Demo:
    """The files of a demonstration and what was measured."""

    scan: Path
    cleaned: Path
    mask: Path
    receipt_file: Path
    picture: Path
    figures: Figures
    receipt: Receipt


def run_demo(
    folder: Path,
    *,
    seed: int = 0,
    options: CleanOptions | None = None,
    width: int = WIDTH,
    height: int = HEIGHT,
    overwrite: bool = False,
    progress: Progress | None = None,
    plugins: Plugins | None = None,
) -> Demo:
    """Make a dusty scan of a public-domain photograph, clean it, measure and picture the result.

    Args:
        folder: where the files go; made if need be.
        seed: of grain and damage.
        options: for cleaning; the defaults of `darkroom clean`.
        width: columns of the scan.
        height: rows of the scan.
        overwrite: replace what an earlier demonstration left there.
        progress: told of each stage.
        plugins: where backends come from; the installed ones by default.

    Raises:
        OutputError: a file exists or cannot be written.
        BackendError: the backend is missing.
    """
    from darkroom.demo_picture import draw

    progress = progress or Silent()
    film = Film(_photograph(), width, height, seed)
    scan = folder / "astronaut.tif"
    cleaned = folder / "astronaut_clean.tif"
    picture = folder / "before_after.png"
    job = Job.clean(scan, cleaned, Request(output=OutputOptions(save_mask=True)))
    made = [scan, picture, *job.outputs]
    for path in made if not overwrite else ():
        refuse_existing(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error
    prepare(made)
    _write_scan(film, scan, overwrite, progress)
    request = Request(
        options or CleanOptions(),
        output=OutputOptions(save_mask=True, overwrite=overwrite),
        plugins=plugins or installed(),
    )
    receipt = clean_file(scan, cleaned, request, progress=progress)
    mask = Path(str(receipt.mask))
    figures = _measure(film, scan, cleaned, mask, progress)
    draw(scan, cleaned, mask, picture, _worst_places(film))
    receipt_file = receipt_path(cleaned)
    return Demo(scan, cleaned, mask, receipt_file, picture, figures, receipt)


def _photograph() -> Float:
    """Eileen Collins, NASA, public domain, as scikit-image bundles it: float32 (H, W, 3), sRGB."""
    import skimage.data

    pixels = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return np.asarray(pixels, np.float32)[:-64] / np.float32(255)


def _write_scan(film: Film, path: Path, overwrite: bool, progress: Progress) -> None:
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    info = ScanInfo(
        path,
        "tiff",
        film.frame.width,
        film.frame.height,
        3,
        np.dtype(np.uint16),
        photometric="rgb",
        profile=ColorProfile(icc, Encoding.GAMMA),
        resolution=(float(DPI), float(DPI)),
    )
    progress.stage("making the scan", film.frame.area)
    sink = create_scan(path, info, compression="none", overwrite=overwrite)
    try:
        for window, _, scan, _ in film.rows():
            sink.write_rows(scan)
            progress.advance(window.area)
        sink.commit()
    finally:
        sink.abort()


def _measure(film: Film, scan: Path, cleaned: Path, mask: Path, progress: Progress) -> Figures:
    """Compare the files as they lie on the disk with what the film shows without its dust."""
    figures = Figures(drawn=len(film.damage))
    progress.stage("measuring", film.frame.area)
    with open_scan(scan) as before, open_scan(cleaned) as after, open_scan(mask) as repaired:
        for window, truth, _, damage in film.rows():
            old, new = before.read(window), after.read(window)
            changed = (old != new).any(axis=2)
            inside = damage > 0
            error_old, error_new = _squared(old, truth), _squared(new, truth)
            figures.damaged_pixels += int(inside.sum())
            figures.damage_before += float(error_old[inside].sum())
            figures.damage_after += float(error_new[inside].sum())
            figures.frame_before += float(error_old.sum())
            figures.frame_after += float(error_new.sum())
            marked = repaired.read(window)[..., 0] > 0
            figures.changed_outside += int((changed & ~marked).sum())
            figures.changed_needlessly += int((changed & ~inside).sum())
            progress.advance(window.area)
    return figures


def _squared(a: Pixels, b: Pixels) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Squared difference of each pixel, summed over channels, full scale 1: float64 (H, W)."""
    difference = (a.astype(np.float64) - b) / FULL
    return np.asarray((difference**2).sum(axis=2))


def _worst_places(film: Film, count: int = 3) -> list[tuple[int, int]]:
    """Centres (x, y) of the most damaged artefacts far enough apart: chosen by damage alone."""
    ranked = sorted(film.damage, key=lambda a: -a.opacity * min(a.length, 150) * min(a.width, 40))
    inner = film.frame.width / 10
    chosen: list[tuple[int, int]] = []
    for artefact in ranked:
        x, y = artefact.x, artefact.y
        if not (inner < x < film.frame.width - inner and inner < y < film.frame.height - inner):
            continue
        if all(max(abs(x - cx), abs(y - cy)) > film.frame.width / 8 for cx, cy in chosen):
            chosen.append((round(x), round(y)))
        if len(chosen) == count:
            break
    return chosen

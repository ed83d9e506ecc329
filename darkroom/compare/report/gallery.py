"""The pictures of the report: which places to show, and each as small data URIs."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.figures import CHANGED, PIXELS, SSE_AFTER, SSE_BEFORE
from darkroom.compare.measure.regions import grow
from darkroom.compare.pairs.levels import grey_levels
from darkroom.compare.pairs.pictures import Sources, read_rows
from darkroom.compare.run.cell import Cell, kept_scan
from darkroom.compare.run.evaluate import Comparison
from darkroom.compare.run.restore import Kept
from darkroom.compare.run.runners import IDENTITY
from darkroom.geometry import Window
from darkroom.pairs.find import Pair
from darkroom.scan import Encoding, Pixels, ScanInfo

SIDE = 512  # pixels of the largest picture shown
EACH = 3  # worst and best places of each backend
TYPICAL = 4  # places shown in the grid
MASK_COLOUR = (255, 138, 0)
DAMAGE_COLOUR = (0, 160, 255)

RGBA = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Choice:
    """A picture worth showing.

    Attributes:
        image: its name.
        reason: why, for the caption.
        backend: the backend it was chosen for, or None.
    """

    image: str
    reason: str
    backend: str | None


def choose(comparison: Comparison) -> list[Choice]:
    """Typical, worst and best pictures, the most telling first; a picture may come more than once.

    Typical are those with the most error to begin with, one for each photograph. Worst and best are
    by the squared error a backend added or removed; without a truth, by how much it changed.
    """
    reference = comparison.of(IDENTITY)
    key = (SSE_BEFORE if comparison.has_truth else PIXELS).name
    damaged = sorted(reference, key=lambda cell: -cell.totals[key])
    typical: list[Choice] = []
    seen: set[str] = set()
    for cell in damaged:
        if cell.photograph not in seen and len(typical) < TYPICAL:
            seen.add(cell.photograph)
            typical.append(Choice(cell.image, "much damage", None))
    others = [r.name for r in comparison.runners if not r.reference]
    ranks = [list(_extremes(comparison.of(name), comparison.has_truth)) for name in others]
    woven = [choice for rank in zip(*ranks, strict=False) for choice in rank]
    return typical + woven


def _extremes(cells: Sequence[Cell], truth: bool) -> Iterator[Choice]:
    """Worst, best, second worst and so on."""
    if not truth:
        for cell in sorted(cells, key=lambda cell: -cell.totals[CHANGED.name])[: 2 * EACH]:
            yield Choice(cell.image, "most changed", cell.backend)
        return
    by_gain = sorted(cells, key=_added)
    for rank in range(min(EACH, len(by_gain) // 2)):
        yield _extreme(by_gain[-1 - rank], "most harm")
        yield _extreme(by_gain[rank], "most gain")


def _added(cell: Cell) -> float:
    """Squared error that a backend added."""
    return float(cell.totals[SSE_AFTER.name] - cell.totals[SSE_BEFORE.name])


def _extreme(cell: Cell, reason: str) -> Choice:
    pixels = cell.totals[PIXELS.name]
    before, after = (cell.totals[s.name] / pixels for s in (SSE_BEFORE, SSE_AFTER))
    if reason == "most harm" and after <= before:
        reason = "least gain"
    return Choice(cell.image, f"{reason}, MSE {before:.2f} to {after:.2f}", cell.backend)


def build_gallery(comparison: Comparison, choices: Sequence[Choice], budget: int) -> dict[str, Any]:
    """Encode the chosen pictures until the budget of bytes is used up.

    Returns:
        {"cases": [...], "left_out": number}. A case has "title", "photograph", "reasons" (backend
        and text), "width", "height", "scan" (a data URI) and "layers": name -> {"after", "mask"},
        transparent pictures to lay over the scan. "truth" is one of the layers where it is known.
    """
    reasons: dict[str, list[Choice]] = {}
    for choice in choices:
        reasons.setdefault(choice.image, []).append(choice)
    pairs = {pair.name: pair for pair in comparison.pairs}
    cases: list[dict[str, Any]] = []
    spent = 0
    for image, why in reasons.items():
        case = _case(comparison, pairs[image], why)
        size = _size(case)
        if cases and spent + size > budget:
            break
        spent += size
        cases.append(case)
    return {"cases": cases, "left_out": len(reasons) - len(cases)}


def _case(comparison: Comparison, pair: Pair, why: Sequence[Choice]) -> dict[str, Any]:
    kept = _kept(comparison, pair)
    with Sources.open(pair, comparison.settings.band_pixels) as sources:
        info = sources.scan.info
        window = _window(info, kept.get(why[0].backend or ""))
        shown = Shown(info.profile.encoding is Encoding.LINEAR, *sources.whites)
        rows = read_rows(sources.scan, window.y, window.bottom)
        columns = slice(window.x, window.right)
        before = shown.scan(rows[:, columns])
        layers: dict[str, dict[str, str]] = {}
        damage = sources.artefacts(window.y, window.bottom)
        if sources.truth is not None and damage is not None:
            truth = read_rows(sources.truth, window.y, window.bottom)
            layers["truth"] = {
                "after": overlay_uri(before, shown.truth(truth[:, columns])),
                "mask": outline_uri(damage[:, columns], DAMAGE_COLOUR),
            }
    for name, restored in kept.items():
        after = restored.changes.apply(rows, window.y)[:, columns]
        mask = restored.mask.rows(window.y, window.bottom)[:, columns]
        layers[name] = {
            "after": overlay_uri(before, shown.scan(after)),
            "mask": outline_uri(mask, MASK_COLOUR),
        }
    return {
        "title": pair.name,
        "photograph": pair.family,
        "reasons": [{"backend": choice.backend, "text": choice.reason} for choice in why],
        "width": window.width,
        "height": window.height,
        "scan": data_uri(before),
        "layers": layers,
    }


def _kept(comparison: Comparison, pair: Pair) -> dict[str, Kept]:
    kept = {
        runner.name: kept_scan(comparison.task(runner, pair))
        for runner in comparison.runners
        if runner.name != IDENTITY
    }
    return {name: entry for name, entry in kept.items() if entry is not None}


def _window(info: ScanInfo, kept: Kept | None) -> Window:
    """The whole picture if it is small, else the square in which most was changed."""
    width, height = min(SIDE, info.width), min(SIDE, info.height)
    best = Window((info.width - width) // 2, (info.height - height) // 2, width, height)
    if kept is None or (width, height) == (info.width, info.height):
        return best
    most = -1
    for y in _steps(info.height, height):
        where = kept.changes.where.rows(y, y + height)
        for x in _steps(info.width, width):
            changed = int(np.count_nonzero(where[:, x : x + width]))
            if changed > most:
                most, best = changed, Window(x, y, width, height)
    return best


def _steps(whole: int, part: int) -> list[int]:
    return sorted({*range(0, whole - part + 1, max(1, part // 2)), whole - part})


@dataclass(frozen=True, slots=True)
class Shown:
    """How the samples of a pair are put on a screen.

    Attributes:
        linear: they are linear in light and get gamma 2.2.
        scan_white, truth_white: the float that white is.
    """

    linear: bool
    scan_white: float
    truth_white: float

    def scan(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Samples of the scan or of a restoration, (H, W, 1 or 3), as uint8."""
        return display(pixels, self.linear, self.scan_white)

    def truth(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Samples of the ground truth likewise."""
        return display(pixels, self.linear, self.truth_white)


def display(pixels: Pixels, linear: bool, white: float = 1.0) -> NDArray[np.uint8]:
    """(H, W, 1 or 3) native samples as uint8 for the screen; linear ones get gamma 2.2."""
    levels = np.stack(
        [grey_levels(pixels[..., sample], white) for sample in range(pixels.shape[2])], axis=2
    )
    if linear:
        levels = np.float32(255) * (levels / np.float32(255)) ** np.float32(1 / 2.2)
    return (levels + 0.5).astype(np.uint8)


def overlay_uri(base: NDArray[np.uint8], shown: NDArray[np.uint8]) -> str:
    """What to lay over `base` to see `shown`: transparent where they look alike."""
    differs = np.any(shown != base, axis=2)
    colour = np.broadcast_to(shown, (*shown.shape[:2], 3)) * differs[..., None]
    return data_uri(np.dstack([colour, differs * np.uint8(255)]).astype(np.uint8))


def outline_uri(mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> str:
    """A line of one pixel around each region of a mask, two pixels off it."""
    plane = mask.astype(np.uint8)
    line = grow(plane, 3) - grow(plane, 2)
    picture = np.zeros((*mask.shape, 4), np.uint8)
    picture[line > 0] = (*colour, 255)
    return data_uri(picture)


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A uint8 picture (H, W, 1, 3 or 4) as a lossless data URI."""
    from PIL import Image

    squeezed = picture[..., 0] if picture.shape[2] == 1 else picture
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _size(case: dict[str, Any]) -> int:
    layers = case["layers"].values()
    return len(case["scan"]) + sum(len(layer["after"]) + len(layer["mask"]) for layer in layers)

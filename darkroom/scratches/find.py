"""Line scratches of a frame: from its pixels to `LineScratch`es."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from darkroom.geometry import Window
from darkroom.scan import Float
from darkroom.scratches.evidence import BLOCK, Reader, Spread, frame_evidence, reduced
from darkroom.scratches.features import features
from darkroom.scratches.judge import Judge
from darkroom.scratches.lines import LineScratch
from darkroom.scratches.measure import Curve, Measured, measure
from darkroom.scratches.presence import present
from darkroom.scratches.refine import laid_straight, refine
from darkroom.scratches.strips import straightened
from darkroom.scratches.track import Track, enlarged, find_tracks

LEAST_SCORE = 0.3  # mean evidence of a block that makes a course a candidate
MOST_TRACKS = 40  # candidates measured for each direction
MOST_LINES = 10  # as many lines of one direction are blinds, rules or a fence
WIDEST = 20.0  # pixels at half height; nothing that wide is a line
PLENTY = 2000  # pixels of the shorter side on which lines are looked for; larger frames are reduced
LEAST_BLOCKS = 8  # of a side: on less no line can be told
SAME = 0.5  # share of its course on which a line lies within another
SHORTEST = 0.2  # share of the frame that a scratch must be seen on
COVERS, HIDES = 0.06, 0.5  # shares of the film hidden: below, none; above, nothing shows through
STEADY = 40  # pixels along, over which strength may change
LOOSE = 0.25  # of the usual strength, by which it may

Candidate = tuple[Track, Measured, Float]


def find_scratches(
    read: Reader, frame: Window, noise: float, *, bar: float = 0.0, spread: Spread = map
) -> list[LineScratch]:
    """The line scratches of a frame.

    Args:
        read: gives (H, W, C) float32 in [0, 1], gamma-encoded, for a window inside the scan.
        frame: the picture without its border.
        noise: standard deviation of the frame's grain.
        bar: log-odds that are asked for beyond the usual ones; negative finds more.
        spread: a `map` that keeps order, over threads if it likes; the result is the same.
    """
    if min(frame.width, frame.height) < LEAST_BLOCKS * BLOCK:
        return []
    found = candidates(read, frame, noise, spread)
    judge = Judge.load()
    likely = []
    for track, seen, strip in found:
        odds = judge.log_odds(seen.features)
        if odds >= bar:
            line = _line(track, seen, strip, frame, float(1 / (1 + np.exp(-odds))))
            if line is not None and line.there.mean() >= SHORTEST:
                likely.append(line)
    lines = _apart(likely)
    many = Counter(line.upright for line in lines)
    return [line for line in lines if many[line.upright] <= MOST_LINES]


def _apart(lines: list[LineScratch]) -> list[LineScratch]:
    """Without those that are the rim of a stronger one, or that one again."""
    kept: list[LineScratch] = []
    for line in sorted(lines, key=lambda line: -line.energy):
        same = [
            float(np.mean((step >= other.left - 2) & (step <= other.right + 2)))
            for other in kept
            if other.upright == line.upright
            for step in [line.middle - other.middle]
        ]
        if max(same, default=0.0) < SAME:
            kept.append(line)
    return kept


def candidates(read: Reader, frame: Window, noise: float, spread: Spread = map) -> list[Candidate]:
    """All courses worth a look, measured; arguments as for `find_scratches`."""
    scale = max(1, round(min(frame.width, frame.height) / PLENTY))
    small = Window(0, 0, frame.width // scale, frame.height // scale)
    tracks: list[Track] = []
    looked = frame_evidence(reduced(read, frame, scale), small, spread)
    for upright, evidence in zip((True, False), looked, strict=True):
        courses = find_tracks(evidence, upright=upright, least=LEAST_SCORE, most=MOST_TRACKS)
        long = frame.height if upright else frame.width
        tracks += [enlarged(track, scale, long // BLOCK) for track in courses]
    found = []
    for track, strip in zip(tracks, straightened(read, frame, tracks, spread), strict=True):
        seen = measure(strip, track.sign)
        if seen is not None:
            seen.features.update(features(seen, noise), score=track.score)
            found.append((track, seen, strip))
    for track, seen, _ in found:
        seen.features.update(_company(track, found))
    return [each for each in found if each[1].width <= WIDEST]


def _company(track: Track, found: Sequence[Candidate]) -> dict[str, float]:
    """What else runs in the same direction: a frame full of lines is a picture of some."""
    others = [(t, m) for t, m, _ in found if t.upright == track.upright and t is not track]
    apart = [t.score for t, _ in others if float(np.abs(t.middle - track.middle).min()) > 20]
    strong = [m for _, m in others if m.features["present"] * m.features["share"] > 0.6]
    return {
        "crowd": float(len(others)),
        "rival": max(apart, default=0.0),
        "crowd_strong": float(len(strong)),
    }


def _line(
    track: Track, seen: Measured, strip: Float, frame: Window, confidence: float
) -> LineScratch | None:
    finer = refine(track.middle, strip, seen)
    again = measure(laid_straight(strip, track.middle, finer), track.sign)
    if again is None:
        return None
    seen = again
    there = present(seen)
    covers = -track.sign * seen.cover()[1]
    covers = float(np.clip(covers, 0, 1)) if covers > COVERS else 0.0
    strength, rest = _strength(seen, track.sign, covers, there)
    # Film that is brought back is out by how the line strays from the model of it; film that is
    # painted over, by how the picture strays from its surroundings.
    shows = covers <= HIDES and rest <= 1.5 * seen.doubt
    return LineScratch(
        track.upright,
        frame,
        finer,
        there,
        seen.left,
        seen.right,
        np.asarray(seen.shape, np.float32),
        np.asarray(seen.colour, np.float32),
        track.sign,
        np.asarray(strength, np.float32),
        covers,
        shows,
        confidence,
    )


def _strength(seen: Measured, sign: int, covers: float, there: np.ndarray) -> tuple[Curve, float]:
    """(light added along the line, in its sign; how far single groups stray from that)."""
    added = seen.contrast + sign * covers * seen.beside
    if not there.any():
        return added, 0.0
    usual = float(np.median(added[there]))
    weight = there / seen.doubts**2
    reach = np.arange(-3 * STEADY // 4, 3 * STEADY // 4 + 1)
    kernel = np.exp(-((reach * 4 / STEADY) ** 2) / 2)
    prior = 1 / max(LOOSE * abs(usual), 1e-4) ** 2
    total = np.convolve(weight, kernel, mode="same") + prior
    strength = (np.convolve(weight * added, kernel, mode="same") + prior * usual) / total
    stray = float(1.4826 * np.median(np.abs(added - strength)[there]))
    return strength, float(np.sqrt(max(stray**2 - seen.doubt**2, 0)))

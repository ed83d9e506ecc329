"""Line scratches of a frame: from its pixels to `LineScratch`es."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from darkroom.geometry import Window
from darkroom.scratches.evidence import BLOCK, Reader, Spread, frame_evidence
from darkroom.scratches.features import features
from darkroom.scratches.judge import Judge
from darkroom.scratches.lines import LineScratch
from darkroom.scratches.measure import Curve, Measured, measure
from darkroom.scratches.presence import present
from darkroom.scratches.strips import straightened
from darkroom.scratches.track import Track, find_tracks

LEAST_SCORE = 0.3  # mean evidence of a block that makes a course a candidate
MOST_TRACKS = 40  # candidates measured for each direction
MOST_LINES = 10  # as many lines of one direction are blinds, rules or a fence
WIDEST = 20.0  # pixels at half height; nothing that wide is a line
LEAST_BLOCKS = 8  # of a side: on less no line can be told
SHORTEST = 0.2  # share of the frame that a scratch must be seen on
COVERS, HIDES = 0.06, 0.5  # shares of the film hidden: below, none; above, nothing shows through
STEADY = 40  # pixels along, over which strength may change
LOOSE = 0.25  # of the usual strength, by which it may

Candidate = tuple[Track, Measured]


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
    likely = [
        (track, seen, odds)
        for (track, seen), odds in zip(found, judge.log_odds(found), strict=True)
        if odds >= bar
    ]
    many = Counter(track.upright for track, _, _ in likely)
    lines = []
    for track, seen, odds in likely:
        if many[track.upright] <= MOST_LINES:
            line = _line(track, seen, frame, float(1 / (1 + np.exp(-odds))))
            if line.there.mean() >= SHORTEST:
                lines.append(line)
    return lines


def candidates(read: Reader, frame: Window, noise: float, spread: Spread = map) -> list[Candidate]:
    """All courses worth a look, measured; arguments as for `find_scratches`."""
    tracks: list[Track] = []
    for upright, evidence in zip((True, False), frame_evidence(read, frame, spread), strict=True):
        tracks += find_tracks(evidence, upright=upright, least=LEAST_SCORE, most=MOST_TRACKS)
    found = []
    for track, strip in zip(tracks, straightened(read, frame, tracks, spread), strict=True):
        seen = measure(strip, track.sign)
        if seen is not None:
            seen.features.update(features(seen, noise), score=track.score)
            found.append((track, seen))
    for track, seen in found:
        seen.features.update(_company(track, found))
    return [(track, seen) for track, seen in found if seen.width <= WIDEST]


def _company(track: Track, found: Sequence[Candidate]) -> dict[str, float]:
    """What else runs in the same direction: a frame full of lines is a picture of some."""
    others = [(t, m) for t, m in found if t.upright == track.upright and t is not track]
    apart = [t.score for t, _ in others if int(np.abs(t.middle - track.middle).min()) > 20]
    strong = [m for _, m in others if m.features["present"] * m.features["share"] > 0.6]
    return {
        "crowd": float(len(others)),
        "rival": max(apart, default=0.0),
        "crowd_strong": float(len(strong)),
    }


def _line(track: Track, seen: Measured, frame: Window, confidence: float) -> LineScratch:
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
        track.middle.astype(np.float64),
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

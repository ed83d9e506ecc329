"""Fitting the judge of a network's candidates on pictures whose damage is known.

Every candidate is repaired on its own and weighed: did the picture come nearer to its truth? The
figures reported are those of judges fitted without the family that they judge.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.judging import Judge
from darkroom.scan import Float
from darkroom.training.boosting import fit_trees
from darkroom.training.proposals import Proposal
from darkroom.training.seeing import Sights, seeing_odds, train_seeing
from darkroom.training.validate import Figures

FALSE_ALARMS = ((0.0, 1.0), (25.0, 2.5), (50.0, 5.0), (75.0, 12.0), (100.0, 30.0))
"""Sensitivity and the most false alarms a megapixel that it may cost on film."""
CLEAN_ALARMS = ((0.0, 0.5), (25.0, 2.0), (50.0, 5.0), (75.0, 10.0), (100.0, 25.0))
"""The same on clean photographs, where any were given: there, none is a speck that was left."""

MIDDLE = 50.0
BARS = 60  # tried for the middle of the scale
FLOOR = 20.0  # levels; weight of a candidate that hardly matters
FOLDS = 5
GATE = 3.0  # log-odds below the lowest bar at which the figures alone turn a candidate down
CAUTION = 0.3  # see `Judge`; of 0, 0.3 and 0.6 what left least error and harm in the trials
CLEAN_SHARE = 0.5  # weight of all clean photographs, and of all modelled damage, in that of film


@dataclass(frozen=True, slots=True)
class Fitting:
    """Candidates of many pictures, as a judge is fitted on them.

    Attributes:
        proposals: of each picture.
        relative: for the judge's masks.
        steps: of training a network that sees the candidates; 0 for trees of figures alone.
    """

    proposals: Sequence[Proposal]
    relative: float
    steps: int = 0

    def fold_of(self) -> dict[str, int]:
        """The fold of each group: the largest first, each where the fewest pictures are."""
        size: dict[str, int] = {}
        for p in self.proposals:
            size[p.group] = size.get(p.group, 0) + 1
        folds = min(FOLDS, len(size))
        taken, found = [0] * folds, {}
        for group in sorted(size, key=lambda g: (-size[g], g)):
            found[group] = int(np.argmin(taken))
            taken[found[group]] += size[group]
        return found

    def judge(self, bars: tuple[tuple[float, float], ...], without: Iterable[str] = ()) -> Judge:
        """A judge fitted on all groups but some.

        Raises:
            ValueError: too few candidates, or all alike.
        """
        left_out = set(without)
        own = [p for p in self.proposals if p.group not in left_out and len(p.gain)]
        if not own:
            raise ValueError("a judge needs candidates worth repairing and others")
        worth = np.concatenate([p.gain for p in own]) > 0
        features = np.concatenate([p.features for p in own])
        if worth.all() or not worth.any():
            raise ValueError("a judge needs candidates worth repairing and others")
        trees = fit_trees(features, worth.astype(np.int64), weights(own))
        if not self.steps:
            return Judge(trees, bars, relative=self.relative, caution=CAUTION)
        sights = Sights.join([p.sights for p in own if p.sights is not None])
        network = train_seeing(sights, features, worth, weights(own), self.steps)
        return Judge(trees, bars, relative=self.relative, network=network, gate=bars[-1][1] - GATE)

    def unseen_odds(self) -> list[Float]:
        """Log-odds of each picture's candidates, by judges fitted without its group's fold.

        Raises:
            ValueError: fewer than two groups, or one fold holds all that is worth repairing.
        """
        fold = self.fold_of()
        if len(fold) < 2:
            raise ValueError("a judge needs candidates from two photographs or more")
        odds: list[Float] = [np.zeros(0, np.float32)] * len(self.proposals)
        for number in sorted(set(fold.values())):
            judge = self.judge(((MIDDLE, 0.0),), [g for g in fold if fold[g] == number])
            for i, p in enumerate(self.proposals):
                if fold[p.group] == number and len(p.gain):
                    odds[i] = odds_of(judge, p)
        return odds


def odds_of(judge: Judge, proposal: Proposal) -> Float:
    """Log-odds of a picture's candidates: `Judge.log_odds` of each."""
    odds = judge.figures_odds(proposal.features)
    if judge.network is None:
        return odds
    assert proposal.sights is not None
    shown = np.flatnonzero(odds >= judge.gate)
    own = seeing_odds(judge.network, proposal.sights.some(shown), proposal.features[shown])
    odds[shown] = (odds[shown] + own) / 2
    return odds


def weights(proposals: Sequence[Proposal]) -> NDArray[np.float64]:
    """The weight of each candidate: by what it can gain or spoil, and by what shows it.

    No photograph of starlight may outweigh all faces: those that are clean or have modelled damage
    count for no more than twice the mean of their kind, and their kind for `CLEAN_SHARE` of film.
    """
    own = [np.sqrt(np.abs(p.gain)).astype(np.float64) + FLOOR for p in proposals]
    total = {"film": 0.0, "clean": 0.0, "modelled": 0.0}
    for kind in total:
        members = [i for i, p in enumerate(proposals) if p.kind == kind]
        if kind != "film" and members:
            mean = np.mean([own[i].sum() for i in members])
            for i in members:
                own[i] *= min(1.0, 2 * mean / own[i].sum())
        total[kind] = sum(own[i].sum() for i in members)
    if total["film"]:
        for i, p in enumerate(proposals):
            if p.kind != "film":
                own[i] *= CLEAN_SHARE * total["film"] / total[p.kind]
    return np.concatenate(own)


def fit_judge(fitting: Fitting) -> tuple[Judge, list[tuple[list[str], Judge]], dict[str, Figures]]:
    """Fit a judge and its bars.

    Returns:
        The judge fitted on all; for each fold, the groups left out and the judge fitted without
        them, with the same bars; and "sensitivity S" -> figures of those.

    Raises:
        ValueError: too few candidates, or all of one group.
    """
    odds = fitting.unseen_odds()
    bars = choose_bars(odds, fitting.proposals)
    fold, apart = fitting.fold_of(), []
    for number in sorted(set(fold.values())):
        without = sorted(g for g in fold if fold[g] == number)
        apart.append((without, fitting.judge(bars, without)))
    figures = {
        name_of(s): figures_of(fitting.proposals, [o >= bar for o in odds]) for s, bar in bars
    }
    return fitting.judge(bars), apart, figures


def figures_of(proposals: Sequence[Proposal], accepted: Sequence[NDArray[np.bool_]]) -> Figures:
    """Those of film, with the accepted candidates repaired; and false alarms on clean pictures."""
    pairs = list(zip(proposals, accepted, strict=True))
    film = [(p, a) for p, a in pairs if p.kind == "film"] or pairs
    error = sum(p.error for p, _ in film)
    gained = sum(float(p.gain[a].sum()) for p, a in film)
    by_group: dict[str, list[float]] = {}
    for p, a in film:
        sums = by_group.setdefault(p.group, [0.0, 0.0])
        sums[0] += p.error
        sums[1] += float(p.gain[a].sum())
    left = [max(1 - g / e, 1e-3) for e, g in by_group.values() if e > 0]
    found = {
        "sse_ratio": 1 - gained / max(error, 1e-9),
        "geometric": float(np.exp(np.mean(np.log(left)))) if left else 1.0,
        "harm": sum(float(p.harm[a].sum()) for p, a in film)
        / max(sum(p.damage for p, _ in film), 1e-9),
        "visible": _visible(film),
        "false_per_mp": _alarms(film),
    }
    if modelled := [(p, a) for p, a in pairs if p.kind == "modelled"]:
        found["modelled_visible"] = _visible(modelled)
    if clean := [(p, a) for p, a in pairs if p.kind == "clean"]:
        found["clean_false_per_mp"] = _alarms(clean)
    return found


def _visible(pairs: Sequence[tuple[Proposal, NDArray[np.bool_]]]) -> float:
    seen = sum(int(p.blobs.visible.sum()) for p, _ in pairs)
    return sum(p.blobs.healed(a) for p, a in pairs) / max(seen, 1)


def _alarms(pairs: Sequence[tuple[Proposal, NDArray[np.bool_]]]) -> float:
    false = sum(int((p.false & a).sum()) for p, a in pairs)
    return false / max(sum(p.pixels for p, _ in pairs) / 1e6, 1e-9)


def choose_bars(
    odds: Sequence[Float], proposals: Sequence[Proposal]
) -> tuple[tuple[float, float], ...]:
    """The bar at each sensitivity, never rising: the lowest within what it may cost.

    The middle of the scale takes the bar within its allowance that leaves the least error.
    """
    pairs = list(zip(proposals, odds, strict=True))
    every = np.concatenate(odds)
    film = [(p, o) for p, o in pairs if p.kind != "clean"]
    values = np.concatenate([o for _, o in film])
    gain = np.concatenate([p.gain for p, _ in film])
    bars: list[tuple[float, float]] = []
    for (sensitivity, most), (_, clean) in zip(FALSE_ALARMS, CLEAN_ALARMS, strict=True):
        bar = max(float(every.min()), _lowest(pairs, "film", most), _lowest(pairs, "clean", clean))
        if sensitivity == MIDDLE:
            tried = np.linspace(bar, max(bar, float(np.quantile(every, 0.99))), BARS)
            bar = float(max(tried, key=lambda b: float(gain[values >= b].sum())))
        bars.append((sensitivity, min(bar, bars[-1][1]) if bars else bar))
    return tuple(bars)


def _lowest(pairs: Sequence[tuple[Proposal, Float]], kind: str, most: float) -> float:
    """The lowest bar that lets through at most `most` false alarms a megapixel of a kind."""
    own = [(p, o) for p, o in pairs if p.kind == kind]
    wrong = np.sort(np.concatenate([o[p.false] for p, o in own])) if own else np.zeros(0)
    allowed = int(most * sum(p.pixels for p, _ in own) / 1e6)
    return float(wrong[::-1][allowed]) + 1e-4 if allowed < len(wrong) else -np.inf


def name_of(sensitivity: float) -> str:
    """What figures at a sensitivity are called."""
    return f"sensitivity {sensitivity:g}"

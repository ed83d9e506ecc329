"""Where along its course a scratch is there: it may be broken, and its gaps are left alone."""

import numpy as np
from numpy.typing import NDArray

from darkroom.scratches.measure import Curve, Measured

PIECE = 4  # groups that are decided on together
BREAK = 6.0  # cost of a beginning or an end, in log-likelihood
SURE = 3.0  # most that one piece can say
FAINT = 0.35  # of the usual contrast, halfway between there and not there


def present(seen: Measured) -> NDArray[np.bool_]:
    """bool (groups,): whether the scratch is there, by the best of all ways of breaking it.

    Each piece weighs how well its contrast fits the usual one and how well it fits none, in units
    of what the picture beside it varies by; where the picture hides the line, the pieces before
    and after decide. The best sequence of both states is found by the Viterbi algorithm.
    """
    contrast, usual = seen.contrast, seen.expected()
    count = -(-len(contrast) // PIECE)
    gain = np.empty(count)
    for piece in range(count):
        part = slice(piece * PIECE, (piece + 1) * PIECE)
        found, wanted = float(np.median(contrast[part])), float(np.median(usual[part]))
        doubt = max(float(np.median(seen.doubts[part])) / PIECE**0.5, 0.25 * wanted, 1e-6)
        gain[piece] = wanted * (found - FAINT * wanted) / doubt**2
    there = _viterbi(np.clip(gain, -SURE, SURE))
    return np.repeat(there, PIECE)[: len(contrast)]


def _viterbi(gain: Curve) -> NDArray[np.bool_]:
    """The states, there or not, of greatest total gain less `BREAK` a change."""
    total = np.zeros(2)  # not there, there
    came = np.zeros((len(gain), 2), np.intp)
    for i, value in enumerate(gain):
        stay, change = total, total[::-1] - BREAK
        came[i] = np.where(change > stay, [1, 0], [0, 1])
        total = np.maximum(stay, change) + np.array([0.0, value])
    state = int(total[1] > total[0])
    out = np.zeros(len(gain), np.bool_)
    for i in range(len(gain) - 1, -1, -1):
        out[i] = state == 1
        state = int(came[i, state])
    return out

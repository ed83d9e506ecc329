"""A judge of candidates for networks: is repairing this component worth the risk?

A network scores pixels. Whether to repair a component is a decision of its own, since a wrong
repair of something large and bright costs more than many right ones of specks gain. A judge is
fitted on pictures by `darkroom weights calibrate` and kept with the weights.
"""

from darkroom.judging.features import NAMES, SURROUNDINGS, Candidate, candidate_features
from darkroom.judging.judge import Judge, Linear
from darkroom.judging.seeing import SeeingNetwork
from darkroom.judging.views import AROUND, Views

__all__ = [
    "AROUND",
    "NAMES",
    "SURROUNDINGS",
    "Candidate",
    "Judge",
    "Linear",
    "SeeingNetwork",
    "Views",
    "candidate_features",
]

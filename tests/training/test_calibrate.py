import numpy as np
import pytest
import torch

from darkroom.training.calibrate import BINS, reliability
from darkroom.training.trainable import DAMAGED, UNDECIDED


def test_reliability_of_a_network_that_is_right_six_times_in_ten(tiny, pictures):
    trainable, queue = tiny(), iter(pictures)
    rng = np.random.default_rng(0)

    class Six(torch.nn.Module):
        def forward(self, x):
            damaged = next(queue).state == DAMAGED
            cried = damaged | (rng.random(damaged.shape) < damaged.mean() / 1.5)
            score = torch.from_numpy(np.where(cried, 0.65, 0.05).astype(np.float32))
            return score[None, None], x

    trainable.module, trainable.restoration = Six(), lambda output: output
    found = reliability(trainable, pictures)
    assert found.pixels.sum() == sum(int((p.state != UNDECIDED).sum()) for p in pictures)
    assert found.damaged[6] == pytest.approx(0.6, abs=0.05)
    assert found.score[6] == pytest.approx(0.65, abs=1e-3)
    assert found.damaged[0] == 0
    assert np.flatnonzero(found.pixels).tolist() == [0, 6]
    assert BINS == 10

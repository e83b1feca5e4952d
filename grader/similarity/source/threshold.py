"""From which score on a pair is worth a person's look: from the class's own scores.

Most pairs of a class worked apart. The logarithms of their scores are roughly normal, so the lower
half of a class's scores tells how far chance reaches, however many copies there are above; the
more pairs are compared, the higher a score chance will reach once.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from grader.similarity.model import Threshold

Floats = npt.NDArray[np.float64]

EXPECTED_HONEST = 0.5  # pairs of a class that reach the threshold by chance
_FLOOR, _CEILING = 0.1, 0.5
_MIN_PAIRS = 45  # ten submissions; fewer say nothing about a distribution
_TAIL = 1.5  # the upper half is wider than the lower one: honest pairs share an idiom or a page
_SMALL = 1e-3  # scores below are alike: nothing was found


def find_threshold(scores: Floats) -> Threshold:
    """The threshold for the (p,) scores of all pairs compared."""
    count = len(scores)
    if count < _MIN_PAIRS:
        return Threshold(
            score=_SMALL_CLASS,
            expected_honest=float("nan"),
            pairs_compared=count,
            reason="too few submissions for a distribution; a fixed score is used",
        )
    logs = np.log(scores + _SMALL)
    low, middle = np.quantile(logs, [0.16, 0.5])
    deviation = max(float(middle - low), 0.1) * _TAIL
    reach = NormalDist().inv_cdf(1 - min(0.5, EXPECTED_HONEST / count))
    own = math.exp(float(middle) + reach * deviation) - _SMALL
    score = min(max(own, _FLOOR), _CEILING)
    return Threshold(
        score=score,
        expected_honest=EXPECTED_HONEST,
        pairs_compared=count,
        reason="from the class's own scores",
    )


_SMALL_CLASS = 0.25

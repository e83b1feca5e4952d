"""From which score on a pair is worth a person's look: from the class's own scores.

Most pairs of a class worked apart. Above their median, the scores of such pairs fall off about as
an exponential does, so its scale, read from quantiles that a few copies cannot move, tells how far
chance reaches; the more pairs are compared, the further it reaches once.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from grader.similarity.model import Threshold

EXPECTED_HONEST = 0.5  # pairs of a class that reach the threshold by chance
_FLOOR, _CEILING = 0.15, 0.5
_SMALL_CLASS = 0.3  # where there is no distribution to speak of
_MIN_PAIRS = 45  # ten submissions
_LOW, _HIGH = 0.16, 0.84


def find_threshold(scores: npt.NDArray[np.float64]) -> Threshold:
    """The threshold for the (p,) scores of all pairs compared."""
    count = len(scores)
    if count < _MIN_PAIRS:
        return Threshold(
            score=_SMALL_CLASS,
            expected_honest=math.nan,
            pairs_compared=count,
            reason="a fixed score: too few submissions to tell what is usual here",
        )
    low, middle, high = (float(value) for value in np.quantile(scores, [_LOW, 0.5, _HIGH]))
    # Where copies make up much of the upper half, the lower one still tells how far chance goes.
    spread = min(high - middle, 2 * (middle - low))
    scale = spread / math.log(0.5 / (1 - _HIGH))
    reach = middle + scale * math.log(0.5 * count / EXPECTED_HONEST)
    score = min(max(reach, _FLOOR), _CEILING)
    expected = 0.5 * count * math.exp((middle - score) / scale) if scale > 0 else 0.0
    return Threshold(
        score=score,
        expected_honest=min(expected, float(count)),
        pairs_compared=count,
        reason="from the scores of this class",
    )

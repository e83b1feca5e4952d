"""Confidence interval of a share: Wilson's score interval.

E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22
(1927); unlike the textbook interval it is never empty at 0 or 1 and keeps inside [0, 1].
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

LEVEL = 0.95


def wilson_interval(hits: int, count: int, level: float = LEVEL) -> tuple[float, float]:
    """(low, high) for `hits` of `count`; (0, 1) when nothing was counted.

    Raises ValueError unless 0 ≤ hits ≤ count and the level lies in (0, 1).
    """
    if not 0 <= hits <= count or not 0.0 < level < 1.0:
        raise ValueError(f"{hits} of {count} at the level {level} is not a share")
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1.0 + level) / 2.0)
    share = hits / count
    centre = share + z * z / (2 * count)
    spread = z * sqrt(share * (1.0 - share) / count + z * z / (4 * count * count))
    scale = 1.0 + z * z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)

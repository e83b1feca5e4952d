"""Bootstrap confidence intervals: how much a number would move with other images.

Bias-corrected and accelerated percentiles (BCa): B. Efron, "Better Bootstrap Confidence
Intervals", JASA 82 (1987), section 3; the jackknife estimate of the acceleration is his eq. 6.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from grader.metrics.counts import FloatArray

Statistic = Callable[[npt.NDArray[np.int64]], FloatArray]
"""(B, M) indices of items → (B,) values of the statistic on those items."""

RESAMPLES = 2000
LEVEL = 0.95
# Indices drawn at once: 2²¹ of 8 bytes keep the peak near 100 MB whatever the number of items.
_BLOCK = 1 << 21


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """`method` is "bca", or "constant" when every resample gives the same value."""

    low: float
    high: float
    level: float
    method: str
    resamples: int


def bootstrap_interval(
    statistic: Statistic,
    count: int,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> BootstrapInterval:
    """The BCa interval of `statistic` over `count` items, the same for the same seed everywhere.

    Raises ValueError for a count below 1, fewer than 100 resamples, a level outside (0, 1) or a
    statistic that is not finite.
    """
    if count < 1 or resamples < 100 or not 0.0 < level < 1.0:
        raise ValueError(
            f"cannot bootstrap {count} items {resamples} times at the level {level}: at least one "
            "item, a hundred resamples and a level between 0 and 1 are needed"
        )
    values = _resampled(statistic, count, resamples, np.random.default_rng(seed))
    estimate = float(statistic(np.arange(count, dtype=np.int64)[None, :])[0])
    if not np.isfinite(values).all() or not np.isfinite(estimate):
        raise ValueError("the statistic is not finite on every resample")
    if values.min() == values.max():
        return BootstrapInterval(estimate, estimate, level, "constant", resamples)
    low, high = np.quantile(values, _bca_levels(statistic, count, values, estimate, level))
    return BootstrapInterval(float(low), float(high), level, "bca", resamples)


def _resampled(
    statistic: Statistic, count: int, resamples: int, generator: np.random.Generator
) -> FloatArray:
    block = max(1, _BLOCK // count)
    return np.concatenate(
        [
            statistic(generator.integers(0, count, (min(block, resamples - start), count)))
            for start in range(0, resamples, block)
        ]
    )


def _bca_levels(
    statistic: Statistic, count: int, values: FloatArray, estimate: float, level: float
) -> list[float]:
    normal = NormalDist()
    # Ties are split, so that a statistic with few distinct values is not biased by its own steps.
    below = (np.count_nonzero(values < estimate) + np.count_nonzero(values <= estimate)) / 2.0
    share = min(max(below / len(values), 0.5 / len(values)), 1.0 - 0.5 / len(values))
    bias = normal.inv_cdf(share)
    acceleration = _acceleration(statistic, count)
    tails = ((1.0 - level) / 2.0, (1.0 + level) / 2.0)
    shifted = (bias + normal.inv_cdf(tail) for tail in tails)
    return [normal.cdf(bias + z / (1.0 - acceleration * z)) for z in shifted]


def _acceleration(statistic: Statistic, count: int) -> float:
    block = max(1, _BLOCK // count)
    everything = np.arange(count - 1, dtype=np.int64)
    left_out = [np.arange(start, min(start + block, count)) for start in range(0, count, block)]
    jackknife = np.concatenate(
        [statistic(everything + (everything >= rows[:, None])) for rows in left_out]
    )
    deviation = jackknife.mean() - jackknife
    spread = float((deviation**2).sum())
    return float((deviation**3).sum()) / (6.0 * spread**1.5) if spread > 0.0 else 0.0

"""Overlap of a predicted with a true foreground, one number per image.

Conventions for empty masks, pinned by tests: both empty is a perfect score (1), one empty is 0.
"""

from __future__ import annotations

import numpy as np

from grader.metrics.counts import FloatArray, MaskCounts, MaskMetric

_EMPTY = "1 when both masks are empty, 0 when only one is; the value is the mean over images"


def _foreground_iou(counts: MaskCounts) -> FloatArray:
    union = counts.predicted + counts.actual - counts.intersection
    scores: FloatArray = np.divide(
        counts.intersection, union, out=np.ones(union.shape, dtype=np.float64), where=union > 0
    )
    return scores


def _dice(counts: MaskCounts) -> FloatArray:
    both = counts.predicted + counts.actual
    scores: FloatArray = np.divide(
        2.0 * counts.intersection, both, out=np.ones(both.shape, dtype=np.float64), where=both > 0
    )
    return scores


foreground_iou = MaskMetric(
    _foreground_iou, f"|P ∩ T| / |P ∪ T| of the foreground per image (Jaccard index); {_EMPTY}"
)

dice = MaskMetric(
    _dice, f"2 |P ∩ T| / (|P| + |T|) of the foreground per image (Dice, F1 of pixels); {_EMPTY}"
)

"""What can be reached without looking at the image: a mark means something only above it."""

from __future__ import annotations

import numpy as np

from grader.metrics.counts import BoolArray, IntArray

# Semi-axes of the ellipse on a 224 × 224 image, horizontal × vertical, and that image's side.
ELLIPSE_SEMI_AXES_PX = (100, 90)
ELLIPSE_REFERENCE_PX = 224


def everything_foreground(height_px: int, width_px: int) -> BoolArray:
    """(H, W) bool, all True."""
    return np.ones((height_px, width_px), dtype=np.bool_)


def centred_ellipse(height_px: int, width_px: int) -> BoolArray:
    """(H, W) bool: an ellipse around pixel (W / 2, H / 2), 100 × 90 px (semi-axes, horizontal ×
    vertical) on 224 × 224, stretched with the image."""
    x = np.arange(width_px) / width_px - 0.5
    y = np.arange(height_px) / height_px - 0.5
    horizontal, vertical = (axis / ELLIPSE_REFERENCE_PX for axis in ELLIPSE_SEMI_AXES_PX)
    inside = (x / horizontal)[None, :] ** 2 + (y / vertical)[:, None] ** 2 <= 1.0
    return np.asarray(inside, dtype=np.bool_)


def majority_class(targets: IntArray) -> int:
    """The most frequent class of targets (N,); the first in class order when several are.

    Raises ValueError when there are no targets.
    """
    if targets.ndim != 1 or targets.size == 0:
        raise ValueError(f"one row of targets has to be given, not {targets.shape}")
    return int(np.bincount(targets).argmax())

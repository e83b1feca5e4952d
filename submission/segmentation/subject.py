"""The mask of an image's subject from what a classifier looks at, in one fixed setting."""

from __future__ import annotations

import cv2
import numpy as np

from segmentation.refinement import REFINEMENTS, Mask, Pixels
from segmentation.thresholds import THRESHOLDS, Heatmap

# Chosen by the table in docs/segmentation.md; the explainer is chosen there, too.
EXPLAINER = "layer-attribution"
THRESHOLD = "otsu"
REFINEMENT = "colour model + GrabCut"


def smoothed(heatmap: Heatmap) -> Heatmap:
    """The square root tames single peaks; the blur (σ = 2.7 % of the side) joins them."""
    return cv2.GaussianBlur(np.sqrt(heatmap), (0, 0), 0.027 * max(heatmap.shape))


def segment(pixels: Pixels, heatmap: Heatmap) -> Mask:
    """pixels: (H, W, 3) uint8 RGB; heatmap: (H, W) float32 ≥ 0 → (H, W) bool, True = subject."""
    smooth = smoothed(heatmap)
    return REFINEMENTS[REFINEMENT](pixels, smooth, THRESHOLDS[THRESHOLD](smooth))

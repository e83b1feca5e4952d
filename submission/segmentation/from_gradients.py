"""The mask of the subject of an image, from what a classifier looks at."""

from __future__ import annotations

import cv2
import numpy as np

from segmentation.refinement import Heatmap, Mask, Pixels, fill_holes, largest_component


def segment(pixels: Pixels, heatmap: Heatmap) -> Mask:
    """pixels: (H, W, 3) uint8 RGB; heatmap: (H, W) float32 → (H, W) bool."""
    side = heatmap.shape[0]
    smooth = cv2.GaussianBlur(heatmap, (0, 0), side / 25)
    marks = np.full(heatmap.shape, cv2.GC_PR_BGD, np.uint8)
    marks[smooth > np.quantile(smooth, 0.6)] = cv2.GC_PR_FGD
    marks[smooth > np.quantile(smooth, 0.9)] = cv2.GC_FGD
    marks[smooth < np.quantile(smooth, 0.1)] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    cv2.grabCut(
        cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR),
        marks,
        None,
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        4,
        cv2.GC_INIT_WITH_MASK,
    )
    mask = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    return fill_holes(largest_component(mask))

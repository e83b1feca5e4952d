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
# Colours part at the subject's edge, which an image that is small enough for the network blurs.
LEAST_SIDE_PX = 128


def mask_side_px(network_side_px: int) -> int:
    """The side at which masks are made for a network that is shown images of `network_side_px`."""
    return max(network_side_px, LEAST_SIDE_PX)


def brought_to(heatmap: Heatmap, pixels: Pixels) -> Heatmap:
    """The heatmap (h, w) at the size of `pixels` (H, W, 3), bilinear."""
    height_px, width_px = pixels.shape[:2]
    if heatmap.shape == (height_px, width_px):
        return heatmap
    return cv2.resize(heatmap, (width_px, height_px), interpolation=cv2.INTER_LINEAR)


def smoothed(heatmap: Heatmap) -> Heatmap:
    """The square root tames single peaks; the blur (σ = 2.7 % of the side) joins them."""
    return cv2.GaussianBlur(np.sqrt(heatmap), (0, 0), 0.027 * max(heatmap.shape))


def segment(pixels: Pixels, heatmap: Heatmap) -> Mask:
    """pixels: (H, W, 3) uint8 RGB; heatmap: (h, w) float32 ≥ 0, of the same image at any size →
    (H, W) bool, True = subject."""
    smooth = smoothed(brought_to(heatmap, pixels))
    return REFINEMENTS[REFINEMENT](pixels, smooth, THRESHOLDS[THRESHOLD](smooth))

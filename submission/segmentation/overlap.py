"""How well two masks agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segmentation.refinement import Mask


def foreground_iou(predicted: Mask, truth: Mask) -> float:
    """|A ∩ B| / |A ∪ B| of two (H, W) bool masks; two empty masks agree fully."""
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


def read_mask(path: Path) -> Mask:
    """A mask file as (H, W) bool: foreground where the grey value is above 127."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127


def centred_ellipse(height_px: int, width_px: int) -> Mask:
    """A mask that looks at no image: half axes of 100/224 of the width and 90/224 of the height."""
    rows, columns = np.mgrid[:height_px, :width_px]
    y = (rows - (height_px - 1) / 2) / (height_px * 90 / 224)
    x = (columns - (width_px - 1) / 2) / (width_px * 100 / 224)
    return x**2 + y**2 < 1

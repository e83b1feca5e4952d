"""Where a heatmap is cut into subject and background.

A threshold maps a heatmap (H, W) float32 ≥ 0 to a value of it; what lies above is foreground.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Heatmap = npt.NDArray[np.float32]
Threshold = Callable[[Heatmap], float]


def quantile(share: float) -> Threshold:
    """The value that `share` of the pixels stay below."""
    return lambda heatmap: float(np.quantile(heatmap, share))


def otsu(heatmap: Heatmap) -> float:
    """The value that parts a 256-bin histogram into the two most distant classes (Otsu, "A
    Threshold Selection Method from Gray-Level Histograms", IEEE Trans. SMC 9, 1979)."""
    low, high = float(heatmap.min()), float(heatmap.max())
    if high <= low:
        return low
    levels = ((heatmap - low) * (255 / (high - low))).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    return low + (high - low) * (level + 1) / 255


THRESHOLDS: dict[str, Threshold] = {
    "quantile 0.45": quantile(0.45),
    "quantile 0.55": quantile(0.55),
    "quantile 0.65": quantile(0.65),
    "otsu": otsu,
}

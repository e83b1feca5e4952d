"""Measures on heatmaps: arrays (H, W) of float64, larger where the network looks.

Rank correlation is Spearman's, as in Adebayo et al., "Sanity Checks for Saliency Maps" (NeurIPS
2018); deletion and insertion are those of Petsiuk et al., "RISE" (BMVC 2018), section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Fewer levels than this over a whole map are a shape, not a map.
LEAST_LEVELS = 8


def ranks(values: FloatArray) -> FloatArray:
    """Ranks of `values`, flattened, from 0; equal values share the mean of their ranks."""
    flat = values.ravel()
    order = np.argsort(flat, kind="stable")
    _, inverse, counts = np.unique(flat[order], return_inverse=True, return_counts=True)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    shared = first + (counts - 1) / 2.0
    result = np.empty(flat.size)
    result[order] = shared[inverse]
    return result


def rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Spearman's ρ of two arrays of one shape, in [-1, 1]; NaN where one of them is constant.

    Raises ValueError for arrays of different shapes.
    """
    if one.shape != other.shape:
        raise ValueError(f"maps of {one.shape} and {other.shape} cannot be compared")
    a, b = (ranks(part) - (part.size - 1) / 2.0 for part in (one, other))
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread > 0 else float("nan")


def varies(heat: FloatArray) -> bool:
    """Whether the map has enough different levels to say where something is."""
    return np.unique(heat).size >= LEAST_LEVELS


def hottest_first(heat: FloatArray, steps: int) -> BoolArray:
    """(steps + 1, H, W): masks of the hottest share 0/steps, 1/steps, …, 1 of the pixels.

    Equal pixels come in the order of their rows. Raises ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"at least one step is needed, not {steps}")
    place = np.empty(heat.size, dtype=np.int64)
    place[np.argsort(-heat.ravel(), kind="stable")] = np.arange(heat.size)
    limits = np.linspace(0, heat.size, steps + 1).round().astype(np.int64)
    masks: BoolArray = place.reshape(1, *heat.shape) < limits[:, None, None]
    return masks


def area_under(values: Sequence[float] | FloatArray) -> float:
    """The area under equally spaced `values` over [0, 1], by trapezoids."""
    heights = np.asarray(values, dtype=np.float64)
    return float((heights[1:] + heights[:-1]).sum() / 2.0 / (heights.size - 1))


def centred_bump(height: int, width: int) -> FloatArray:
    """A map that knows only that things are in the middle: the trivial answer."""
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    return np.asarray(-(y[:, None] ** 2 + x[None, :] ** 2))

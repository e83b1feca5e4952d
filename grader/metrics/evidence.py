"""Metrics over evidence that a stage of its own gathers: layers run by themselves, heatmaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayerMetric:
    """A metric over one layer: `of_checks` maps (checks passed, checks made) to a share."""

    of_checks: Callable[[int, int], float]
    convention: str


@dataclass(frozen=True, slots=True)
class HeatmapEvidence:
    """What was measured of each image's heatmap, (N,) float64 each, NaN where it was not.

    `well_formed`: 1 where the map has the asked-for size and varies; `correlation`: rank
    correlation with the map of the same image under weights drawn anew; `deletion` and
    `insertion`: areas under the class's probability.
    """

    well_formed: FloatArray
    correlation: FloatArray
    deletion: FloatArray
    insertion: FloatArray


@dataclass(frozen=True, slots=True)
class HeatmapMetric:
    """A metric over heatmaps: `of_images` maps the evidence to (N,) float64, NaN: not measured."""

    of_images: Callable[[HeatmapEvidence], FloatArray]
    convention: str


share_passed = LayerMetric(
    lambda passed, made: passed / made if made else 0.0,
    "the share of the checks in which the layer gives the exact answer of its definition; a layer "
    "that is PyTorch's own, in whole or in part, counts as 0",
)

well_formed = HeatmapMetric(
    lambda evidence: evidence.well_formed,
    "the share of images with a map of the asked-for size, in grey, that varies over the image",
)

sensitivity = HeatmapMetric(
    lambda evidence: 1.0 - np.clip(evidence.correlation, 0.0, 1.0),
    "1 − Spearman's rank correlation (negative ones as 0) with the map that the same program "
    "gives under weights drawn anew, mean over images: the model parameter randomisation test of "
    "Adebayo et al. (NeurIPS 2018), section 3",
)

insertion_minus_deletion = HeatmapMetric(
    lambda evidence: evidence.insertion - evidence.deletion,
    "area under the class's probability while pixels are put back, hottest first, minus the area "
    "while they are taken away, hottest first, mean over images (Petsiuk et al., BMVC 2018)",
)

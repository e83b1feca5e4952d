"""Heatmaps against those of other weights: what a missing map is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grader.model import MeasurementSpec, ReadHeatmap, TruthItem
from grader.stages.measure_heatmaps import measure_heatmaps

SIDE_PX = 16
STEMS = [f"img_{index}" for index in range(12)]
ITEMS = [TruthItem(f"{stem}.jpg", f"{stem}.jpg", Path("x"), None, None) for stem in STEMS]
SPECS = [
    MeasurementSpec(name, name, f"heatmaps.{name}", "", "heatmaps", {}, of_best=True)
    for name in ("sensitivity", "well_formed")
]


def heatmap(seed: int) -> ReadHeatmap:
    heat = np.random.default_rng(seed).random((SIDE_PX, SIDE_PX))
    return ReadHeatmap(heat, SIDE_PX, SIDE_PX, in_colour=False)


def measured(maps: int, randomised: int | None) -> dict[str, tuple[float | None, int]]:
    """Measurement → (value, count), with maps of the first images."""
    before = {stem: heatmap(index) for index, stem in enumerate(STEMS[:maps])}
    after = None
    if randomised is not None:
        after = {stem: heatmap(index + 100) for index, stem in enumerate(STEMS[:randomised])}
    measurements, _ = measure_heatmaps(SPECS, ITEMS, before, after, SIDE_PX, {}, {})
    return {key: (one.value, one.count) for key, one in measurements.items()}


def test_an_image_without_a_map_counts_as_one_that_shows_nothing() -> None:
    value, count = measured(12, 6)["sensitivity"]
    assert count == 6
    assert value is not None
    assert value > 0.7
    value, count = measured(1, 6)["sensitivity"]
    assert count == 6
    assert value is not None
    assert 0.1 < value < 0.2
    assert measured(1, 6)["well_formed"] == (1 / 12, 12)


def test_without_other_weights_nothing_is_known() -> None:
    assert measured(12, None)["sensitivity"] == (None, 0)

"""Ranks, areas and masks of heatmaps, against simple cases and SciPy's definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from grader.metrics.evidence import (
    HeatmapEvidence,
    insertion_minus_deletion,
    sensitivity,
    share_passed,
)
from grader.metrics.heatmaps import (
    area_under,
    centred_bump,
    hottest_first,
    rank_correlation,
    ranks,
    varies,
)

MAPS = st_numpy.arrays(np.float64, (4, 5), elements=st.integers(0, 6).map(float))


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert ranks(np.array([[3.0, 1.0], [3.0, 0.0]])).tolist() == [2.5, 1.0, 2.5, 0.0]


@given(MAPS)
def test_a_map_agrees_with_itself_whatever_its_scale(heat: np.ndarray) -> None:
    rho = rank_correlation(heat, 3.0 * heat + 1.0)

    assert math.isnan(rho) if np.ptp(heat) == 0 else rho == pytest.approx(1.0)


@given(MAPS, MAPS)
def test_rank_correlation_is_pearsons_of_the_ranks(one: np.ndarray, other: np.ndarray) -> None:
    rho = rank_correlation(one, other)

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert math.isnan(rho)
    else:
        assert rho == pytest.approx(np.corrcoef(ranks(one), ranks(other))[0, 1], abs=1e-9)


def test_maps_of_two_shapes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        rank_correlation(np.zeros((2, 3)), np.zeros((3, 2)))


@given(MAPS, st.integers(1, 9))
def test_masks_grow_by_the_hottest_pixels(heat: np.ndarray, steps: int) -> None:
    masks = hottest_first(heat, steps)

    assert masks.shape == (steps + 1, 4, 5)
    assert not masks[0].any()
    assert masks[-1].all()
    for before, after in itertools.pairwise(masks):
        assert not (before & ~after).any()
        if before.any() and not before.all():
            assert heat[before].min() >= heat[~before].max()


def test_no_step_is_no_curve() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        hottest_first(np.zeros((2, 2)), 0)


def test_areas() -> None:
    assert area_under([1.0, 1.0, 1.0]) == 1.0
    assert area_under([1.0, 0.0]) == 0.5
    assert area_under([0.0, 0.0, 1.0]) == 0.25


def test_the_trivial_map_is_hottest_in_the_middle() -> None:
    bump = centred_bump(5, 7)

    assert np.unravel_index(bump.argmax(), bump.shape) == (2, 3)
    assert varies(bump)
    assert not varies(np.zeros((9, 9)))


def test_metrics_of_evidence() -> None:
    evidence = HeatmapEvidence(
        well_formed=np.array([1.0, 0.0]),
        correlation=np.array([-0.5, 0.75]),
        deletion=np.array([0.25, np.nan]),
        insertion=np.array([0.75, np.nan]),
    )

    assert sensitivity.of_images(evidence).tolist() == [1.0, 0.25]
    assert insertion_minus_deletion.of_images(evidence)[0] == 0.5
    assert np.isnan(insertion_minus_deletion.of_images(evidence)[1])
    assert share_passed.of_checks(3, 4) == 0.75
    assert share_passed.of_checks(0, 0) == 0.0

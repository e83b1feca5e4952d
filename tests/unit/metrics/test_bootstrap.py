"""Intervals: equal to SciPy's, reproducible, and honest about what they cannot say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.metrics import bootstrap
from grader.metrics.bootstrap import bootstrap_interval
from grader.metrics.classification import macro_f1
from grader.metrics.counts import FloatArray, IntArray


def mean_of(values: FloatArray) -> bootstrap.Statistic:
    return lambda indices: values[indices].mean(axis=-1)


def test_equal_to_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="SciPy comes with scikit-learn")
    values = np.random.default_rng(5).beta(5, 2, size=60)
    ours = bootstrap_interval(mean_of(values), len(values), seed=11, resamples=3000)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=3000,
        confidence_level=0.95,
        method="BCa",
        rng=np.random.default_rng(11),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.method == "bca"


def test_the_same_for_the_same_seed_however_it_is_cut_into_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(1).random(50)
    whole = bootstrap_interval(mean_of(values), 50, seed=7)
    assert whole == bootstrap_interval(mean_of(values), 50, seed=7)
    assert whole != bootstrap_interval(mean_of(values), 50, seed=8)
    monkeypatch.setattr(bootstrap, "_BLOCK", 333)
    assert whole == bootstrap_interval(mean_of(values), 50, seed=7)


def test_it_covers_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        values = generator.beta(4, 2, size=40)
        interval = bootstrap_interval(mean_of(values), 40, seed=seed, resamples=400)
        hits += interval.low <= 4 / 6 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_a_statistic_over_counts_is_resampled_at_once() -> None:
    generator = np.random.default_rng(2)
    targets: IntArray = generator.integers(0, 5, 80)
    preds = np.where(generator.random(80) < 0.7, targets, generator.integers(0, 5, 80))
    interval = bootstrap_interval(
        lambda indices: macro_f1(preds[indices], targets[indices], 5), 80, seed=1
    )
    assert interval.low < macro_f1(preds, targets, 5) < interval.high


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=12), st.integers(0, 99))
def test_it_lies_within_the_values(values: list[float], seed: int) -> None:
    interval = bootstrap_interval(mean_of(np.array(values)), len(values), seed=seed, resamples=100)
    assert min(values) <= interval.low <= interval.high <= max(values)


def test_equal_values_give_no_spread_and_say_so() -> None:
    interval = bootstrap_interval(mean_of(np.full(9, 0.5)), 9, seed=0)
    assert (interval.low, interval.high, interval.method) == (0.5, 0.5, "constant")


@pytest.mark.parametrize(
    ("count", "resamples", "level"), [(0, 2000, 0.95), (5, 99, 0.95), (5, 2000, 1.0)]
)
def test_what_cannot_be_resampled_is_refused(count: int, resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="cannot bootstrap"):
        bootstrap_interval(mean_of(np.ones(5)), count, seed=0, resamples=resamples, level=level)


def test_a_statistic_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        bootstrap_interval(mean_of(np.array([0.5, np.nan])), 2, seed=0)

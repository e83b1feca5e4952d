from __future__ import annotations

import pytest
from errors import SubmissionError
from hypothesis import given
from hypothesis import strategies as st
from training.plan import Budget, Plan, Stage, usable_seconds

PLAN = Plan(
    stages=(
        Stage(size_px=32, store_px=48, share=6, batch_size=16),
        Stage(size_px=64, store_px=64, share=3, batch_size=16),
        Stage(size_px=96, store_px=96, share=1, batch_size=8),
    ),
    peak_learning_rate=0.2,
)
SHARES = st.floats(0, 1)


def test_stages_take_their_share_of_the_epochs() -> None:
    assert [PLAN.stage_index(share) for share in (0, 0.59, 0.6, 0.89, 0.9, 1, 1.5)] == [
        0,
        0,
        1,
        1,
        2,
        2,
        2,
    ]


@given(SHARES)
def test_work_and_epochs_are_inverse(share: float) -> None:
    assert PLAN.epoch_share(PLAN.work_share(share)) == pytest.approx(share, abs=1e-9)


@given(SHARES, SHARES)
def test_work_grows_with_epochs(a: float, b: float) -> None:
    assert (a <= b) == (PLAN.work_share(a) <= PLAN.work_share(b)) or a == pytest.approx(b)


def test_an_epoch_costs_its_image_area() -> None:
    work = [6 * 32**2, 3 * 64**2, 96**2]
    assert PLAN.work_share(0.6) == pytest.approx(work[0] / sum(work))
    assert PLAN.work_share(0.9) == pytest.approx((work[0] + work[1]) / sum(work))


def test_learning_rate_rises_once_and_falls_to_zero() -> None:
    rates = [PLAN.learning_rate(i / 1000, 64) for i in range(1001)]
    peak = rates.index(max(rates))
    assert rates[peak] == pytest.approx(0.2)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert PLAN.learning_rate(0.5, 32) == pytest.approx(PLAN.learning_rate(0.5, 64) / 2)


def test_the_nearer_end_counts() -> None:
    both = Budget(epochs=10, seconds=100)
    assert both.epoch_share(PLAN, 5, 0) == 0.5
    assert both.epoch_share(PLAN, 0, 100) == 1
    assert both.epoch_share(PLAN, 11, 0) == 1
    only_time = Budget(epochs=None, seconds=100)
    assert only_time.epoch_share(PLAN, 10**6, 0) == 0
    # after the first stage's share of the work, the second begins
    seconds = 100 * PLAN.work_share(0.6)
    assert PLAN.stage_index(only_time.epoch_share(PLAN, 0, seconds + 1e-6)) == 1
    assert PLAN.stage_index(only_time.epoch_share(PLAN, 0, seconds - 1e-6)) == 0


@pytest.mark.parametrize(("epochs", "seconds"), [(None, None), (0, None), (None, 0), (None, -60)])
def test_a_budget_without_room_is_refused(epochs: int | None, seconds: float | None) -> None:
    with pytest.raises(SubmissionError):
        Budget(epochs, seconds)


def test_a_smaller_final_side_leaves_larger_stages_out() -> None:
    shorter = PLAN.ending_at(64)
    assert [stage.size_px for stage in shorter.stages] == [32, 64]
    assert sum(stage.share for stage in shorter.stages) == pytest.approx(1)
    assert [stage.size_px for stage in PLAN.ending_at(20).stages] == [20]
    assert PLAN.ending_at(96) == PLAN


def test_stages_of_smaller_images_can_be_left_out() -> None:
    later = PLAN.starting_at(64)
    assert [stage.size_px for stage in later.stages] == [64, 96]
    assert [stage.share for stage in later.stages] == pytest.approx([0.75, 0.25])
    assert [stage.size_px for stage in PLAN.starting_at(500).stages] == [96]
    assert PLAN.starting_at(0) == PLAN


def test_an_epoch_costs_what_its_crops_do() -> None:
    plan = Plan(
        stages=(
            Stage(size_px=64, store_px=64, share=1, batch_size=16),
            Stage(size_px=128, store_px=128, share=1, batch_size=16, crop_px=96),
        ),
        peak_learning_rate=0.1,
    )
    assert plan.stages[0].crop_px == 64
    assert plan.work_share(0.5) == pytest.approx(64**2 / (64**2 + 96**2))
    # where the run ends at another side, crops have that side
    assert plan.ending_at(128).stages[-1].crop_px == 96
    assert plan.ending_at(100).stages[-1].crop_px == 100


@given(st.floats(0.01, 10_000))
def test_time_is_kept_back_for_the_end(minutes: float) -> None:
    assert minutes * 60 - 60.001 <= usable_seconds(minutes) < minutes * 60

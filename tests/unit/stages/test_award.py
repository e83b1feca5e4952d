"""Marks by curves: worked by hand, and identities."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.assignments.load import load_assignment
from grader.model import VOID_BECAUSE, CurvePoint, Measurement
from grader.stages.award import award, marks_on, resolve_curve

POINTS = (
    CurvePoint("baseline", Decimal(0)),
    CurvePoint(0.7, Decimal("1.25")),
    CurvePoint(0.78, Decimal("2.25")),
    CurvePoint(0.82, Decimal("2.5")),
)


def _measured(value: float | None, **baselines: float) -> Measurement:
    return Measurement(id="iou", title="IoU", value=value, count=3, baselines=baselines)


def test_the_best_baseline_starts_the_curve() -> None:
    curve = resolve_curve(POINTS, {"ellipse": 0.6, "everything": 0.4})
    assert curve[0] == (0.6, Decimal(0))
    assert [marks for _, marks in curve] == [0, Decimal("1.25"), Decimal("2.25"), Decimal("2.5")]


def test_points_at_or_below_the_baseline_are_dropped() -> None:
    assert resolve_curve(POINTS, {"ellipse": 0.75}) == (
        (0.75, Decimal(0)),
        (0.78, Decimal("2.25")),
        (0.82, Decimal("2.5")),
    )
    assert marks_on(resolve_curve(POINTS, {"ellipse": 0.9}), 0.9) == 0
    assert marks_on(resolve_curve(POINTS, {"ellipse": 1.0}), 1.0) == 0


@pytest.mark.parametrize(
    ("value", "marks"),
    [
        (0.0, "0"),
        (0.6, "0"),
        (0.65, "0.625"),  # half of the way from 0.6 to 0.7
        (0.7, "1.25"),
        (0.74, "1.75"),  # half of the way from 0.70 to 0.78
        (0.8, "2.375"),
        (0.82, "2.5"),
        (1.0, "2.5"),
    ],
)
def test_marks_between_the_points_by_hand(value: float, marks: str) -> None:
    assert marks_on(resolve_curve(POINTS, {"ellipse": 0.6}), value) == Decimal(marks)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_is_never_worth_less(a: float, b: float, baseline: float) -> None:
    curve = resolve_curve(POINTS, {"ellipse": baseline})
    low, high = sorted((a, b))
    assert marks_on(curve, low) <= marks_on(curve, high)
    assert marks_on(curve, baseline) == 0


@pytest.mark.parametrize(
    ("right", "baseline", "images", "marks"),
    [
        (4, 1, 12, "0.60"),  # (1/4) / (5/12)
        (4, 2, 12, "0.50"),  # (1/6) / (1/3)
        (25, 10, 60, "0.75"),  # (1/4) / (1/3)
        (7, 1, 12, "1.20"),  # 1 + 0.75 · (1/12) / 0.3 = 1.2083…
    ],
)
def test_a_share_of_images_is_a_fraction_and_its_marks_are_exact(
    right: int, baseline: int, images: int, marks: str
) -> None:
    assert _accuracy_marks(right, baseline, images) == Decimal(marks)


@given(st.integers(1, 100_000), st.floats(0, 1), st.floats(0, 1))
def test_marks_for_shares_of_images_are_those_of_fractions(
    images: int, constant: float, hits: float
) -> None:
    baseline, right = round(constant * images), round(hits * images)
    _, *rest = load_assignment("ail721-a2").criteria[0].curve
    share, start = Fraction(right, images), Fraction(baseline, images)
    points = [(Fraction(str(p.at)), Fraction(p.marks)) for p in rest]
    points = [point for point in points if point[0] > start] or [(Fraction(1), points[-1][1])]
    exact = points[-1][1] if share > start else Fraction(0)
    for (left, low), (end, high) in pairwise([(start, Fraction(0)), *points]):
        if left < share <= end:
            exact = low + (high - low) * (share - left) / (end - left)
    assert _accuracy_marks(right, baseline, images) == Decimal(math.floor(exact * 100)) / 100


def _accuracy_marks(right: int, baseline: int, images: int) -> Decimal:
    measured = Measurement(
        id="accuracy",
        title="Accuracy",
        value=right / images,
        count=images,
        baselines={"majority-class": baseline / images},
    )
    return award(load_assignment("ail721-a2"), [measured])[0].marks


@pytest.mark.parametrize("noise", [-2e-16, 0.0, 2e-16])
def test_the_last_bits_of_a_mean_decide_nothing(noise: float) -> None:
    curve = resolve_curve(POINTS, {"ellipse": 1 / 3 - noise})
    # half of the way from 1/3 to 0.7
    assert marks_on(curve, 31 / 60 + noise) == Decimal("0.625")


def test_marks_that_do_not_end_are_cut_and_never_rounded_up() -> None:
    assert str(marks_on(resolve_curve(POINTS, {"ellipse": 0.1}), 0.5)) == "0." + "83" + "3" * 26


@given(st.floats(0, 1))
def test_marks_are_rounded_down_to_the_step_and_never_up(value: float) -> None:
    assignment = load_assignment("ail721-a2")
    awards = award(assignment, [_measured(value, ellipse=0.6)])
    for given_award in awards:
        assert given_award.marks <= given_award.exact_marks
        assert given_award.exact_marks - given_award.marks < assignment.marks_step
        assert given_award.marks % assignment.marks_step == 0


def test_what_was_not_measured_gives_no_marks_and_says_so() -> None:
    classification, segmentation = award(load_assignment("ail721-a2"), [_measured(None)])
    for missing in (classification, segmentation):
        assert missing.marks == 0
        assert "could not be measured" in missing.reason


def test_a_value_below_the_baseline_names_the_baseline() -> None:
    (segmentation,) = [
        a
        for a in award(load_assignment("ail721-a2"), [_measured(0.5, ellipse=0.6, everything=0.4)])
        if a.criterion == "segmentation"
    ]
    assert segmentation.marks == 0
    assert "ellipse" in segmentation.reason


def test_a_void_measurement_earns_nothing_and_says_why() -> None:
    assignment = load_assignment("ail721-a2")
    void = Measurement(
        id="accuracy",
        title="Accuracy",
        value=0.99,
        count=10,
        details={VOID_BECAUSE: ["checkpoint.shared"]},
    )

    given = award(assignment, [void])[0]

    assert given.value == 0.99
    assert given.marks == 0
    assert given.reason == "does not count because of a finding: checkpoint.shared"


def test_marks_that_a_person_gives_wait_and_say_what_to_look_at() -> None:
    assignment = load_assignment("col775-a1")

    waiting = [given for given in award(assignment, []) if given.is_manual]

    assert len(waiting) == 5
    assert all(given.marks == 0 and given.look_at and given.value is None for given in waiting)

"""Figures for people are never rounded up past a boundary."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import Interval
from grader.render import figures


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0.84999, "0.8499"),
        (0.99999, "0.9999"),
        (0.58, "0.5800"),
        (0.1 + 0.2, "0.3000"),
        (1.0, "1.0000"),
        (None, "–"),
        (-0.00001, "-0.0001"),
    ],
)
def test_values_are_rounded_down(number: float | None, shown: str) -> None:
    assert figures.value(number) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0.9999, "99.9 %"), (1.0, "100.0 %"), (0.58, "58.0 %"), (None, "–")]
)
def test_no_share_below_one_is_shown_as_all(share: float | None, shown: str) -> None:
    assert figures.percent(share) == shown


@given(st.floats(0, 1))
def test_a_displayed_value_is_at_most_the_value_and_at_least_all_but_its_last_place(
    number: float,
) -> None:
    shown = Decimal(figures.value(number))
    assert shown <= Decimal(number) + Decimal("1e-12")
    assert Decimal(number) - shown < Decimal("1.00001e-4")


def test_an_interval_is_rounded_outwards() -> None:
    assert figures.interval(Interval(0.12349, 0.56781, 0.95, "x")) == "0.1234 – 0.5679"
    assert figures.interval(None) == "–"
    assert figures.level(Interval(0, 1, 0.95, "x")) == "95 %"


@pytest.mark.parametrize(
    ("marks", "step", "shown"),
    [
        ("2.5", "0.01", "2.50"),
        ("0", "0.01", "0.00"),
        ("2.245", "0.01", "2.245"),
        ("10", "1", "10"),
        ("1E+1", "0.5", "10.0"),
    ],
)
def test_marks_have_the_decimals_of_their_step(marks: str, step: str, shown: str) -> None:
    assert figures.marks(Decimal(marks), Decimal(step)) == shown


def test_durations_sizes_and_counts() -> None:
    assert [figures.seconds(s) for s in (0.0124, 9.41, 59.94, 900.3)] == [
        "12 ms",
        "9.4 s",
        "59.9 s",
        "15 min 0 s",
    ]
    assert [figures.size(b) for b in (0, 1023, 1536, 3 << 30)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "3.0 GiB",
    ]
    assert figures.counted(1, "image") == "1 image"
    assert figures.counted(1234, "image") == "1,234 images"

"""Histogram and confusion matrix: what the renderers read out of measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import Measurement
from grader.render.confusion import NO_ANSWER, confusion_of
from grader.render.histogram import histogram_document, histogram_of
from tests.unit.render.example_report import example_report


def _measurement(*values: float) -> Measurement:
    return Measurement(
        "m", "M", 0.5, len(values), per_item={str(i): v for i, v in enumerate(values)}
    )


def test_bins_hold_their_lower_end_and_the_last_one_also_one() -> None:
    histogram = histogram_of(_measurement(0.0, 0.049, 0.05, 0.5, 0.999, 1.0))
    assert histogram is not None
    assert {k: n for k, n in enumerate(histogram.counts) if n} == {0: 2, 1: 1, 10: 1, 19: 2}
    assert histogram.median == pytest.approx((0.05 + 0.5) / 2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_no_image_is_lost(values: list[float]) -> None:
    histogram = histogram_of(_measurement(*values))
    assert histogram is None or histogram.total == len(values)
    assert (histogram is None) == all(value in (0, 1) for value in values)


@pytest.mark.parametrize("values", [(), (0.0, 1.0, 1.0), (0.5, 1.5), (float("nan"),)])
def test_what_has_no_histogram(values: tuple[float, ...]) -> None:
    assert histogram_of(_measurement(*values)) is None


def test_a_kept_histogram_is_read_back() -> None:
    histogram = histogram_of(_measurement(0.2, 0.4))
    assert histogram is not None
    kept = Measurement("m", "M", 0.3, 2, details={"histogram": histogram_document(histogram)})
    assert histogram_of(kept) == histogram


def test_the_confusion_matrix_is_read_with_its_column_of_no_answer() -> None:
    report = example_report()
    counts = [[2, 1, 0], [0, 3, 4]]
    measurement = replace(
        report.measurements[0],
        details={"confusion": {"classes": ["A", "B"], "counts": counts}},
    )
    matrix = confusion_of(replace(report, measurements=(measurement,)))
    assert matrix is not None
    assert (matrix.actual, matrix.predicted) == ((3, 7), (2, 4, 4))
    assert (matrix.right, matrix.total) == (5, 10)
    assert matrix.mistakes() == [(1, 2, 4), (0, 1, 1)]
    assert [matrix.name(k) for k in range(3)] == ["A", "B", NO_ANSWER]


def test_no_measurement_no_matrix() -> None:
    assert confusion_of(replace(example_report(), measurements=())) is None

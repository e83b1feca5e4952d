"""The geometry of charts: everything inside, the value on the curve."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import Award, Interval, Measurement
from grader.render.charts import BarChart, CurveChart, bar_chart, curve_chart, heat_map
from grader.render.confusion import Confusion
from grader.render.histogram import histogram_of
from tests.unit.render.example_report import example_report


def _award(value: float | None, corners: list[tuple[float, str]]) -> Award:
    curve = tuple((x, Decimal(marks)) for x, marks in corners)
    return Award("c", "C", "m", value, Decimal(1), Decimal(2), Decimal(1), curve, "", "")


def _inside(chart: CurveChart | BarChart, *xs: float) -> bool:
    return all(chart.left - 0.01 <= x <= chart.right + 0.01 for x in xs)


@given(
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=2, max_size=5, unique=True).map(sorted),
    st.floats(0, 1),
)
def test_everything_on_a_curve_lies_inside_its_chart(
    value: float, xs: list[float], baseline: float
) -> None:
    corners = [(x, str(index)) for index, x in enumerate(xs)]
    low, high = min(value, baseline), max(value, baseline)
    measurement = Measurement("m", "M", value, 3, Interval(low, high, 0.95, ""), {"b": baseline})
    chart = curve_chart(_award(value, corners), measurement)
    assert chart.value is not None
    assert chart.baseline is not None
    assert chart.band is not None
    assert _inside(chart, chart.value.at_px, chart.baseline.at_px)
    assert _inside(chart, chart.band[0], chart.band[0] + chart.band[1])
    assert _inside(chart, *(x for x, _ in chart.corners), *(tick.at_px for tick in chart.x_ticks))
    assert all(chart.top <= y <= chart.bottom for _, y in chart.corners)
    assert 2 <= len(chart.x_ticks) <= 9


@pytest.mark.parametrize("xs", [(0.0, 1000.0), (0.001, 0.002), (-5.0, 5.0), (0.5, 0.5 + 1e-9)])
def test_axes_of_any_scale(xs: tuple[float, float]) -> None:
    chart = curve_chart(_award(xs[0], [(xs[0], "0"), (xs[1], "2")]), None)
    assert _inside(chart, *(x for x, _ in chart.corners))
    assert 2 <= len(chart.x_ticks) <= 9
    assert len({tick.label for tick in chart.x_ticks}) == len(chart.x_ticks)


def test_the_value_lies_on_the_curve() -> None:
    award = replace(_award(0.5, [(0.0, "0"), (1.0, "2")]), exact_marks=Decimal(1))
    chart = curve_chart(award, None)
    (x0, y0), (x1, y1) = chart.corners
    assert chart.value is not None
    share = (chart.value.at_px - x0) / (x1 - x0)
    assert chart.value_y == pytest.approx(y0 + share * (y1 - y0), abs=0.02)


def test_no_measurement_no_marker() -> None:
    chart = curve_chart(_award(None, [(0.0, "0"), (1.0, "2")]), None)
    assert (chart.value, chart.baseline, chart.band) == (None, None, None)


def test_bars_fill_the_height_and_only_bins_with_images_are_drawn() -> None:
    measurement = example_report().measurements[2]
    histogram = histogram_of(measurement)
    assert histogram is not None
    chart = bar_chart(histogram, measurement)
    assert len(chart.bars) == sum(1 for count in histogram.counts if count)
    assert max(bar.height for bar in chart.bars) == pytest.approx(chart.bottom - chart.top)
    assert _inside(chart, *(bar.x for bar in chart.bars), chart.mean.at_px)
    assert chart.bars[0].label.endswith("image")


@pytest.mark.parametrize(("count", "named"), [(1, True), (30, True), (31, False), (100, False)])
def test_cells_lie_inside_the_matrix(count: int, named: bool) -> None:
    classes = tuple(f"CLASS {number}" for number in range(count))
    cells = {(k, k): 3 for k in range(count)} | {(0, count): 1}
    chart = heat_map(Confusion(classes, cells))
    assert chart.named is named
    assert (chart.rows, chart.columns) == (count, count + 1)
    for cell in chart.cells:
        assert chart.left <= cell.x <= chart.left + (chart.columns - 1) * chart.cell + 0.01
        assert chart.top <= cell.y <= chart.top + (chart.rows - 1) * chart.cell + 0.01
        assert 0 < cell.opacity <= 0.65
    assert chart.width >= chart.left + chart.columns * chart.cell
    assert len(chart.cells) == len(cells)


def test_without_missing_answers_there_is_no_column_for_them() -> None:
    assert heat_map(Confusion(("A", "B"), {(0, 0): 1, (1, 0): 2})).columns == 2


def test_the_column_without_an_answer_is_named_among_numbers_too() -> None:
    classes = tuple(f"CLASS {number}" for number in range(52))
    chart = heat_map(Confusion(classes, {(0, 0): 1, (1, 52): 2}))
    labels = [tick.label for tick in chart.column_names]
    assert labels == ["1", "11", "21", "31", "41", "none"]
    assert [tick.label for tick in chart.row_names] == labels[:-1]

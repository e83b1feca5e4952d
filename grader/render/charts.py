"""Where the marks of an inline SVG go: geometry only, in the pixels of its viewBox.

What a chart looks like stands in templates/charts.html.j2 and report.css; every text goes through
the template's escaping. Charts are drawn at the width of a phone, so their text is never shrunk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from grader.model import Award, Measurement
from grader.render import figures
from grader.render.confusion import Confusion
from grader.render.histogram import Histogram
from grader.render.printable import width_cells

WIDTH_PX = 320
_LEFT_PX, _RIGHT_PX = 38, 14
_CURVE_HEIGHT_PX, _CURVE_TOP_PX, _CURVE_BOTTOM_PX = 190, 30, 32
_BARS_HEIGHT_PX, _BARS_TOP_PX, _BARS_BOTTOM_PX = 190, 52, 32
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_NAMED_CLASSES = 30  # more do not fit beside the cells: their rows are numbered
_CELL_PX = 26
_NUMBERED_PX, _LEAST_CELL_PX = 500, 4  # side of a matrix whose classes are numbered
_NAME_CHARS, _CHAR_PX = 26, 6.4
_CAPITAL_PX = 7.6  # class names are often all capitals

_Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis with its label."""

    at_px: float
    label: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A vertical line with a label that stays inside the chart: anchor is start, middle or end."""

    at_px: float
    label_px: float
    anchor: str
    label: str


@dataclass(frozen=True, slots=True)
class _Axes:
    """The frame of a chart: its size, where the axes end, and their ticks."""

    width: int
    height: int
    left: int
    right: float
    top: int
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class CurveChart(_Axes):
    """Marks against the measured value."""

    line: str  # points of a polyline
    area: str  # points of a polygon below it
    corners: tuple[tuple[float, float], ...]
    baseline: Flag | None
    band: tuple[float, float] | None  # left and width of the confidence interval
    value: Flag | None
    value_y: float


def curve_chart(award: Award, measurement: Measurement | None) -> CurveChart:
    """The award's curve with the best baseline, the confidence interval and the value on it."""
    corners = [(value, float(marks)) for value, marks in award.curve]
    interval = None if measurement is None else measurement.interval
    baselines = {} if measurement is None else measurement.baselines
    best = max(baselines.values(), default=None)
    shown = [value for value, _ in corners]
    shown += [] if interval is None else [interval.low, interval.high]
    shown += [value for value in (best, award.value) if value is not None]
    low, high, step = _domain(shown)
    right, bottom = WIDTH_PX - _RIGHT_PX, _CURVE_HEIGHT_PX - _CURVE_BOTTOM_PX
    most = max(float(award.max_marks), *(marks for _, marks in corners), 1e-9)

    def x_of(value: float) -> float:
        return _px(_LEFT_PX + (value - low) / (high - low) * (right - _LEFT_PX))

    def y_of(marks: float) -> float:
        return _px(bottom - marks / most * (bottom - _CURVE_TOP_PX))

    points = [(x_of(value), y_of(marks)) for value, marks in corners]
    outline = [(_px(_LEFT_PX), points[0][1]), *points, (_px(right), points[-1][1])]
    area = [(outline[0][0], bottom), *outline, (outline[-1][0], bottom)]
    return CurveChart(
        width=WIDTH_PX,
        height=_CURVE_HEIGHT_PX,
        left=_LEFT_PX,
        right=right,
        top=_CURVE_TOP_PX,
        bottom=bottom,
        x_ticks=_ticks(low, high, step, x_of),
        y_ticks=tuple(Tick(y_of(marks), f"{marks:g}") for marks in (0.0, most / 2, most)),
        line=_points(outline),
        area=_points(area),
        corners=tuple(points),
        baseline=None if best is None else _flag(x_of(best), f"baseline {figures.value(best)}"),
        band=None
        if interval is None
        else (x_of(interval.low), _px(x_of(interval.high) - x_of(interval.low))),
        value=None if award.value is None else _flag(x_of(award.value), figures.value(award.value)),
        value_y=y_of(float(award.exact_marks)),
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin of a histogram."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class BarChart(_Axes):
    """How many images have which value."""

    bars: tuple[Bar, ...]
    baselines: tuple[Flag, ...]
    mean: Flag


def bar_chart(histogram: Histogram, measurement: Measurement) -> BarChart:
    """The histogram of values in [0, 1] with the mean and the best baseline."""
    right, bottom = WIDTH_PX - _RIGHT_PX, _BARS_HEIGHT_PX - _BARS_BOTTOM_PX
    most = max(histogram.counts)
    pitch = (right - _LEFT_PX) * histogram.width
    bars = tuple(
        Bar(
            x=_px(_LEFT_PX + index * pitch + 0.75),
            y=_px(bottom - count / most * (bottom - _BARS_TOP_PX)),
            width=_px(pitch - 1.5),
            height=_px(count / most * (bottom - _BARS_TOP_PX)),
            label=f"{index * histogram.width:.2f} to {(index + 1) * histogram.width:.2f}: "
            f"{figures.counted(count, 'image')}",
        )
        for index, count in enumerate(histogram.counts)
        if count
    )

    def x_of(value: float) -> float:
        return _px(_LEFT_PX + value * (right - _LEFT_PX))

    best = max(measurement.baselines.values(), default=None)
    return BarChart(
        width=WIDTH_PX,
        height=_BARS_HEIGHT_PX,
        left=_LEFT_PX,
        right=right,
        top=_BARS_TOP_PX,
        bottom=bottom,
        x_ticks=_ticks(0.0, 1.0, 0.25, x_of),
        y_ticks=(Tick(_px(bottom), "0"), Tick(_px(_BARS_TOP_PX), str(most))),
        bars=bars,
        baselines=()
        if best is None
        else (_flag(x_of(best), f"best baseline {figures.value(best)}"),),
        mean=_flag(x_of(histogram.mean), f"mean {figures.value(histogram.mean)}"),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One non-empty cell of the confusion matrix; `opacity` grows with its share of the row."""

    x: float
    y: float
    opacity: float
    right: bool
    count: int
    label: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The confusion matrix, rows the truth, columns the prediction."""

    width: float
    height: float
    left: float
    top: float
    cell: float
    rows: int
    columns: int
    named: bool
    row_names: tuple[Tick, ...]
    column_names: tuple[Tick, ...]
    cells: tuple[Cell, ...]


def heat_map(confusion: Confusion) -> HeatMap:
    """Cells are coloured by the share of their row; up to 30 classes are named, more numbered."""
    count = len(confusion.classes)
    columns = count + (1 if confusion.predicted[-1] else 0)
    named = count <= _NAMED_CLASSES
    cell = float(_CELL_PX if named else max(_NUMBERED_PX // columns, _LEAST_CELL_PX))
    names = [_cut(confusion.name(index)) for index in range(columns)]
    margin = max(map(width_cells, names), default=0) * _CAPITAL_PX + 8 if named else 30
    if named:
        labels = dict(enumerate(names))
    else:
        labels = {index: str(index + 1) for index in range(0, count - 5, 10)}
        labels |= {count: "none"} if columns > count else {}
    return HeatMap(
        width=_px(margin + columns * cell + (margin / 2 if named else 6)),
        height=_px(margin + count * cell + 6),
        left=margin,
        top=margin,
        cell=cell,
        rows=count,
        columns=columns,
        named=named,
        row_names=tuple(
            Tick(_px(margin + (index + 0.5) * cell), label)
            for index, label in labels.items()
            if index < count
        ),
        column_names=tuple(
            Tick(_px(margin + (index + 0.5) * cell), label) for index, label in labels.items()
        ),
        cells=tuple(
            Cell(
                x=_px(margin + column * cell),
                y=_px(margin + row * cell),
                opacity=round(0.12 + 0.5 * number / confusion.actual[row], 3),
                right=row == column,
                count=number,
                label=f"{confusion.name(row)}, labelled {confusion.name(column)}: "
                f"{number} of {figures.counted(confusion.actual[row], 'image')}",
            )
            for (row, column), number in sorted(confusion.cells.items())
        ),
    )


def _domain(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower end, upper end and distance of ticks of an axis that shows all `values`."""
    low, high = min(values), max(values)
    room = max(high - low, 0.05 * max(abs(high), 1.0)) * 0.08
    step = next((s for s in _STEPS if (high - low + 2 * room) / s <= 6), None)
    if step is None:
        step = 10.0 ** math.ceil(math.log10((high - low + 2 * room) / 6))
    start, end = math.floor((low - room) / step) * step, math.ceil((high + room) / step) * step
    if low >= 0 and high <= 1:
        start, end = max(start, 0.0), min(end, 1.0)
    return start, end, step


def _ticks(low: float, high: float, step: float, x_of: _Scale) -> tuple[Tick, ...]:
    count = round((high - low) / step)
    values: Iterable[float] = (low + index * step for index in range(count + 1))
    return tuple(Tick(x_of(value), f"{value:.4g}") for value in values if value <= high + 1e-9)


def _flag(at_px: float, label: str) -> Flag:
    half = width_cells(label) * _CHAR_PX / 2
    if at_px - half < _LEFT_PX:
        return Flag(at_px, _LEFT_PX, "start", label)
    if at_px + half > WIDTH_PX - 4:
        return Flag(at_px, WIDTH_PX - 4, "end", label)
    return Flag(at_px, at_px, "middle", label)


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_CHARS else f"{name[: _NAME_CHARS - 1]}…"


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _px(number: float) -> float:
    return round(number, 2)

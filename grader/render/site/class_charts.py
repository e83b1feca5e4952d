"""How the marks and the values of a class spread: geometry of the same bars as in a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from grader.render import figures
from grader.render.charts import WIDTH_PX, Bar, BarChart, Flag, Tick

_BINS = 20
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX, _HEIGHT_PX = 38, 14, 40, 32, 178
_TICKS = 4
_LABEL_ROOM_PX = 60


def spread_chart(values: Sequence[float], low: float, high: float, noun: str) -> BarChart:
    """Bins of equal width over [low, high] with the mean and, dashed, the median.

    A value on the border of two bins counts in the upper one; `high` counts in the last.
    """
    width = high - low
    counts = [0] * _BINS
    for value in values:
        # Twelve digits first, as in figures: 0.58 × 100 is 58, and lies in its own bin.
        index = math.floor(round((value - low) / width * _BINS, 9))
        counts[min(max(index, 0), _BINS - 1)] += 1
    right, bottom = WIDTH_PX - _RIGHT_PX, _HEIGHT_PX - _BOTTOM_PX
    most, pitch = max(*counts, 1), (right - _LEFT_PX) / _BINS

    def x_of(value: float) -> float:
        return round(_LEFT_PX + (value - low) / width * (right - _LEFT_PX), 2)

    def height_of(count: int) -> float:
        return round(count / most * (bottom - _TOP_PX), 2)

    bars = tuple(
        Bar(
            x=round(_LEFT_PX + index * pitch + 0.75, 2),
            y=round(bottom - height_of(count), 2),
            width=round(pitch - 1.5, 2),
            height=height_of(count),
            label=f"{low + index * width / _BINS:g} to {low + (index + 1) * width / _BINS:g}: "
            f"{figures.counted(count, noun)}",
        )
        for index, count in enumerate(counts)
        if count
    )
    mean = fmean(values)
    return BarChart(
        width=WIDTH_PX,
        height=_HEIGHT_PX,
        left=_LEFT_PX,
        right=right,
        top=_TOP_PX,
        bottom=bottom,
        x_ticks=tuple(
            Tick(x_of(at), f"{at:.4g}")
            for at in (low + index * width / _TICKS for index in range(_TICKS + 1))
        ),
        y_ticks=(Tick(bottom, "0"), Tick(_TOP_PX, str(most))),
        bars=bars,
        baselines=(_flag(x_of(median(values)), "median"),),
        mean=_flag(x_of(mean), f"mean {figures.value(mean, places=3)}"),
    )


def _flag(at_px: float, label: str) -> Flag:
    if at_px < _LEFT_PX + _LABEL_ROOM_PX:
        return Flag(at_px, _LEFT_PX, "start", label)
    if at_px > WIDTH_PX - _LABEL_ROOM_PX:
        return Flag(at_px, WIDTH_PX - 4, "end", label)
    return Flag(at_px, at_px, "middle", label)

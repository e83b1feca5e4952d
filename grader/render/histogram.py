"""How a measurement spreads over the images, as counts that name no image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from grader.model import Measurement

BINS = 20


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values in [0, 1]: bin k holds k / n ≤ value < (k + 1) / n, the last one also 1."""

    counts: tuple[int, ...]
    mean: float
    median: float

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def width(self) -> float:
        """Width of a bin, in the unit of the values."""
        return 1 / len(self.counts)


def histogram_of(measurement: Measurement) -> Histogram | None:
    """The histogram of `measurement` over its images, None where it has none in [0, 1].

    It is counted from the values per image, or taken from `details["histogram"]`, which is where
    a report for students keeps it after the values per image are gone.
    """
    kept = measurement.details.get("histogram")
    if isinstance(kept, Mapping):
        return Histogram(tuple(kept["counts"]), kept["mean"], kept["median"])
    values = [number for number in measurement.per_item.values() if math.isfinite(number)]
    if not values or not all(0 <= number <= 1 for number in values):
        return None
    if all(number in (0, 1) for number in values):
        return None  # right or wrong: the mean says it all
    counts = [0] * BINS
    for number in values:
        counts[min(int(number * BINS), BINS - 1)] += 1
    return Histogram(tuple(counts), fmean(values), median(values))


def histogram_document(histogram: Histogram) -> dict[str, Any]:
    """As it stands in report.json and in `details["histogram"]`."""
    return {
        "counts": list(histogram.counts),
        "mean": histogram.mean,
        "median": histogram.median,
    }

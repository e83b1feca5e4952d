"""The confusion matrix of a report, in the few cells that hold something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from grader.model import Report

NO_ANSWER = "no valid label"


@dataclass(frozen=True)
class Confusion:
    """Counts by true class (row) and predicted class (column); the last column is no answer.

    `cells`: (row, column) → count > 0, rows in [0, K), columns in [0, K].
    """

    classes: tuple[str, ...]
    cells: Mapping[tuple[int, int], int]

    @cached_property
    def actual(self) -> tuple[int, ...]:
        """(K,) images per true class."""
        totals = [0] * len(self.classes)
        for (row, _), count in self.cells.items():
            totals[row] += count
        return tuple(totals)

    @cached_property
    def predicted(self) -> tuple[int, ...]:
        """(K + 1,) images per predicted class."""
        totals = [0] * (len(self.classes) + 1)
        for (_, column), count in self.cells.items():
            totals[column] += count
        return tuple(totals)

    @property
    def total(self) -> int:
        return sum(self.actual)

    @property
    def right(self) -> int:
        return sum(count for (row, column), count in self.cells.items() if row == column)

    def name(self, column: int) -> str:
        """The class of a row or column, in words."""
        return self.classes[column] if column < len(self.classes) else NO_ANSWER

    def mistakes(self) -> list[tuple[int, int, int]]:
        """(row, column, count) off the diagonal, most frequent first, then in class order."""
        wrong = [
            (row, column, count) for (row, column), count in self.cells.items() if row != column
        ]
        return sorted(wrong, key=lambda cell: (-cell[2], cell[0], cell[1]))


def confusion_of(report: Report) -> Confusion | None:
    """The matrix that a measurement carries as `details["confusion"]`, None where none does.

    It is `{"classes": [K names], "counts": K rows of K or K + 1 integers}`, rows the truth,
    columns the prediction, a last column the images without a valid label.
    """
    for measurement in report.measurements:
        kept: Any = measurement.details.get("confusion")
        if isinstance(kept, Mapping):
            cells = {
                (row, column): int(count)
                for row, counts in enumerate(kept["counts"])
                for column, count in enumerate(counts)
                if count
            }
            return Confusion(tuple(kept["classes"]), cells)
    return None

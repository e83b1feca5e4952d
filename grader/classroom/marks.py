"""Marks of a submission after a person has spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from grader.classroom.records import Adjustment


def in_force(adjustments: Iterable[Adjustment]) -> tuple[Adjustment, ...]:
    """The last one of each criterion, of adjustments in the order in which they were made."""
    return tuple({one.criterion: one for one in adjustments}.values())


def with_adjustments(
    awards: Mapping[str, Decimal], adjustments: Iterable[Adjustment]
) -> dict[str, Decimal]:
    """criterion → marks, where an adjustment takes the place of what was awarded."""
    return {**awards, **{one.criterion: one.marks for one in adjustments}}


def total(awards: Mapping[str, Decimal]) -> Decimal:
    """The sum of the marks of all criteria."""
    return sum(awards.values(), Decimal(0))

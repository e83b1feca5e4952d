"""Marks of a submission after a person has spoken.

A person gives marks for a criterion of the definition as it is on that day. When the definition has
changed since, they count as far as they fit what the present result rests on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from grader.classroom.records import Adjustment


@dataclass(frozen=True, slots=True)
class Misfit:
    """An adjustment that counts no more, or not in full: `most` is the maximum that its criterion
    has now, None where there is no such criterion any more."""

    key: str
    adjustment: Adjustment
    most: Decimal | None


def maxima(report: Mapping[str, Any]) -> dict[str, Decimal]:
    """criterion → the marks that it gives at most, by the definition that a report rests on."""
    return {award["criterion"]: Decimal(award["max_marks"]) for award in report.get("awards", ())}


def in_force(adjustments: Iterable[Adjustment]) -> tuple[Adjustment, ...]:
    """The last one of each criterion, of adjustments in the order in which they were made."""
    return tuple({one.criterion: one for one in adjustments}.values())


def counted(
    adjustments: Iterable[Adjustment], most: Mapping[str, Decimal]
) -> tuple[Adjustment, ...]:
    """Those in force whose criteria exist, none with more marks than its criterion gives (`most`:
    what `maxima` says)."""
    return tuple(
        replace(one, marks=min(one.marks, most[one.criterion]))
        for one in in_force(adjustments)
        if one.criterion in most
    )


def misfits(
    key: str, adjustments: Iterable[Adjustment], most: Mapping[str, Decimal]
) -> tuple[Misfit, ...]:
    """Those in force of the submission `key` that `counted` leaves out or lowers."""
    return tuple(
        Misfit(key, one, most.get(one.criterion))
        for one in in_force(adjustments)
        if one.criterion not in most or one.marks > most[one.criterion]
    )


def with_adjustments(
    awards: Mapping[str, Decimal], adjustments: Iterable[Adjustment], most: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """criterion → marks, where an adjustment that counts takes the place of what was awarded."""
    return {**awards, **{one.criterion: one.marks for one in counted(adjustments, most)}}


def total(awards: Mapping[str, Decimal]) -> Decimal:
    """The sum of the marks of all criteria."""
    return sum(awards.values(), Decimal(0))

"""Awards and measurements back from a report's JSON, as far as the charts need them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from grader.model import Award, Interval, Measurement


def award_of(document: Mapping[str, Any]) -> Award:
    """An entry of report.json's `awards`; marks that a person has yet to give are 0."""
    return Award(
        criterion=document["criterion"],
        title=document["title"],
        measurement=document["measurement"],
        value=document["value"],
        marks=Decimal(document["marks"] or "0"),
        max_marks=Decimal(document["max_marks"]),
        exact_marks=Decimal(document["exact_marks"]),
        curve=tuple((one["value"], Decimal(one["marks"])) for one in document["curve"]),
        rounding=document["rounding"],
        reason=document["reason"],
    )


def measurement_of(document: Mapping[str, Any]) -> Measurement:
    """An entry of report.json's `measurements`, without the values per image."""
    interval = document["interval"]
    return Measurement(
        id=document["id"],
        title=document["title"],
        value=document["value"],
        count=document["count"],
        interval=None if interval is None else Interval(**interval),
        baselines=document["baselines"],
        convention=document["convention"],
    )

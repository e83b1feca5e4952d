"""A definition as a student reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from grader.assignments.load import load_assignment
from grader.model import LatePolicy
from grader.render.definition import definition_text

A2 = load_assignment("ail721-a2")


def test_what_lateness_costs_is_told() -> None:
    late = LatePolicy(datetime(2025, 3, 1, 18, 29, tzinfo=UTC), 900.0, Decimal(10), "maximum", None)
    shown = definition_text(replace(A2, late=late)).splitlines()[-1]
    assert shown == (
        "deadline 2025-03-01 18:29:00+00:00, 15 min of grace, "
        "then 10 % of the maximum off for each begun day"
    )
    strict = LatePolicy(None, 0.0, Decimal("12.5"), "given", 3 * 86_400.0)
    shown = definition_text(replace(A2, late=strict)).splitlines()[-1]
    assert shown == (
        "deadline by the platform's clock, "
        "then 12.5 % of the marks given off for each begun day, no marks after 3 days"
    )
    assert "deadline" not in definition_text(A2)

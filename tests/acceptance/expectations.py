"""What an `expect.toml` says of a submission's report, whatever the assignment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from fixtures.build_submissions import Fixture
from fixtures.course import Course
from grader.model import Assignment, CheckResult, Finding, Report, Severity, Truth, Verdict
from grader.sandbox import Backend

VERDICTS = {
    "accepted": Verdict.GRADED,
    "flawed": Verdict.GRADED,
    "partly-graded": Verdict.PARTLY_GRADED,
    "rejected": Verdict.REJECTED,
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Grading:
    """The small course with all that grading its submissions takes."""

    course: Course
    assignment: Assignment
    truth: Truth
    backend: Backend


def require_expected(fixture: Fixture, report: Report) -> None:
    """Assert that `report` has the fixture's verdict, its findings and no others, its numbers."""
    expect = fixture.expect
    by_chance = Counter(expect.get("may", []))
    assert codes_of(report) - by_chance == Counter(expect["findings"]), told(report.findings)
    assert report.verdict is VERDICTS[fixture.verdict], told(report.findings)
    for code, phrase in expect.get("says", {}).items():
        messages = [finding.message for finding in report.findings if finding.code == code]
        assert any(phrase in message for message in messages), told(report.findings)
    for code, place in expect.get("place", {}).items():
        places = [str(finding.place) for finding in report.findings if finding.code == code]
        assert place in places, told(report.findings)
    measured = {measurement.id: measurement.value for measurement in report.measurements}
    for name, value in expect.get("measured", {}).items():
        assert measured[name] == pytest.approx(value, abs=5e-4), measured
    severities = {finding.severity for finding in report.findings}
    if fixture.verdict == "accepted":
        assert severities <= {Severity.NOTE}
    if fixture.verdict == "flawed":
        assert severities - {Severity.NOTE}


def codes_of(result: Report | CheckResult) -> Counter[str]:
    return Counter(finding.code for finding in result.findings)


def told(findings: tuple[Finding, ...]) -> str:
    """For the message of a failed test."""
    return "\n".join(f"{finding.code} {finding.place}: {finding.message}" for finding in findings)

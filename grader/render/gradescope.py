"""Gradescope's results.json: a test per criterion, the findings as plain text.

Everything in it may be shown to the student, so nothing of the truth is in it; every text is
declared as `text`, so that Gradescope interprets none of it.
"""

from __future__ import annotations

from typing import Any

from grader.model import Award, CheckResult, Fault, Finding, Json, Report, Severity
from grader.render import figures
from grader.render.audience import seen_by
from grader.render.page import check_text
from grader.render.plain_json import plain_object
from grader.render.printable import printable
from grader.render.text import text
from grader.render.words import FAULTS, finding_title, placed


def gradescope_results(report: Report) -> dict[str, Json]:
    """results.json for marks; without awards the score is 0 of 0, which Gradescope shows."""
    report = seen_by(report, "student")
    results: dict[str, Any] = {
        **_frame(text(report, audience="student")),
        "score": float(report.marks),
        "tests": [
            _test(award, str(number), report) for number, award in enumerate(report.awards, start=1)
        ],
        "extra_data": {
            "marks": report.marks,
            "max_marks": report.max_marks,
            "verdict": report.verdict,
            "zip_sha256": report.zip_sha256,
            "definition_sha256": report.assignment.sha256,
        },
    }
    if report.runs:
        results["execution_time"] = round(sum(run.wall_seconds for run in report.runs), 3)
    return plain_object(results)


def check_results(result: CheckResult) -> dict[str, Json]:
    """results.json for a check before the deadline: no marks, one test per finding."""
    tests = [
        _finding_test(finding, str(number))
        for number, finding in enumerate(result.findings, start=1)
    ]
    passed = {
        "name": "The zip passes the check",
        "name_format": "text",
        "number": "0",
        "status": "passed" if result.passed else "failed",
        "visibility": "visible",
    }
    return plain_object(
        {
            **_frame(check_text(result)),
            "score": 0.0,
            "tests": [passed, *tests],
            "extra_data": {"passed": result.passed, "zip_sha256": result.zip_sha256},
        }
    )


def _frame(output: str) -> dict[str, Any]:
    return {
        "output": output,
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
    }


def _test(award: Award, number: str, report: Report) -> dict[str, Any]:
    step = report.assignment.marks_step
    given = f"{figures.marks(award.marks, step)} / {figures.marks(award.max_marks, step)}"
    return {
        "name": printable(award.title),
        "name_format": "text",
        "number": number,
        "score": float(award.marks),
        "max_score": float(award.max_marks),
        "status": _award_status(award),
        "output": printable(
            f"{given}: {'; '.join(filter(None, (award.reason, award.rounding, *award.look_at)))}"
        ),
        "output_format": "text",
        "visibility": "visible",
        "tags": [award.criterion],
        "extra_data": {"exact_marks": award.exact_marks, "value": award.value},
    }


def _award_status(award: Award) -> str:
    if award.is_manual:
        return "passed"  # nothing has failed: nobody has looked yet
    return "failed" if award.value is None or award.marks == 0 else "passed"


def _finding_test(finding: Finding, number: str) -> dict[str, Any]:
    fault = "" if finding.fault is Fault.STUDENT else f"\n{FAULTS[finding.fault]}"
    hint = f"\n→ {finding.hint}" if finding.hint else ""
    return {
        "name": f"{finding.severity}: {finding_title(finding)}",
        "name_format": "text",
        "number": number,
        "status": "failed" if finding.severity is Severity.ERROR else "passed",
        "output": printable(f"{placed(finding.place, finding.message)}{fault}{hint}", lines=True),
        "output_format": "text",
        "visibility": "visible",
        "tags": [finding.code],
    }

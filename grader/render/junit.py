"""JUnit XML, as Jenkins, GitLab and GitHub's test reporters read it.

A student's fault and a limit are a `failure`, a grader's fault is an `error`; what does not stand
in the way of grading passes and keeps its words in `system-out`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from grader.model import (
    Award,
    CaseRun,
    CaseStatus,
    CheckResult,
    Fault,
    Finding,
    Place,
    Report,
    Severity,
)
from grader.render import figures
from grader.render.audience import seen_by
from grader.render.printable import printable, without_commands
from grader.render.words import FAULTS, VERDICT_MEANINGS, finding_title, run_status, severity_counts

# Outside the characters of XML 1.0 (section 2.2), after `printable`: nothing but its own misses.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Case:
    """`outcome` is "" (passed), "failure" or "error"."""

    name: str
    classname: str
    outcome: str = ""
    message: str = ""
    kind: str = ""
    output: str = ""
    seconds: float = 0.0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class _Suite:
    name: str
    cases: Sequence[_Case]
    timestamp: str = ""


def junit_of_checks(results: Sequence[CheckResult]) -> str:
    """One suite per zip, one case per finding; a zip without errors has one case that passes."""
    return _document(
        [
            _Suite(f"grader check {result.zip_name}", list(_check_cases(result)))
            for result in results
        ]
    )


def junit_of_report(report: Report) -> str:
    """Three suites: the criteria, the runs, the findings. Nothing of the truth is in it."""
    report = seen_by(report, "student")
    timestamp = _timestamp(report.volatile.get("started_at"))
    name = f"grader score {report.zip_name}"
    prefix = report.assignment.id
    return _document(
        [
            _Suite(f"{name}: marks", [_award_case(a, report) for a in report.awards], timestamp),
            _Suite(f"{name}: runs", [_run_case(run, prefix) for run in report.runs], timestamp),
            _Suite(
                f"{name}: findings", [_finding_case(f, prefix) for f in report.findings], timestamp
            ),
        ]
    )


def _check_cases(result: CheckResult) -> Iterable[_Case]:
    cases = [_finding_case(finding, result.assignment_id) for finding in result.findings]
    yield from cases
    if not any(case.outcome for case in cases):
        words = f"{result.zip_name}: {severity_counts(result.findings)}"
        yield _Case(
            name=f"{result.assignment_id}: the zip passes the check",
            classname=f"{result.assignment_id}.check",
            outcome="" if result.passed else "failure",
            message="" if result.passed else words,
            output=words,
        )


def _finding_case(finding: Finding, prefix: str) -> _Case:
    outcome = ""
    if finding.severity is Severity.ERROR:
        outcome = "error" if finding.fault is Fault.GRADER else "failure"
    place = "" if finding.place is None else f"{finding.place}: "
    hint = f"\n→ {finding.hint}" if finding.hint else ""
    return _Case(
        name=finding_title(finding),
        classname=f"{prefix}.{finding.code}",
        outcome=outcome,
        message=finding.message,
        kind=finding.code,
        output=f"{finding.severity}, {FAULTS[finding.fault]}\n{place}{finding.message}{hint}",
        place=finding.place,
    )


def _award_case(award: Award, report: Report) -> _Case:
    step = report.assignment.marks_step
    given, most = figures.marks(award.marks, step), figures.marks(award.max_marks, step)
    outcome = ""
    if award.value is None and not award.is_manual:
        blameless = any(
            finding.severity is Severity.ERROR and finding.fault is Fault.GRADER
            for finding in report.findings
        )
        outcome = "error" if blameless else "failure"
    return _Case(
        name=f"{award.title}: {given} of {most}",
        classname=f"{report.assignment.id}.{award.criterion}",
        outcome=outcome,
        message=f"not measured: {VERDICT_MEANINGS[report.verdict]}",
        kind="not-measured",
        output="; ".join(filter(None, (award.reason, award.rounding, *award.look_at))),
    )


def _run_case(run: CaseRun, prefix: str) -> _Case:
    return _Case(
        name=run.case,
        classname=f"{prefix}.{run.case}",
        outcome="" if run.status is CaseStatus.FINISHED else "failure",
        message=": ".join(filter(None, (run_status(run), run.limit))),
        kind=run.status,
        output=run_status(run),
        seconds=run.wall_seconds,
    )


# --------------------------------------------------------------------------- XML


def _document(suites: Sequence[_Suite]) -> str:
    cases = [case for suite in suites for case in suite.cases]
    root = ET.Element("testsuites", {"name": "grader", **_totals(cases)})
    for suite in suites:
        attributes = {"name": _clean(suite.name), **_totals(suite.cases)}
        if suite.timestamp:
            attributes["timestamp"] = suite.timestamp
        element = ET.SubElement(root, "testsuite", attributes)
        for case in suite.cases:
            _add_case(element, case)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, case: _Case) -> None:
    attributes = {
        "name": _clean(case.name),
        "classname": _clean(case.classname),
        "time": f"{case.seconds:.3f}",
    }
    if case.place is not None:
        attributes["file"] = _clean(case.place.path)
        if case.place.line is not None:
            attributes["line"] = str(case.place.line)
    element = ET.SubElement(suite, "testcase", attributes)
    if case.outcome:
        attributes = {"message": _clean(case.message), "type": _clean(case.kind)}
        ET.SubElement(element, case.outcome, attributes).text = _clean(case.output, lines=True)
    elif case.output:
        ET.SubElement(element, "system-out").text = _clean(case.output, lines=True)


def _totals(cases: Sequence[_Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(case.outcome == "failure" for case in cases)),
        "errors": str(sum(case.outcome == "error" for case in cases)),
        "skipped": "0",
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _clean(text: str, *, lines: bool = False) -> str:
    """Strangers' text that XML 1.0 can hold and no build server obeys; ElementTree escapes it."""
    return _NOT_XML.sub("\ufffd", without_commands(printable(text, lines=lines)))


def _timestamp(started_at: object) -> str:
    """ISO 8601 without an offset, in UTC, which is what JUnit's schema takes; "" when unknown."""
    if not isinstance(started_at, str):
        return ""
    return datetime.fromisoformat(started_at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")

"""GitHub Actions: annotations on files, the step's summary, and Classroom's result.

An annotation is a line that the runner obeys, so every text is escaped as the runner's own toolkit
does it: `%`, CR and LF in the message, `:` and `,` too in a property.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from grader.model import Award, CheckResult, Finding, Json, Report, Severity
from grader.render import figures
from grader.render.audience import seen_by
from grader.render.plain_json import plain_object
from grader.render.printable import printable
from grader.render.words import (
    VERDICT_MEANINGS,
    VERDICTS,
    finding_title,
    severity_counts,
)

SUMMARY_BYTES = 1 << 20  # what a step's summary may hold; a longer one is dropped as a whole

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
# What Markdown, HTML and GitHub's own extensions (mentions, issues, emoji, formulas, links of plain
# text) take for more than text, inside a line or a table's cell.
_MEANINGFUL = re.compile(r"[\\`*_\[\]<>#|&~$@:]|(?<=[wW]{3})\.")


def github_annotations(results: Sequence[CheckResult]) -> str:
    """One workflow command per finding; no findings give a notice that says so."""
    lines = []
    for result in results:
        prefix = f"{result.zip_name}: " if len(results) > 1 else ""
        lines += [_annotation(finding, prefix) for finding in result.findings]
        if not result.findings:
            message = f"{result.zip_name} passes the check of {result.assignment_id}"
            lines.append(f"::notice::{_data(message)}")
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding, prefix: str) -> str:
    properties = {"title": f"{finding_title(finding)} [{finding.code}]"}
    if finding.place is not None:
        properties = {"file": finding.place.path, **properties}
        if finding.place.line is not None:
            properties["line"] = str(finding.place.line)
        if finding.place.column is not None:
            properties["col"] = str(finding.place.column)
    hint = f"\n→ {finding.hint}" if finding.hint else ""
    shown = ",".join(f"{name}={_property(content)}" for name, content in properties.items())
    return f"::{_COMMANDS[finding.severity]} {shown}::{_data(f'{prefix}{finding.message}{hint}')}"


def _data(text: str) -> str:
    clean = printable(text, lines=True)
    return clean.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")


# --------------------------------------------------------------------------- the step's summary


def summary_of_checks(results: Sequence[CheckResult]) -> str:
    """Markdown for the file that GITHUB_STEP_SUMMARY names, at most 1 MiB."""
    lines: list[str] = []
    for result in results:
        verdict = "passes the check" if result.passed else "does not pass the check"
        lines += [f"## {_markdown(result.zip_name)} {verdict}", ""]
        lines += [*_finding_rows(result.findings), ""]
    return _bounded(lines)


def summary_of_report(report: Report) -> str:
    """Marks and findings as Markdown, at most 1 MiB, without anything of the truth."""
    report = seen_by(report, "student")
    step = report.assignment.marks_step
    name = _markdown(report.entry_number or report.zip_name)
    total = f"{figures.marks(report.marks, step)} / {figures.marks(report.max_marks, step)}"
    lines = [
        f"## {name}: {total}",
        "",
        f"{VERDICTS[report.verdict]}: {VERDICT_MEANINGS[report.verdict]}",
        "",
        "| Criterion | Marks | Value | How |",
        "|---|---:|---:|---|",
    ]
    for award in report.awards:
        given, most = figures.marks(award.marks, step), figures.marks(award.max_marks, step)
        lines.append(
            f"| {_markdown(award.title)} | {given} / {most} | {figures.value(award.value)} "
            f"| {_markdown(award.reason)} |"
        )
    return _bounded([*lines, "", *_finding_rows(report.findings), ""])


def _finding_rows(findings: Sequence[Finding]) -> Iterable[str]:
    yield f"Findings: {severity_counts(findings)}"
    if not findings:
        return
    yield from ("", "| | What | Where | What to do |", "|---|---|---|---|")
    for finding in findings:
        place = "" if finding.place is None else _markdown(str(finding.place))
        yield (
            f"| {finding.severity} | **{_markdown(finding_title(finding))}**: "
            f"{_markdown(finding.message)} | {place} | {_markdown(finding.hint)} |"
        )


def _markdown(text: str) -> str:
    """Text of strangers in a cell: every sign with a meaning becomes a character reference."""
    return _MEANINGFUL.sub(lambda match: f"&#{ord(match[0])};", printable(text))


def _bounded(lines: Sequence[str]) -> str:
    """The lines that fit, and how many did not."""
    left_out = "\n{} more lines are left out: the summary may hold 1 MiB\n"
    room = SUMMARY_BYTES - len(left_out) - 8
    kept: list[str] = []
    for number, line in enumerate(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            return "\n".join(kept) + left_out.format(len(lines) - number)
        kept.append(line)
    return "\n".join(kept) + "\n"


# --------------------------------------------------------------------------- Classroom


def _award_status(award: Award) -> str:
    if award.is_manual:
        return "pass"  # nothing has failed: nobody has looked yet
    return "error" if award.value is None else "pass" if award.marks > 0 else "fail"


def classroom_result(report: Report) -> dict[str, Json]:
    """What GitHub Classroom takes as an autograding result, version 3.

    Scores are as given, already rounded down; a criterion that was not measured is an error.
    """
    tests = [
        {
            "name": printable(award.title),
            "status": _award_status(award),
            "score": float(award.marks),
        }
        for award in report.awards
    ]
    statuses = {test["status"] for test in tests}
    worst = next((status for status in ("error", "fail") if status in statuses), "pass")
    return plain_object(
        {"version": 3, "status": worst, "tests": tests, "max_score": float(report.max_marks)}
    )

"""GitHub's commands, summary and Classroom result."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from grader.model import CheckResult, Fault, Finding, Place, Severity
from grader.render.github import (
    SUMMARY_BYTES,
    classroom_result,
    github_annotations,
    summary_of_checks,
    summary_of_report,
)
from tests.unit.render.example_report import example_check, example_report, rejected_report

# How the runner reads a line (actions/runner, ActionCommand.TryParseV2).
COMMAND = re.compile(r"::(?P<name>[a-z-]+)(?: (?P<properties>[^:]*))?::(?P<data>.*)")


def _unescaped(text: str, *, is_property: bool = False) -> str:
    pairs = [("%0D", "\r"), ("%0A", "\n")]
    pairs += [("%3A", ":"), ("%2C", ",")] if is_property else []
    for escape, char in [*pairs, ("%25", "%")]:
        text = text.replace(escape, char)
    return text


def _parsed(line: str) -> tuple[str, dict[str, str], str]:
    match = COMMAND.fullmatch(line)
    assert match, line
    properties = dict(item.split("=", 1) for item in (match["properties"] or "").split(",") if item)
    return (
        match["name"],
        {name: _unescaped(value, is_property=True) for name, value in properties.items()},
        _unescaped(match["data"]),
    )


def _check(**changes: object) -> CheckResult:
    finding = Finding(
        "zip.x", Severity.ERROR, Fault.STUDENT, "50 % : a, b", "mend", Place("a,b:c.py", 7)
    )
    return CheckResult("a.zip", None, None, "ail721-a2", (replace(finding, **changes),), False)  # type: ignore[arg-type]


def test_an_annotation_names_file_line_title_and_what_to_do() -> None:
    (line,) = github_annotations([_check()]).splitlines()
    assert _parsed(line) == (
        "error",
        {"file": "a,b:c.py", "line": "7", "title": "zip.x [zip.x]"},
        "50 % : a, b\n→ mend",
    )


def test_severities_are_error_warning_and_notice() -> None:
    names = [_parsed(github_annotations([_check(severity=s)]).rstrip("\n"))[0] for s in Severity]
    assert names == ["error", "warning", "notice"]


def test_no_findings_say_so_and_several_zips_are_told_apart() -> None:
    clean = replace(_check(), findings=(), passed=True)
    first, second = github_annotations([clean, _check()]).splitlines()
    assert _parsed(first)[0] == "notice"
    assert _parsed(second)[2].startswith("a.zip: ")


@given(st.text(st.characters(exclude_categories=())))
def test_one_finding_is_one_command_whatever_it_says(text: str) -> None:
    output = github_annotations([_check(message=text, hint=text, place=Place(text))])
    assert output.endswith("\n")
    (line,) = output[:-1].split("\n")
    name, properties, _ = _parsed(line)
    assert name == "error"
    assert set(properties) == {"file", "title"}
    assert len(line.splitlines()) == 1


def test_the_summary_of_a_report_has_marks_and_findings() -> None:
    shown = summary_of_report(example_report())
    assert shown.startswith("## 2023AIB2080: 2.05 / 5.00\n")
    assert "| 1 Image classification with a ResNet | 1.62 / 2.50 | 0.7500 |" in shown
    assert "write one row per image" in shown


@given(st.text(st.characters(exclude_categories=())))
def test_a_table_has_the_same_columns_whatever_a_cell_says(text: str) -> None:
    shown = summary_of_checks([_check(message=text, hint=text, place=Place(text))])
    rows = [line for line in shown.split("\n") if line.startswith("|")]
    assert [row.count("|") for row in rows] == [5] * len(rows)
    assert not re.search(r"<|>|`|\]\(|@|www\.|://", shown.replace("**", ""))


def test_a_long_summary_is_cut_between_lines_and_says_so() -> None:
    many = replace(example_check(), findings=_check(message="x" * 1000).findings * 2000)
    shown = summary_of_checks([many])
    assert SUMMARY_BYTES - 3000 < len(shown.encode()) <= SUMMARY_BYTES
    assert shown.endswith("more lines are left out: the summary may hold 1 MiB\n")


def test_classroom_gets_its_version_three() -> None:
    assert classroom_result(example_report()) == {
        "version": 3,
        "status": "pass",
        "tests": [
            {"name": "1 Image classification with a ResNet", "status": "pass", "score": 1.62},
            {"name": "2 Free lunch for image segmentation", "status": "pass", "score": 0.43},
        ],
        "max_score": 5.0,
    }
    assert classroom_result(rejected_report())["status"] == "error"

"""The comparison with earlier years in a report: shown to the course, never to students."""

from __future__ import annotations

import json
from dataclasses import replace

from jsonschema import Draft202012Validator

from grader.findings import found
from grader.model import EarlierComparison, EarlierMatch, Report
from grader.render.html import html
from grader.render.json_report import SCHEMA, report_document
from grader.render.text import text
from tests.unit.render.example_report import example_report

_HOSTILE = "<script>alert(1)</script>\u202e"


def _report() -> Report:
    return replace(
        example_report(),
        earlier=EarlierComparison(
            compared=41,
            threshold=0.3,
            reason="fewer than ten submissions",
            meaning="ranks pairs from 0 to 1",
            matches=(
                EarlierMatch(
                    name=f"2022AIB1001 {_HOSTILE}",
                    score=0.8125,
                    flagged=True,
                    message="similar source in the same places",
                    honest="1 of the 41 pairs compared reach as much",
                    places=("model.py:3-40 – net.py:7-44",),
                ),
                EarlierMatch("2022AIB1002", 0.11, False, "similar source", "all of them", ()),
            ),
            findings=(found("zip.other-entry-number", "2022AIB1001 stands in it", path="a.py"),),
        ),
    )


def test_the_course_sees_it_and_no_mark_depends_on_it() -> None:
    report = _report()
    assert report.marks == example_report().marks
    page, shown = html(report), text(report)
    for said in ("Earlier years", "2022AIB1001", "worth a look", "model.py:3-40", "no marks"):
        assert said in page
    for said in ("41 submissions compared, 1 worth a look", "0.8125", "2022AIB1002: 0.1100"):
        assert said in shown
    assert "<script>alert" not in page
    assert "\u202e" not in page + shown
    document = report_document(report)
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)
    assert document["earlier"]["matches"][0]["places"] == ["model.py:3-40 – net.py:7-44"]  # type: ignore[index,call-overload]


def test_students_see_nothing_of_it() -> None:
    report = _report()
    assert html(report, audience="student") == html(example_report(), audience="student")
    assert text(report, audience="student") == text(example_report(), audience="student")
    assert report_document(report, audience="student")["earlier"] is None


def test_without_it_nothing_is_said() -> None:
    assert "Earlier years" not in html(example_report()) + text(example_report())
    assert report_document(example_report())["earlier"] is None

"""Experiments, and marks that a person has yet to give, on every kind of page."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator

from grader.assignments.load import load_assignment
from grader.model import Award, Experiment, Report
from grader.render.definition import definition_text
from grader.render.github import classroom_result, summary_of_report
from grader.render.gradescope import gradescope_results
from grader.render.html import html
from grader.render.json_report import SCHEMA, report_document
from grader.render.junit import junit_of_report
from grader.render.text import text
from tests.unit.render.example_report import example_report

LOOK_AT = "both curves in one figure, <named> axes"


def _report() -> Report:
    report = example_report()
    waiting = Award(
        criterion="report",
        title="2.4 Report: sanity check",
        measurement="",
        value=None,
        marks=Decimal(0),
        max_marks=Decimal(2),
        exact_marks=Decimal(0),
        curve=(),
        rounding="",
        reason="a person gives these marks",
        look_at=(LOOK_AT,),
    )
    experiments = (
        Experiment(
            "bn",
            "normalisation: batch",
            "checkpoints/bn.pth",
            "batch",
            report.independent,
            built_in=12,
            layers=15,
            logged={"val_accuracy": 0.75},
            void=("checkpoint.ready-made-norm",),
        ),
        Experiment("nn", "normalisation: none", None, None, None),
    )
    return replace(report, awards=(*report.awards, waiting), experiments=experiments)


def test_text_shows_what_to_look_at_and_no_marks_yet() -> None:
    shown = text(_report())

    assert "Marks 2.05 of 7.00; 2.00 of them are still a person's to give" in shown
    assert "– / 2.00" in shown
    assert f"look at: {LOOK_AT}" in shown
    joined = " ".join(shown.split())
    assert "normalisation: batch: checkpoints/bn.pth; normalisation batch; 12 of 15" in joined
    assert "the log says 0.7500; void: checkpoint.ready-made-norm" in joined
    assert "normalisation: none: no checkpoint" in joined


def test_narrow_text_holds_them_too() -> None:
    assert "look at: both curves" in " ".join(text(_report(), width_columns=60).split())


def test_json_has_null_marks_and_every_experiment() -> None:
    document: Any = report_document(_report())

    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)
    assert document["marks"] == {"given": "2.05", "max": "7.0", "manual": "2"}
    assert document["awards"][-1]["marks"] is None
    assert document["awards"][-1]["look_at"] == [LOOK_AT]
    first, second = document["experiments"]
    assert (first["built_in"], first["layers"], first["void"]) == (
        *(12, 15),
        ["checkpoint.ready-made-norm"],
    )
    assert second["path"] is second["independent"] is None


def test_students_see_experiments_without_hidden_names() -> None:
    document: Any = report_document(_report(), audience="student")

    assert document["experiments"][0]["independent"]["labels"] == {}


def test_the_page_escapes_and_shows_them() -> None:
    page = html(_report())

    assert "both curves in one figure, &lt;named&gt; axes" in page
    assert "12 of 15" in page
    assert "checkpoint.ready-made-norm" in page
    assert "still a person’s to give" in page


def test_nobody_fails_for_marks_that_nobody_gave() -> None:
    report = _report()

    results: Any = gradescope_results(report)
    classroom: Any = classroom_result(report)
    assert results["tests"][-1]["status"] == "passed"
    assert LOOK_AT in results["tests"][-1]["output"]
    assert classroom["tests"][-1] == {
        "name": "2.4 Report: sanity check",
        "status": "pass",
        "score": 0.0,
    }
    assert 'tests="' in junit_of_report(report)
    assert "not-measured" not in junit_of_report(report)
    assert "2.4 Report" in summary_of_report(report)


def test_a_definition_says_what_a_person_looks_at() -> None:
    assert "a person looks at" in definition_text(load_assignment("col775-a1"))

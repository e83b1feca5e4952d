"""Gradescope's results.json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grader.render.gradescope import check_results, gradescope_results
from tests.unit.render.example_report import (
    example_check,
    example_report,
    failed_report,
    rejected_report,
)

TOP = {
    "score",
    "execution_time",
    "output",
    "output_format",
    "test_output_format",
    "test_name_format",
    "visibility",
    "stdout_visibility",
    "extra_data",
    "tests",
    "leaderboard",
}
TEST = {
    "score",
    "max_score",
    "status",
    "name",
    "name_format",
    "number",
    "output",
    "output_format",
    "tags",
    "visibility",
    "extra_data",
}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}


@pytest.mark.parametrize(
    "results",
    [
        gradescope_results(example_report()),
        gradescope_results(rejected_report()),
        gradescope_results(failed_report()),
        gradescope_results(example_report(hostile="<b>\x1b[31m\ud800")),
        check_results(example_check()),
    ],
    ids=["graded", "rejected", "failed", "hostile", "check"],
)
def test_only_keys_and_words_that_gradescope_knows(results: dict[str, Any]) -> None:
    json.dumps(results, allow_nan=False).encode()
    assert set(results) <= TOP
    assert isinstance(results["score"], float)
    for key in ("output_format", "test_output_format", "test_name_format"):
        assert results[key] == "text", "nothing of a stranger is interpreted"
    assert results["stdout_visibility"] == "hidden"
    for test in results["tests"]:
        assert set(test) <= TEST
        assert test["status"] in {"passed", "failed"}
        assert isinstance(test["number"], str)
        assert test["visibility"] in VISIBILITY
        assert {test["name_format"], test.get("output_format", "text")} == {"text"} <= FORMATS


def test_scores_are_the_marks() -> None:
    results: Any = gradescope_results(example_report())
    assert results["score"] == 2.05
    assert [(t["score"], t["max_score"], t["status"]) for t in results["tests"]] == [
        (1.62, 2.5, "passed"),
        (0.43, 2.5, "passed"),
    ]
    assert results["extra_data"]["marks"] == "2.05"
    assert results["execution_time"] == 9.41


def test_what_was_not_measured_has_failed() -> None:
    results: Any = gradescope_results(failed_report())
    assert {test["status"] for test in results["tests"]} == {"failed"}
    assert "stopped after 900 s" in results["output"]


def test_a_check_has_a_test_per_finding() -> None:
    results: Any = check_results(example_check())
    assert [test["status"] for test in results["tests"]] == ["passed"] * 7
    assert "write one row per image" in results["tests"][3]["output"]

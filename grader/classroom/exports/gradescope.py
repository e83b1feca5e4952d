"""Gradescope's results.json for each submission, with the final marks."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from grader.classroom.exports.comment import comment_lines
from grader.classroom.final_marks import CriterionMarks, criterion_marks, marks_step
from grader.classroom.records import Entry
from grader.model import Json
from grader.render import figures
from grader.render.plain_json import plain_object
from grader.render.printable import printable


def gradescope_files(entries: Sequence[Entry]) -> dict[str, dict[str, Json]]:
    """`submission_<id>/results.json` (the key where Gradescope's id is unknown) → its content.

    `score` is the final mark: it overrides the sum of the tests, from which lateness is not taken.
    """
    return {f"{_folder(entry)}/results.json": _results(entry) for entry in entries}


def _folder(entry: Entry) -> str:
    number = entry.submitted.platform_ids.get("gradescope")
    return entry.submitted.key if number is None else f"submission_{number}"


def _results(entry: Entry) -> dict[str, Json]:
    report = entry.report or {}
    runs = report.get("volatile", {}).get("runs", [])
    step = marks_step(entry)
    results: dict[str, Any] = {
        "score": float(entry.marks if entry.marks is not None else Decimal(0)),
        "output": "\n".join(comment_lines(entry)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [
            _test(one, str(number), step)
            for number, one in enumerate(criterion_marks(entry), start=1)
        ],
        "extra_data": {
            "marks": entry.marks,
            "max_marks": entry.max_marks,
            "graded_marks": entry.graded_marks,
            "late_penalty": entry.late_penalty,
            "verdict": report.get("verdict"),
            "zip_sha256": report.get("submission", {}).get("zip_sha256"),
        },
    }
    if runs:
        results["execution_time"] = round(sum(run["wall_seconds"] for run in runs), 3)
    return plain_object(results)


def _test(one: CriterionMarks, number: str, step: Decimal) -> dict[str, Any]:
    given = "–" if one.marks is None else figures.marks(one.marks, step)
    why = f"given by a person: {one.adjusted.because}" if one.adjusted else one.reason
    test: dict[str, Any] = {
        "name": printable(one.title),
        "name_format": "text",
        "number": number,
        "max_score": float(one.max_marks),
        "output": printable(f"{given} / {figures.marks(one.max_marks, step)}: {why}"),
        "output_format": "text",
        "visibility": "visible",
        "tags": [one.criterion],
    }
    if one.marks is not None:
        test |= {"score": float(one.marks), "status": "passed" if one.marks else "failed"}
    return test

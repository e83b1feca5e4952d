"""report.json and its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from grader.model import Report
from grader.render.json_report import SCHEMA, report_document, report_json
from grader.render.plain_json import json_text, plain
from tests.unit.render.example_report import example_report, failed_report, rejected_report

SCHEMA_DOCUMENT = json.loads(SCHEMA.read_text("utf-8"))


@pytest.fixture(
    params=[
        example_report,
        rejected_report,
        failed_report,
        lambda: example_report(hostile="\ud800=x\x1b"),
    ],
    ids=["graded", "rejected", "failed", "hostile"],
)
def report(request: pytest.FixtureRequest) -> Report:
    made: Report = request.param()
    return made


@pytest.mark.parametrize("audience", ["ta", "student"])
def test_every_report_is_valid(report: Report, audience: Any) -> None:
    document = json.loads(report_json(report, audience=audience))
    Draft202012Validator(SCHEMA_DOCUMENT).validate(document)
    assert document == report_document(report, audience=audience)


def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    Draft202012Validator.check_schema(SCHEMA_DOCUMENT)
    undescribed = [name for name, field in _fields(SCHEMA_DOCUMENT) if not field.get("description")]
    assert undescribed == []


def _fields(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"].items()
        for inner in schema.values():
            yield from _fields(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _fields(inner)


def test_the_schema_refuses_what_is_not_described() -> None:
    document = report_document(example_report())
    document["extra"] = 1
    assert not Draft202012Validator(SCHEMA_DOCUMENT).is_valid(document)


def test_marks_are_exact_strings() -> None:
    document: Any = report_document(example_report())
    assert document["marks"] == {"given": "2.05", "max": "5.0", "manual": "0"}
    assert document["awards"][0]["exact_marks"] == "1.625"


def test_two_runs_differ_only_below_volatile() -> None:
    report = example_report()
    run = replace(
        report.runs[0],
        wall_seconds=1.0,
        cpu_seconds=2.0,
        peak_memory_bytes=3,
        stdout="took 3.21 s",
        stderr="pid 7",
        limit="",
    )
    assert report.independent is not None
    again = replace(
        report,
        runs=(run,),
        independent=replace(report.independent, images_per_second=1.0),
        volatile={"started_at": "2026-01-01T00:00:00+00:00", "host": "elsewhere"},
    )
    first, second = report_document(report), report_document(again)
    assert first.pop("volatile") != second.pop("volatile")
    assert json_text(first) == json_text(second)


def test_the_text_is_deterministic_and_ends_with_a_line_end() -> None:
    assert report_json(example_report()) == report_json(example_report())
    assert report_json(example_report()).endswith("}\n")


def test_printing_the_file_is_harmless() -> None:
    text = report_json(example_report(hostile="\x1b[2J\x9b\u202e\u2028 ##[error]x"))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "##[" not in text
    assert "\x1b[2J\x9b\u202e\u2028 ##[error]x" in json.loads(text)["findings"][0]["message"]


def test_what_is_not_finite_is_null_and_arrays_are_lists() -> None:
    assert plain([float("nan"), float("inf"), np.float64(0.5), np.arange(2)]) == [
        None,
        None,
        0.5,
        [0, 1],
    ]


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        plain({"picture": b"..."})


def test_a_row_of_a_matrix_is_one_line_and_means_the_same() -> None:
    document: Any = {
        "counts": [[1, 2], [0, None]],
        "text": "[\n  1,\n  2\n]",
        "empty": [],
        "mixed": ["a", 1],
    }
    text = json_text(document)
    assert "    [1, 2],\n" in text
    assert json.loads(text) == document

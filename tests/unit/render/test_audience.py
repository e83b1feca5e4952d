"""What a student must not find in any rendering."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from grader.findings import found
from grader.model import Report
from grader.render.audience import STUDENT_OUTPUT_CHARS, seen_by
from grader.render.github import summary_of_report
from grader.render.gradescope import gradescope_results
from grader.render.html import html
from grader.render.json_report import report_json
from grader.render.junit import junit_of_report
from grader.render.text import text
from tests.unit.render.example_report import (
    SECRET_CONCLUSION,
    SECRET_EVIDENCE,
    SECRET_HOST,
    SECRET_SEED,
    example_report,
)

RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": lambda report: report_json(report, audience="student"),
    "html": lambda report: html(report, audience="student"),
    "text": lambda report: text(report, audience="student"),
    "gradescope": lambda report: json.dumps(gradescope_results(report), ensure_ascii=False),
    "junit": junit_of_report,
    "github": summary_of_report,
}


def _secrets(report: Report) -> set[str]:
    assert report.independent is not None
    secrets = {str(SECRET_SEED), SECRET_HOST, SECRET_EVIDENCE, SECRET_CONCLUSION}
    secrets |= {"41d7" * 16, "/srv/truth"}
    for image in report.gallery:
        secrets.add(image.name)
        for picture in (image.image, image.truth, image.overlap):
            assert picture is not None
            secrets.add(base64.b64encode(picture).decode()[:80])
    return secrets


@pytest.mark.parametrize("kind", RENDERERS)
def test_no_renderer_shows_a_student_the_truth(kind: str) -> None:
    report = example_report()
    shown = RENDERERS[kind](report)
    assert [secret for secret in _secrets(report) if secret in shown] == []


def test_the_secrets_are_secrets_because_staff_do_see_them() -> None:
    report = example_report()
    shown = html(report) + report_json(report)
    assert [secret for secret in _secrets(report) if secret not in shown] == []


def test_no_class_name_is_left_for_a_student() -> None:
    """Labels, masks, the confusion matrix, the checkpoint's labels: all of them name classes."""
    report = replace(example_report(), findings=())
    document = report_json(report, audience="student")
    assert [name for name in report.assignment.classes if name in document] == []


def test_numbers_over_all_images_stay() -> None:
    document = json.loads(report_json(example_report(), audience="student"))
    full = json.loads(report_json(example_report()))
    assert document["marks"] == full["marks"]
    assert document["awards"] == full["awards"]
    for mine, whole in zip(document["measurements"], full["measurements"], strict=True):
        same = ("value", "interval", "baselines", "histogram", "count")
        assert {key: mine[key] for key in same} == {key: whole[key] for key in same}
        assert mine["per_item"] == {}
    assert document["independent"]["agreement"] == full["independent"]["agreement"]
    assert set(document["provenance"]) == {
        "zip_sha256",
        "definition_sha256",
        "assignment",
        "versions",
        "sandbox",
        "device",
    }


def test_a_program_cannot_carry_pictures_out_through_its_output() -> None:
    report = example_report()
    run = replace(report.runs[0], stdout="A" * 100_000 + "end", stderr="B" * STUDENT_OUTPUT_CHARS)
    seen = seen_by(replace(report, runs=(run,)), "student").runs[0]
    assert len(seen.stdout) == STUDENT_OUTPUT_CHARS
    assert seen.stdout.endswith("end")
    assert (seen.stdout_truncated, seen.stderr_truncated) == (True, False)


def test_staff_see_the_report_as_it_is_and_twice_is_once() -> None:
    report = example_report()
    assert seen_by(report, "ta") is report
    once = seen_by(report, "student")
    assert seen_by(once, "student") == once


def test_another_audience_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        seen_by(example_report(), "parents")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", RENDERERS)
def test_the_evidence_of_a_probe_is_for_the_course(kind: str) -> None:
    finding = found("result.probe-disagrees", "told-to-the-course-alone")
    report = example_report()
    report = replace(report, findings=(*report.findings, finding))
    assert "told-to-the-course-alone" in html(report)
    shown = RENDERERS[kind](report)
    assert "told-to-the-course-alone" not in shown
    assert "result.probe" not in shown

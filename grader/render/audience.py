"""Who reads a report, and what a student must not find in it.

A report for students is made by taking things out **before** anything is rendered, and what may
stay is listed, so that a renderer cannot show what it never gets. Out go labels, masks, images and
their names, values per image, the confusion matrix (with one image a class it tells every label),
the staging seed and the truth's hash that it comes from, the evidence of findings, everything about
the course's machine. Of the program's own output only the end stays: a program can print the
hidden images. Of the probe nothing stays: its evidence is for a person to weigh, and how close a
program came to being noticed is no student's to know. Nor is who else wrote what, so of the
comparison with earlier years nothing stays either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from grader.model import CaseRun, IndependentEvaluation, Measurement, Report
from grader.render.histogram import histogram_document, histogram_of

Audience = Literal["ta", "student"]

# Enough for a traceback and a few epochs, too little to carry a picture out.
STUDENT_OUTPUT_CHARS = 4096

# Without the truth's hash: the staging seed, and with it every name's class, is made from it.
_PROVENANCE = (
    "zip_sha256",
    "definition_sha256",
    "assignment",
    "versions",
    "sandbox",
    "device",
)
_VOLATILE = ("started_at",)
# Findings that are evidence for the course, not feedback.
_FOR_THE_COURSE = "result.probe-"
_CANDIDATE_WORDS = ("preprocessing", "title", "form")


def is_for_the_course(code: str) -> bool:
    """Whether a finding of that code stays with the course: a person has to weigh it."""
    return code.startswith(_FOR_THE_COURSE)


def seen_by(report: Report, audience: Audience) -> Report:
    """The report as `audience` may see it: for a TA as it is, for a student without the truth.

    Raises ValueError for another audience. Idempotent.
    """
    if audience == "ta":
        return report
    if audience != "student":
        raise ValueError(f"audience {audience!r} is neither 'ta' nor 'student'")
    return replace(
        report,
        findings=tuple(
            replace(finding, evidence={})
            for finding in report.findings
            if not is_for_the_course(finding.code)
        ),
        runs=tuple(map(_run, report.runs)),
        measurements=tuple(map(_measurement, report.measurements)),
        independent=None if report.independent is None else _independent(report.independent),
        experiments=tuple(
            replace(
                experiment,
                evaluation=None
                if experiment.evaluation is None
                else _independent(experiment.evaluation),
            )
            for experiment in report.experiments
        ),
        gallery=(),
        probe=None,
        earlier=None,
        provenance=_only(report.provenance, _PROVENANCE),
        volatile=_only(report.volatile, _VOLATILE),
    )


def _measurement(measurement: Measurement) -> Measurement:
    histogram = histogram_of(measurement)
    details: dict[str, Any] = {
        name: number
        for name, number in measurement.details.items()
        if number is None or isinstance(number, (bool, int, float))
    }
    if histogram is not None:
        details["histogram"] = histogram_document(histogram)
    return replace(measurement, per_item={}, details=details)


def _independent(evaluation: IndependentEvaluation) -> IndependentEvaluation:
    candidates = tuple(
        {
            name: content
            for name, content in candidate.items()
            if isinstance(content, (bool, int, float)) or name in _CANDIDATE_WORDS
        }
        for candidate in evaluation.candidates
    )
    return replace(evaluation, labels={}, candidates=candidates)


def _run(run: CaseRun) -> CaseRun:
    stdout, stdout_cut = _end(run.stdout)
    stderr, stderr_cut = _end(run.stderr)
    return replace(
        run,
        stdout=stdout,
        stderr=stderr,
        stdout_truncated=run.stdout_truncated or stdout_cut,
        stderr_truncated=run.stderr_truncated or stderr_cut,
    )


def _end(text: str) -> tuple[str, bool]:
    return text[-STUDENT_OUTPUT_CHARS:], len(text) > STUDENT_OUTPUT_CHARS


def _only(mapping: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: mapping[name] for name in names if name in mapping}

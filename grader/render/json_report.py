"""report.json: the whole report as data, described by report.schema.json (JSON Schema 2020-12).

Whatever differs from run to run stands below the top-level key `volatile` and nowhere else: times,
the host, durations, memory, speed, and what the program printed (it may print times). The form of
numbers and texts is told in `grader.render.plain_json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grader.findings import CATALOGUE
from grader.model import (
    Award,
    CaseRun,
    EarlierComparison,
    Experiment,
    Finding,
    Gallery,
    IndependentEvaluation,
    Json,
    Measurement,
    Probe,
    Report,
)
from grader.render.audience import Audience, seen_by
from grader.render.histogram import histogram_document, histogram_of
from grader.render.plain_json import json_text, plain_object

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).with_name("report.schema.json")


def report_json(report: Report, *, audience: Audience = "ta") -> str:
    """The text of report.json, UTF-8 encodable, with a final newline."""
    return json_text(report_document(report, audience=audience))


def report_document(report: Report, *, audience: Audience = "ta") -> dict[str, Json]:
    """The report as plain JSON values, valid by report.schema.json.

    For students the truth and the hidden images are left out (see `grader.render.audience`);
    numbers over all images stay.
    """
    report = seen_by(report, audience)
    assignment = report.assignment
    document = {
        "schema_version": SCHEMA_VERSION,
        "audience": audience,
        "assignment": {
            "id": assignment.id,
            "title": assignment.title,
            "course": assignment.course,
            "sha256": assignment.sha256,
            "max_marks": assignment.max_marks,
            "marks_step": assignment.marks_step,
        },
        "submission": {
            "zip_name": report.zip_name,
            "zip_sha256": report.zip_sha256,
            "entry_number": report.entry_number,
        },
        "verdict": report.verdict,
        "marks": {
            "given": report.marks,
            "max": report.max_marks,
            "manual": report.manual_marks,
        },
        "awards": [_award(award) for award in report.awards],
        "measurements": [_measurement(measurement) for measurement in report.measurements],
        "findings": [finding_document(finding) for finding in report.findings],
        "independent": None if report.independent is None else _independent(report.independent),
        "experiments": [_experiment(experiment) for experiment in report.experiments],
        "probe": None if report.probe is None else _probe(report.probe),
        "earlier": None if report.earlier is None else _earlier(report.earlier),
        "runs": [_run(run) for run in report.runs],
        "images": [_image(image) for image in report.gallery],
        "provenance": report.provenance,
        "volatile": {
            **report.volatile,
            "runs": [_run_cost(run) for run in report.runs],
            "independent": None
            if report.independent is None
            else {"images_per_second": report.independent.images_per_second},
        },
    }
    return plain_object(document)


def _award(award: Award) -> dict[str, Any]:
    return {
        "criterion": award.criterion,
        "title": award.title,
        "measurement": award.measurement,
        "value": award.value,
        "marks": None if award.is_manual else award.marks,
        "look_at": award.look_at,
        "max_marks": award.max_marks,
        "exact_marks": award.exact_marks,
        "curve": [{"value": value, "marks": marks} for value, marks in award.curve],
        "rounding": award.rounding,
        "reason": award.reason,
    }


def _measurement(measurement: Measurement) -> dict[str, Any]:
    interval, histogram = measurement.interval, histogram_of(measurement)
    return {
        "id": measurement.id,
        "title": measurement.title,
        "value": measurement.value,
        "count": measurement.count,
        "interval": None
        if interval is None
        else {
            "low": interval.low,
            "high": interval.high,
            "level": interval.level,
            "method": interval.method,
        },
        "baselines": measurement.baselines,
        "convention": measurement.convention,
        "histogram": None if histogram is None else histogram_document(histogram),
        "per_item": measurement.per_item,
        "details": {
            name: content for name, content in measurement.details.items() if name != "histogram"
        },
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding with its title, as it stands in report.json and in the JSON of a check."""
    place, entry = finding.place, CATALOGUE.get(finding.code)
    return {
        "code": finding.code,
        "title": finding.code if entry is None else entry.title,
        "severity": finding.severity,
        "fault": finding.fault,
        "message": finding.message,
        "hint": finding.hint,
        "place": None
        if place is None
        else {"path": place.path, "line": place.line, "column": place.column},
        "evidence": finding.evidence,
    }


def _independent(evaluation: IndependentEvaluation) -> dict[str, Any]:
    shape = evaluation.shape
    return {
        "network": {
            "n": shape.n,
            "num_classes": shape.num_classes,
            "widths": shape.widths,
            "kernel_px": shape.kernel_px,
            "in_channels": shape.in_channels,
            "shortcut": shape.shortcut,
            "norm": shape.norm,
            "layers": shape.layers,
            "parameters": shape.parameters,
        },
        "preprocessing": evaluation.preprocessing.id,
        "class_order": evaluation.class_order,
        "accuracy": evaluation.accuracy,
        "agreement": evaluation.agreement,
        "candidates": evaluation.candidates,
        "labels": evaluation.labels,
    }


def _experiment(experiment: Experiment) -> dict[str, Any]:
    return {
        "id": experiment.id,
        "title": experiment.title,
        "path": experiment.path,
        "norm": experiment.norm,
        "built_in": experiment.built_in,
        "layers": experiment.layers,
        "logged": experiment.logged,
        "void": experiment.void,
        "independent": None
        if experiment.evaluation is None
        else _independent(experiment.evaluation),
    }


def _probe(probe: Probe) -> dict[str, Any]:
    return {
        "conclusion": probe.conclusion,
        "passes": [
            {
                "variation": result.variation,
                "title": result.title,
                "statuses": result.statuses,
                "relabelled": result.relabelled,
                "count": result.count,
                "changes": [
                    {
                        "measurement": change.id,
                        "first": change.first,
                        "value": change.value,
                        "better": change.better,
                        "worse": change.worse,
                        "chance": change.chance,
                        "suspicious": change.is_suspicious,
                    }
                    for change in result.changes
                ],
            }
            for result in probe.passes
        ],
    }


def _earlier(earlier: EarlierComparison) -> dict[str, Any]:
    return {
        "compared": earlier.compared,
        "threshold": earlier.threshold,
        "reason": earlier.reason,
        "meaning": earlier.meaning,
        "matches": [
            {
                "name": match.name,
                "score": match.score,
                "flagged": match.flagged,
                "message": match.message,
                "honest": match.honest,
                "places": match.places,
            }
            for match in earlier.matches
        ],
        "findings": [finding_document(finding) for finding in earlier.findings],
    }


def _run(run: CaseRun) -> dict[str, Any]:
    return {
        "case": run.case,
        "argv": run.argv,
        "variant": run.variant,
        "status": run.status,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "backend": run.backend,
    }


def _run_cost(run: CaseRun) -> dict[str, Any]:
    return {
        "case": run.case,
        "limit": run.limit,
        "wall_seconds": run.wall_seconds,
        "cpu_seconds": run.cpu_seconds,
        "peak_memory_bytes": run.peak_memory_bytes,
        "stdout": run.stdout,
        "stdout_truncated": run.stdout_truncated,
        "stderr": run.stderr,
        "stderr_truncated": run.stderr_truncated,
    }


def _image(image: Gallery) -> dict[str, Any]:
    return {
        "name": image.name,
        "staged_name": image.staged_name,
        "label": image.label,
        "predicted": image.predicted,
        "iou": image.iou,
    }

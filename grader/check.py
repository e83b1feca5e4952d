"""What a student runs before the deadline: the course's doors, without the truth.

The same stages as `grader.score`, in the same order, up to the point where hidden images would be
needed. With `smoke` the programs run for a moment in the course's sandbox on made-up images.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader.model import (
    Assignment,
    CaseSpec,
    CaseStatus,
    CheckedLayout,
    CheckResult,
    Finding,
    Severity,
)
from grader.stages.check_layout import check_layout
from grader.stages.check_source import check_source
from grader.stages.inspect_zip import inspect_zip
from grader.stages.merge_findings import merge_findings
from grader.stages.unpack import unpack

if TYPE_CHECKING:
    from grader.sandbox import Backend

Progress = Callable[[str], None]

# Long enough to import torch on a slow laptop and to reach the first epoch.
SMOKE_TRAIN_SECONDS = 60.0
SMOKE_EVALUATE_SECONDS = 120.0


def check(
    zip_path: Path,
    assignment: Assignment,
    *,
    smoke: Backend | None = None,
    progress: Progress = lambda stage: None,  # noqa: ARG005 - silent unless somebody watches
) -> CheckResult:
    """Check the format of one submission.

    `smoke`: the sandbox in which the programs run for a moment; None checks the files alone.
    Raises GraderError for the grader's own faults, never for the student's.
    """
    findings: list[Finding] = []
    progress("vetting the zip")
    inspected = inspect_zip(zip_path, assignment)
    findings += inspected.findings
    with tempfile.TemporaryDirectory(prefix="grader-") as name:
        scratch = Path(name)
        if inspected.accepted:
            progress("unpacking")
            unpacked = unpack(inspected, scratch / "submission", assignment.zip_limits)
            findings += unpacked.findings
            progress("reading the files")
            layout = check_layout(unpacked, assignment)
            findings += layout.findings
            findings += check_source(layout, assignment)
            if smoke is not None and not _stops(findings):
                findings += _smoke(layout, assignment, smoke, scratch, progress)
    return CheckResult(
        zip_name=zip_path.name,
        zip_sha256=inspected.sha256,
        entry_number=inspected.entry_number,
        assignment_id=assignment.id,
        findings=merge_findings(findings),
        passed=not _stops(findings),
    )


def _stops(findings: list[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def _smoke(
    layout: CheckedLayout,
    assignment: Assignment,
    backend: Backend,
    scratch: Path,
    progress: Progress,
) -> list[Finding]:
    """Run every case for a moment on made-up images and lint what it wrote."""
    # Only here: these read images, and a check of the files alone needs neither numpy nor cv2.
    from grader.sandbox.helper import answer_of  # noqa: PLC0415
    from grader.stages.collect import collect  # noqa: PLC0415
    from grader.stages.run_cases import Staged, run_case, trained_checkpoint  # noqa: PLC0415
    from grader.stages.smoke_images import make_smoke_images  # noqa: PLC0415
    from grader.stages.stage_images import stage_images  # noqa: PLC0415

    train_images, truth = make_smoke_images(scratch / "smoke", assignment.classes)
    stage_images(truth, scratch / "images")
    findings: list[Finding] = []
    checkpoint: Path | None = None
    for case in assignment.cases:
        progress(f"running for a moment: {case.title}")
        staged = Staged(
            images=scratch / "images",
            train_images=train_images,
            checkpoint=None if "checkpoint" in layout.roles else checkpoint,
        )
        trains = any("{train_images}" in word for word in case.argv)
        seconds = SMOKE_TRAIN_SECONDS if trains else SMOKE_EVALUATE_SECONDS
        run, noted = run_case(
            layout, _shortened(case, seconds), staged, backend, scratch / f"run-{case.id}", {}
        )
        findings += noted
        if run is None:
            continue
        if trains:
            role = next((role for role in assignment.roles if role.id == "checkpoint"), None)
            checkpoint = trained_checkpoint(run, role) if role is not None else None
            if run.status is CaseStatus.WALL_TIME:
                # Training is meant to take longer than a moment: only a crash is a finding.
                findings = [finding for finding in findings if finding.code != "run.wall-time"]
        else:
            findings += collect(run, case, truth, assignment, answer_of).findings
    return findings


def _shortened(case: CaseSpec, seconds: float) -> CaseSpec:
    limits = replace(case.limits, wall_seconds=min(seconds, case.limits.wall_seconds))
    return replace(case, limits=limits)

"""The pipeline: one zip goes through every stage, in order, and comes out as a report.

What a stage cannot do because of the student is a finding, and the stages that do not depend on
it go on: what can be graded is graded.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from grader.model import (
    Assignment,
    CaseRun,
    CaseSpec,
    CheckedLayout,
    Collected,
    Finding,
    IndependentEvaluation,
    Report,
    Severity,
    Truth,
    Verdict,
)
from grader.provenance import describe_provenance, describe_volatile
from grader.render.gallery import build_gallery
from grader.sandbox import Backend
from grader.stages.award import award
from grader.stages.check_layout import check_layout
from grader.stages.collect import collect
from grader.stages.inspect_zip import inspect_zip
from grader.stages.load_checkpoint import load_checkpoint
from grader.stages.measure import measure
from grader.stages.run_cases import Staged, run_case
from grader.stages.stage_images import stage_images
from grader.stages.unpack import unpack

Progress = Callable[[str], None]


@dataclass
class _Journey:
    """What has become known of one submission so far."""

    findings: list[Finding] = field(default_factory=list)
    runs: list[CaseRun] = field(default_factory=list)
    durations: dict[str, float] = field(default_factory=dict)
    independent: IndependentEvaluation | None = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.durations[stage] = self.durations.get(stage, 0.0) + time.perf_counter() - start


def score(
    zip_path: Path,
    truth: Truth,
    assignment: Assignment,
    backend: Backend,
    *,
    train_images: Path | None = None,
    independent: bool = True,
    environment: Mapping[str, str] | None = None,
    progress: Progress = lambda stage: None,
) -> Report:
    """Score one submission.

    `train_images`: class folders; given, cases on request (training) run first and the checkpoint
    that they leave is the one that is graded. Raises GraderError for the course's or the grader's
    own faults, never for the student's.
    """
    started = time.time()
    journey = _Journey()
    with tempfile.TemporaryDirectory(prefix="grader-") as name:
        scratch = Path(name)
        progress("vetting the zip")
        with journey.timed("inspect_zip"):
            inspected = inspect_zip(zip_path, assignment)
        journey.findings += inspected.findings
        collected = Collected(labels=None, masks=None, findings=())
        layout: CheckedLayout | None = None
        if inspected.accepted:
            with journey.timed("unpack"):
                unpacked = unpack(inspected, scratch / "submission", assignment.zip_limits)
            journey.findings += unpacked.findings
            if not _has_error(unpacked.findings):
                layout = check_layout(unpacked, assignment)
                journey.findings += layout.findings
        if layout is not None:
            with journey.timed("stage_images"):
                stage_images(truth, scratch / "images")
            checkpoint = _run_training(
                journey, layout, assignment, backend, scratch, train_images, environment, progress
            )
            staged = Staged(images=scratch / "images", checkpoint=checkpoint)
            for case in _cases(assignment, on_request=False):
                progress(f"running the student's program: {case.title}")
                with journey.timed(f"case {case.id}"):
                    run, noted = run_case(
                        layout, case, staged, backend, scratch / case.id, environment or {}
                    )
                journey.findings += noted
                if run is None:
                    continue
                journey.runs.append(run)
                progress("reading the outputs")
                with journey.timed("collect"):
                    collected = collect(run, case, truth, assignment)
                journey.findings += collected.findings
            if independent and assignment.checkpoint is not None:
                progress("evaluating the checkpoint independently")
                with journey.timed("independent"):
                    _evaluate(journey, layout, assignment, truth, backend, scratch, collected, checkpoint)
        progress("measuring")
        with journey.timed("measure"):
            measurements, noted = measure(collected, truth, assignment)
            journey.findings += noted
            awards = award(assignment, measurements)
        with journey.timed("gallery"):
            gallery = build_gallery(truth, collected, measurements) if layout is not None else ()
        measured = {m.id for m in measurements if m.value is not None}
        if layout is None:
            verdict = Verdict.REJECTED
        elif all(criterion.measurement in measured for criterion in assignment.criteria):
            verdict = Verdict.GRADED
        else:
            verdict = Verdict.PARTLY_GRADED
        return Report(
            assignment=assignment,
            zip_name=zip_path.name,
            zip_sha256=inspected.sha256,
            entry_number=inspected.entry_number,
            verdict=verdict,
            findings=tuple(journey.findings),
            runs=tuple(journey.runs),
            measurements=measurements,
            awards=awards,
            independent=journey.independent,
            gallery=gallery,
            provenance=describe_provenance(inspected, truth, assignment, backend),
            volatile=describe_volatile(started, journey.durations),
        )


def _has_error(findings: tuple[Finding, ...]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def _cases(assignment: Assignment, *, on_request: bool) -> tuple[CaseSpec, ...]:
    return tuple(case for case in assignment.cases if case.on_request is on_request)

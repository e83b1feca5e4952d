"""The pipeline: one zip goes through every stage, in order, and comes out as a report.

What a stage cannot do because of the student is a finding, and the stages that do not depend on
it go on: what can be graded is graded.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grader.model import (
    Assignment,
    CaseRun,
    CaseSpec,
    CheckedLayout,
    Collected,
    Finding,
    IndependentEvaluation,
    InspectedZip,
    Measurement,
    Probe,
    Report,
    Severity,
    Truth,
    Verdict,
)
from grader.provenance import describe_provenance, describe_volatile
from grader.render.gallery import build_gallery
from grader.sandbox import Backend
from grader.sandbox.helper import answer_of
from grader.stages.award import award
from grader.stages.check_layout import check_layout
from grader.stages.check_source import check_source
from grader.stages.collect import collect, get_ready_to_collect
from grader.stages.compare_printed import compare_printed
from grader.stages.inspect_zip import inspect_zip
from grader.stages.load_checkpoint import load_checkpoint
from grader.stages.load_truth import truth_masks
from grader.stages.measure import measure
from grader.stages.merge_findings import merge_findings
from grader.stages.run_cases import Staged, run_case, trained_checkpoint
from grader.stages.stage_images import stage_images
from grader.stages.unpack import unpack

if TYPE_CHECKING:
    from grader.experiments import Ran

Progress = Callable[[str], None]


@dataclass
class _Journey:
    """What has become known of one submission so far."""

    assignment: Assignment
    truth: Truth
    backend: Backend
    scratch: Path
    images: Path
    environment: Mapping[str, str]
    progress: Progress
    meanwhile: Callable[[], object]
    findings: list[Finding] = field(default_factory=list)
    runs: list[CaseRun] = field(default_factory=list)
    durations: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, shown: str) -> Iterator[None]:
        """Time a stage and show it."""
        self.progress(shown)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.durations[name] = self.durations.get(name, 0.0) + time.perf_counter() - start


def score(
    zip_path: Path,
    truth: Truth,
    assignment: Assignment,
    backend: Backend,
    *,
    train_images: Path | None = None,
    staged_images: Path | None = None,
    independent: bool = True,
    probed: bool = False,
    environment: Mapping[str, str] | None = None,
    progress: Progress = lambda stage: None,  # noqa: ARG005 - silent unless somebody watches
    meanwhile: Callable[[], object] = lambda: None,
) -> Report:
    """Score one submission.

    `train_images`: class folders; given, a zip without a checkpoint is trained on them first.
    `staged_images`: the folder in which `stage_images` has laid out this truth already; by default
    that is done anew.
    `independent`: whether the checkpoint is also evaluated by the grader's own network.
    `probed`: whether the program is run again on varied images, as evidence for a person.
    `environment`: variables for the student's program (a thread count, say).
    `meanwhile`: what the caller can do, in a thread, while the student's program runs.
    Raises GraderError for the course's or the grader's own faults, never for the student's.
    """
    started = time.time()
    scratch = tempfile.TemporaryDirectory(prefix="grader-")
    with scratch as name, ThreadPoolExecutor(1) as thread:
        journey = _Journey(
            assignment,
            truth,
            backend,
            scratch=Path(name),
            images=staged_images or Path(name) / "images",
            environment=dict(environment or {}),
            progress=progress,
            meanwhile=meanwhile,
        )
        with journey.stage("inspect_zip", "vetting the zip"):
            inspected = inspect_zip(zip_path, assignment)
        journey.findings += inspected.findings
        layout = _open(journey, inspected)
        outputs: tuple[Collected, ...] = ()
        ran: Ran | None = None
        evaluated: IndependentEvaluation | None = None
        if layout is not None:
            if staged_images is None:
                with journey.stage("stage_images", "copying the images under neutral names"):
                    stage_images(truth, journey.images)
            trained = _train(journey, layout, train_images)
            with _meanwhile(journey):
                outputs = _run(journey, layout, trained)
            if independent and assignment.checkpoint is not None:
                with journey.stage("independent", "evaluating the checkpoint independently"):
                    evaluated = _evaluate(journey, layout, trained, _joined(outputs))
            ran = _experiment(journey, layout, outputs, independent=independent)
        with journey.stage("measure", "measuring"):
            gathered, void = (ran.gathered, ran.void) if ran is not None else ({}, {})
            measurements, noted = measure(outputs, truth, assignment, gathered, void)
            awards = award(assignment, measurements)
        evidence: Probe | None = None
        if layout is not None:
            journey.findings += noted
            if probed:
                with journey.stage("probe", "running the program again on varied images"):
                    evidence = _probe(journey, layout, trained, outputs, measurements)
            journey.findings += compare_printed(journey.runs, measurements, assignment)
        with journey.stage("gallery", "drawing the gallery"):
            # Everything is read by now, and to erase it is waiting, mostly.
            erased = thread.submit(scratch.cleanup)
            gallery = build_gallery(truth, truth_masks(truth), _joined(outputs)) if layout else ()
            erased.result()
        return Report(
            assignment=assignment,
            zip_name=zip_path.name,
            zip_sha256=inspected.sha256,
            entry_number=inspected.entry_number,
            verdict=_verdict(layout, assignment, measurements),
            findings=merge_findings(journey.findings),
            runs=tuple(journey.runs),
            measurements=measurements,
            awards=awards,
            independent=evaluated,
            gallery=gallery,
            probe=evidence,
            experiments=ran.experiments if ran is not None else (),
            provenance=describe_provenance(inspected, truth, assignment, backend),
            volatile=describe_volatile(started, journey.durations),
        )


def _open(journey: _Journey, inspected: InspectedZip) -> CheckedLayout | None:
    """Through the doors without running anything; None when the submission is rejected."""
    if not inspected.accepted:
        return None
    with journey.stage("unpack", "unpacking"):
        unpacked = unpack(inspected, journey.scratch / "submission", journey.assignment.zip_limits)
    journey.findings += unpacked.findings
    if any(finding.severity is Severity.ERROR for finding in unpacked.findings):
        return None
    with journey.stage("check", "reading the files"):
        layout = check_layout(unpacked, journey.assignment)
        journey.findings += layout.findings
        journey.findings += check_source(layout, journey.assignment)
    return layout


def _train(journey: _Journey, layout: CheckedLayout, train_images: Path | None) -> Path | None:
    """The checkpoint that the student's own training leaves, when the zip holds none."""
    if train_images is None or "checkpoint" in layout.roles:
        return None
    role = next((role for role in journey.assignment.roles if role.id == "checkpoint"), None)
    trained: Path | None = None
    for case in journey.assignment.cases:
        if case.on_request:
            run = _run_one(journey, layout, case, Staged(train_images=train_images))
            if run is not None and role is not None:
                trained = trained_checkpoint(run, role)
    return trained


@contextmanager
def _meanwhile(journey: _Journey) -> Iterator[None]:
    """Do what needs no answers while the student's program makes them: the grader only waits."""
    with ThreadPoolExecutor(1) as thread:
        jobs: list[Future[object]] = [
            thread.submit(get_ready_to_collect),
            thread.submit(truth_masks, journey.truth),
            thread.submit(journey.meanwhile),
        ]
        yield
        for job in jobs:
            job.result()


def _run(journey: _Journey, layout: CheckedLayout, trained: Path | None) -> tuple[Collected, ...]:
    collected: list[Collected] = []
    staged = Staged(images=journey.images, checkpoint=trained)
    for case in journey.assignment.cases:
        if case.on_request:
            continue
        run = _run_one(journey, layout, case, staged)
        if run is not None:
            with journey.stage("collect", "reading the outputs"):
                output = collect(run, case, journey.truth, journey.assignment, answer_of)
            journey.findings += output.findings
            collected.append(output)
    return tuple(collected)


def _experiment(
    journey: _Journey,
    layout: CheckedLayout,
    outputs: Sequence[Collected],
    *,
    independent: bool,
) -> Ran | None:
    """The experiments and layers of the definition, where it has any."""
    if not journey.assignment.experiments and not journey.assignment.probes:
        return None
    # Only here: most assignments have none.
    from grader.experiments import run_experiments  # noqa: PLC0415

    with journey.stage("experiments", "looking at each experiment"):
        ran = run_experiments(
            layout,
            journey.assignment,
            journey.truth,
            journey.backend,
            journey.scratch / "experiments",
            journey.runs,
            outputs,
            journey.environment,
            journey.progress,
            independent=independent,
        )
    journey.findings += ran.findings
    return ran


def _joined(outputs: Sequence[Collected]) -> Collected:
    """The labels and masks of all cases: the first case that wrote them counts."""
    return Collected(
        labels=next((output.labels for output in outputs if output.labels is not None), None),
        masks=next((output.masks for output in outputs if output.masks is not None), None),
        findings=(),
    )


def _run_one(
    journey: _Journey, layout: CheckedLayout, case: CaseSpec, staged: Staged
) -> CaseRun | None:
    with journey.stage(f"case {case.id}", f"running the student's program: {case.title}"):
        run, noted = run_case(
            layout, case, staged, journey.backend, journey.scratch / case.id, journey.environment
        )
    journey.findings += noted
    if run is not None:
        journey.runs.append(run)
    return run


def _evaluate(
    journey: _Journey, layout: CheckedLayout, trained: Path | None, collected: Collected
) -> IndependentEvaluation | None:
    # Only here: this is the one stage of the pipeline that needs torch.
    from grader.stages.evaluate_checkpoint import evaluate_checkpoint  # noqa: PLC0415

    spec = journey.assignment.checkpoint
    if spec is None or (trained is None and spec.role not in layout.roles):
        return None
    loaded, noted = load_checkpoint(
        layout,
        spec,
        journey.backend,
        journey.scratch / "checkpoint",
        trained,
        num_classes=journey.truth.num_classes,
    )
    journey.findings += noted
    if loaded is None:
        return None
    evaluated, noted = evaluate_checkpoint(loaded, spec, journey.truth, collected.labels)
    journey.findings += noted
    return evaluated


def _probe(
    journey: _Journey,
    layout: CheckedLayout,
    trained: Path | None,
    outputs: Sequence[Collected],
    measurements: Sequence[Measurement],
) -> Probe:
    # Only here: most runs are not probed.
    from grader.stages.probe import Bench, answers_of, probe  # noqa: PLC0415

    repeated = {case.id for case in journey.assignment.cases if not case.on_request}
    runs = [run for run in journey.runs if run.case in repeated]
    bench = Bench(
        layout,
        trained,
        journey.backend,
        journey.environment,
        journey.scratch / "probe",
        answer_of,
    )
    first = answers_of(runs, outputs, measurements)
    evidence, noted = probe(first, journey.truth, journey.assignment, bench)
    journey.findings += noted
    return evidence


def _verdict(
    layout: CheckedLayout | None, assignment: Assignment, measurements: Sequence[Measurement]
) -> Verdict:
    if layout is None:
        return Verdict.REJECTED
    measured = {measurement.id for measurement in measurements if measurement.value is not None}
    judged = [criterion for criterion in assignment.criteria if not criterion.is_manual]
    if all(criterion.measurement in measured for criterion in judged):
        return Verdict.GRADED
    return Verdict.PARTLY_GRADED

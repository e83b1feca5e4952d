"""The part of the pipeline for assignments with several checkpoints, and with layers to run.

Each experiment is judged by itself: its checkpoint by the grader's own network, its layers by what
its program really computes, its log by its checkpoint; then all of them together: one file that
every experiment overwrote is found here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from grader.findings import found, listed
from grader.metrics.evidence import HeatmapMetric
from grader.metrics.load import load_metric
from grader.metrics.wilson import wilson_interval
from grader.model import (
    Assignment,
    CaseRun,
    CaseStatus,
    CheckedLayout,
    CheckpointSpec,
    Collected,
    Experiment,
    Finding,
    IndependentEvaluation,
    LoadedCheckpoint,
    Measurement,
    MeasurementSpec,
    OutputSpec,
    RunLimits,
    Truth,
    TruthItem,
)
from grader.networks.declared_norm import declared_norm, kept_under
from grader.readers.json_file import parse_json
from grader.readers.load import load_reader
from grader.readers.reading import Expected
from grader.readers.regular_file import RefusedFileError, read_regular_file
from grader.sandbox import Backend
from grader.sandbox.helper import answer_of
from grader.source.ready_made import ready_made_norms
from grader.stages.compare_history import ReadLog, compare_log, read_log, same_logs
from grader.stages.load_checkpoint import load_checkpoint
from grader.stages.randomise_weights import randomise_weights
from grader.stages.run_cases import INSIDE_IMAGES
from grader.stages.run_probes import Probed, run_probes
from grader.stages.stage_images import stage_images
from grader.stages.trace_layers import LayersSeen, layers_of_module, trace_layers

Progress = Callable[[str], None]

# Enough to see which layers are computed, and to compare maps.
_TRACED_IMAGES = 2
_MAPPED_IMAGES = 8
_MAX_NAMED = 50
# What students write beside the weights.
_METADATA = "metadata.json"
_MAX_METADATA_BYTES = 1 << 20
# Below this agreement another kind of normalisation is looked for in the weights.
_DISAGREES = 0.9


@dataclass(frozen=True, slots=True)
class Ran:
    """What the experiments came to. `gathered`: measurement id → Measurement; `void`: experiment →
    finding codes that make its numbers void."""

    experiments: tuple[Experiment, ...] = ()
    findings: tuple[Finding, ...] = ()
    gathered: Mapping[str, Measurement] = field(default_factory=dict)
    void: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class _State:
    """One experiment on its way."""

    spec: CheckpointSpec
    path: str | None
    run: CaseRun | None
    outputs: Collected | None
    log: ReadLog
    loaded: LoadedCheckpoint | None = None
    evaluation: IndependentEvaluation | None = None
    seen: LayersSeen | None = None
    logged: Mapping[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def void(self) -> tuple[str, ...]:
        codes = {finding.code for finding in self.findings}
        return tuple(code for code in self.spec.voided_by if code in codes)


def run_experiments(
    layout: CheckedLayout,
    assignment: Assignment,
    truth: Truth,
    backend: Backend,
    scratch: Path,
    runs: Sequence[CaseRun],
    outputs: Sequence[Collected],
    environment: Mapping[str, str],
    progress: Progress,
    *,
    independent: bool,
) -> Ran:
    """Judge every experiment and probe of the definition.

    `independent`: whether checkpoints are opened and evaluated, programs traced and heatmaps held
    against other weights; without it only files and layers are looked at. Raises GraderError for
    the course's or the grader's own faults.
    """
    journey = _Experiments(layout, assignment, truth, backend, scratch, environment, progress)
    states = journey.states(runs, outputs)
    probed, findings = journey.probe()
    gathered = {m.id: m for m in _layer_measurements(assignment, probed)}
    if independent:
        for state in states:
            journey.evaluate(state)
            journey.trace(state)
    _mark_shared(states, layout)
    findings += same_logs({state.spec.id: state.log for state in states})
    if independent:
        measured, noted = journey.measure_heatmaps(states)
        gathered |= measured
        findings += noted
    for state in states:
        findings += (*state.log.findings, *state.findings)
    return Ran(
        experiments=tuple(_experiment(state) for state in states),
        findings=_distinct(findings),
        gathered=gathered,
        void={state.spec.id: state.void for state in states},
    )


@dataclass(frozen=True, slots=True)
class _Experiments:
    layout: CheckedLayout
    assignment: Assignment
    truth: Truth
    backend: Backend
    scratch: Path
    environment: Mapping[str, str]
    progress: Progress

    def states(self, runs: Sequence[CaseRun], outputs: Sequence[Collected]) -> list[_State]:
        by_case = {run.case: run for run in runs}
        collected = {output.case: output for output in outputs}
        return [
            _State(
                spec,
                self.layout.roles.get(spec.role),
                by_case.get(spec.case),
                collected.get(spec.case),
                read_log(self.layout, spec.history) if spec.history else ReadLog(),
            )
            for spec in self.assignment.experiments
        ]

    def probe(self) -> tuple[tuple[Probed, ...], tuple[Finding, ...]]:
        if not self.assignment.probes:
            return (), ()
        self.progress("running the student's layers on given arrays")
        return run_probes(
            self.layout, self.assignment, self.backend, self.scratch / "probes", self.environment
        )

    # ------------------------------------------------------------------ one checkpoint

    def evaluate(self, state: _State) -> None:
        """By the grader's own network, and against the student's labels and log."""
        if state.path is None:
            return
        # Only here: these are the stages that need torch.
        from grader.stages.evaluate_checkpoint import evaluate_checkpoint  # noqa: PLC0415

        spec = state.spec
        self.progress(f"evaluating the checkpoint independently: {spec.title}")
        state.loaded, noted = load_checkpoint(
            self.layout,
            spec,
            self.backend,
            self.scratch / "checkpoints" / spec.id,
            num_classes=self.truth.num_classes,
        )
        state.findings += noted
        if state.loaded is None:
            return
        allowed, said = _allowed_norms(spec), self._declared_norm(state)
        if allowed and said is not None and said not in allowed:
            message = f"its metadata say {said} normalisation, expected {_any_of(allowed)}"
            state.findings.append(found("checkpoint.wrong-norm", message, path=state.path))
        labels = None if state.outputs is None else state.outputs.labels
        is_told = any(finding.code == "checkpoint.wrong-norm" for finding in state.findings)
        state.evaluation, noted = evaluate_checkpoint(
            state.loaded,
            _of_norms(spec, state.loaded.norms) if is_told else spec,
            self.truth,
            labels,
        )
        other = None if is_told else self._other_norm(state)
        if other is not None:
            state.evaluation = other
            message = (
                f"of those that the tensors allow, {other.shape.norm} normalisation explains the "
                f"labels, expected {_any_of(allowed)}"
            )
            noted = (found("checkpoint.wrong-norm", message, path=state.path),)
            # What would be missing, were it batch normalisation.
            state.findings = [f for f in state.findings if f.code != "checkpoint.no-statistics"]
        elif said is not None and not is_told:
            # the predictions tell nothing that the student's own word has not said
            noted = tuple(one for one in noted if one.code != "checkpoint.norm-told-by-behaviour")
        state.findings += noted
        if state.evaluation is not None:
            state.logged, noted = compare_log(state.log, state.evaluation, self.truth)
            state.findings += noted

    def _declared_norm(self, state: _State) -> str | None:
        """The normalisation that the student names, in the checkpoint or in a JSON beside it."""
        assert state.loaded is not None
        assert state.path is not None
        said = declared_norm(state.loaded.metadata, state.spec.id)
        if said is not None:
            return said
        beside = PurePosixPath(state.path).with_name(_METADATA)
        try:
            data = read_regular_file(self.layout.top / beside.as_posix(), _MAX_METADATA_BYTES)
            value = parse_json(data)
        except (RefusedFileError, ValueError):
            return None
        # One file beside several checkpoints: the last training may have left it, so that it only
        # speaks of a checkpoint that it names.
        together = {
            path
            for spec in self.assignment.experiments
            if (path := self.layout.roles.get(spec.role)) is not None
            and PurePosixPath(path).parent == beside.parent
        }
        if len(together) > 1 and not kept_under(state.spec.id, value):
            return None
        return declared_norm(value, state.spec.id)

    def _other_norm(self, state: _State) -> IndependentEvaluation | None:
        """The evaluation as another kind of normalisation, where that surely explains more.

        Instance, layer and group normalisation store the same tensors, or none at all: which one a
        checkpoint was trained with shows only in what it predicts.
        """
        from grader.stages.evaluate_checkpoint import evaluate_checkpoint  # noqa: PLC0415

        now, loaded = state.evaluation, state.loaded
        labels = None if state.outputs is None else state.outputs.labels
        if now is None or loaded is None or labels is None or now.agreement is None:
            return None
        others = [norm for norm in loaded.norms if norm not in _allowed_norms(state.spec)]
        # Beside running statistics, what instance normalisation explains may be training mode.
        if not others or loaded.norms[0] == "batch" or now.agreement >= _DISAGREES:
            return None
        other, _ = evaluate_checkpoint(loaded, _of_norms(state.spec, others), self.truth, labels)
        if other is None or other.agreement is None or other.agreement < _DISAGREES:
            return None
        count = sum(name in labels for name in now.labels)
        (low, _), (_, high) = (
            wilson_interval(round(agreement * count), count)
            for agreement in (other.agreement, now.agreement)
        )
        return other if low > high else None

    def trace(self, state: _State) -> None:
        """Which layers are really computed; in an experiment of own layers, none ready-made."""
        run = state.run
        if state.spec.builtin_allowed or run is None or state.path is None:
            return
        if run.status is CaseStatus.FINISHED:
            self.progress(f"looking at the layers that run: {state.spec.title}")
            state.seen = trace_layers(
                self.layout,
                run,
                {INSIDE_IMAGES: self.few_images(_TRACED_IMAGES)[1]},
                self._case_limits(run.case),
                self.backend,
                self.scratch / "traces" / state.spec.id,
                self.environment,
            )
        if state.seen is None and state.loaded is not None:
            state.seen = layers_of_module(state.loaded.module_classes)
        if state.seen is None or not state.seen.ready_made:
            return
        message = (
            f"{state.spec.title}: after {state.seen.ready_made} of {state.seen.convolutions} "
            f"convolutions a ready-made normalisation runs ({listed(state.seen.classes)})"
        )
        named = [f"{path}:{line}" for path, line, _ in self.named_norms()]
        if named:
            message += f"; the source names some in {listed(named)}"
        evidence = {
            "ready_made": state.seen.ready_made,
            "layers": state.seen.convolutions,
            "named": named[:_MAX_NAMED],
        }
        state.findings.append(
            found("checkpoint.ready-made-norm", message, path=state.path, evidence=evidence)
        )

    def named_norms(self) -> list[tuple[str, int, str]]:
        """Where the submission's source names ready-made normalisations."""
        prefix = f"{self.layout.base}/" if self.layout.base else ""
        paths = [
            file.path.removeprefix(prefix)
            for file in self.layout.unpacked.files
            if file.path.startswith(prefix) and file.path.endswith(".py")
        ]
        return ready_made_norms(self.layout.top, paths)

    def _case_limits(self, case: str) -> RunLimits:
        return next(spec.limits for spec in self.assignment.cases if spec.id == case)

    def few_images(self, count: int) -> tuple[tuple[TruthItem, ...], Path]:
        """The first images in the order of their random names, staged by themselves."""
        items = tuple(sorted(self.truth.items, key=lambda item: item.staged_name)[:count])
        folder = self.scratch / f"images-{count}"
        if not folder.exists():
            stage_images(replace(self.truth, items=items), folder)
        return items, folder

    # ------------------------------------------------------------------ heatmaps

    def measure_heatmaps(
        self, states: Sequence[_State]
    ) -> tuple[dict[str, Measurement], tuple[Finding, ...]]:
        """Those of the best experiment that wrote some, by the accuracy of its checkpoint."""
        specs = [
            spec
            for spec in self.assignment.measurements
            if spec.of_best and isinstance(load_metric(spec.metric), HeatmapMetric)
        ]
        mapped = [
            state
            for state in states
            if specs and state.outputs is not None and state.outputs.outputs.get(specs[0].output)
        ]
        if not mapped:
            return {}, ()
        best = max(mapped, key=lambda state: (not state.void, _accuracy(state.evaluation)))
        return self._measure_heatmaps(best, specs)

    def _measure_heatmaps(
        self, state: _State, specs: Sequence[MeasurementSpec]
    ) -> tuple[dict[str, Measurement], tuple[Finding, ...]]:
        from grader.stages.measure_heatmaps import (  # noqa: PLC0415 - needs torch
            deletion_and_insertion,
            measure_heatmaps,
        )

        assert state.outputs is not None
        self.progress(f"measuring the heatmaps of {state.spec.title}")
        output = self._output(state, specs[0].output)
        heatmaps = state.outputs.outputs[output.id]
        randomised, findings = self._randomised(state, output)
        items = tuple(sorted(self.truth.items, key=lambda item: item.staged_name))
        areas: dict[str, tuple[float, float]] = {}
        trivial: dict[str, tuple[float, float]] = {}
        if state.loaded is not None and state.evaluation is not None:
            areas, trivial = deletion_and_insertion(state.loaded, state.evaluation, items, heatmaps)
        side_px = (
            int(output.options.get("side_px", 0)) or next(iter(heatmaps.values())).heat.shape[0]
        )
        measured, noted = measure_heatmaps(
            specs, items, heatmaps, randomised, side_px, areas, trivial
        )
        of = {"experiment": state.spec.id}
        measured = {
            key: replace(one, details={**one.details, **of}) for key, one in measured.items()
        }
        return measured, (*findings, *noted)

    def _output(self, state: _State, name: str) -> OutputSpec:
        case = next(case for case in self.assignment.cases if case.id == state.spec.case)
        return next(output for output in case.outputs if output.id == name)

    def _randomised(
        self, state: _State, output: OutputSpec
    ) -> tuple[Mapping[str, Any] | None, tuple[Finding, ...]]:
        run, path = state.run, state.path
        if run is None or path is None:
            return None, ()
        items, folder = self.few_images(_MAPPED_IMAGES)
        outputs, reason = randomise_weights(
            self.layout,
            path,
            run,
            {INSIDE_IMAGES: folder},
            output.path,
            (state.spec.limits, self._case_limits(run.case)),
            self.backend,
            self.scratch / "randomised",
            self.environment,
        )
        maps = None
        if outputs is not None:
            names = tuple(sorted(item.staged_name for item in items))
            expected = Expected(names, {}, self.truth.classes, answer_of)
            maps = load_reader(output.reader)(outputs, output, expected).value
        if maps:
            return maps, ()
        message = reason or "with weights drawn anew the program left no maps"
        return None, (found("result.heatmaps-not-tested", message, path=path),)


def _allowed_norms(spec: CheckpointSpec) -> tuple[str, ...]:
    """Empty where the definition leaves it open."""
    allowed = spec.constraints.get("norm", ())
    return (allowed,) if isinstance(allowed, str) else tuple(allowed)


def _any_of(norms: Sequence[str]) -> str:
    return f"{' or '.join(norms)} normalisation"


def _of_norms(spec: CheckpointSpec, norms: Sequence[str]) -> CheckpointSpec:
    """As `spec`, but what the weights leave open may be any of `norms`."""
    return replace(spec, constraints={**spec.constraints, "norm": list(norms)})


def _accuracy(evaluation: IndependentEvaluation | None) -> float:
    return -1.0 if evaluation is None or evaluation.accuracy is None else evaluation.accuracy


# --------------------------------------------------------------------------- all of them


def _mark_shared(states: Sequence[_State], layout: CheckedLayout) -> None:
    """A finding with every experiment whose checkpoint another one has as well: the same file, the
    same bytes, or the same numbers in another wrapper."""
    prefix = f"{layout.base}/" if layout.base else ""
    digests = {file.path: file.sha256 for file in layout.unpacked.files}
    groups: dict[str, list[_State]] = {}
    for state in states:
        if state.path is not None:
            digest = digests.get(prefix + state.path, state.path)
            groups.setdefault(digest, []).append(state)
    by_tensors: dict[str, list[_State]] = {}
    for state in states:
        if state.loaded is not None:
            tensors = hashlib.sha256(state.loaded.tensors.read_bytes()).hexdigest()
            by_tensors.setdefault(tensors, []).append(state)
    told: set[frozenset[str]] = set()
    for group in [*groups.values(), *by_tensors.values()]:
        names = [state.spec.id for state in group]
        if len(group) < 2 or frozenset(names) in told:
            continue
        told.add(frozenset(names))
        paths = sorted({PurePosixPath(str(state.path)).as_posix() for state in group})
        message = (
            f"the experiments {listed(names, 8)} have one and the same checkpoint "
            f"({listed(paths, 8)})"
        )
        for state in group:
            state.findings.append(
                found("checkpoint.shared", message, path=paths[0], evidence={"experiments": names})
            )


def _layer_measurements(assignment: Assignment, probed: Sequence[Probed]) -> list[Measurement]:
    by_probe = {one.spec.id: one for one in probed}
    measured = []
    for spec in assignment.measurements:
        one = by_probe.get(spec.probe)
        if one is None:
            continue
        judgement = one.judgement
        details: dict[str, Any] = {"class": one.class_name}
        value: float | None = None
        convention = ""
        if judgement is not None:
            made = len(judgement.checks)
            value = 0.0 if one.ready_made else judgement.passed / made
            details |= {
                "passed": judgement.passed,
                "made": made,
                "failed": [c.check.title for c in judgement.checks if not c.passed],
                "deviations": {
                    c.check.id: c.deviation if c.deviation != float("inf") else None
                    for c in judgement.checks
                },
                "ready_made": one.ready_made,
            }
            convention = f"; understood as: {judgement.convention}" if judgement.convention else ""
        measured.append(
            Measurement(
                id=spec.id,
                title=spec.title,
                value=value,
                count=0 if judgement is None else len(judgement.checks),
                details=details,
                convention=load_metric(spec.metric).convention + convention,
                counted="check",
            )
        )
    return measured


def _experiment(state: _State) -> Experiment:
    norm = None
    if state.evaluation is not None:
        norm = state.evaluation.shape.norm
    elif state.loaded is not None and state.loaded.shape is not None:
        norm = state.loaded.shape.norm
    return Experiment(
        id=state.spec.id,
        title=state.spec.title,
        path=state.path,
        norm=norm,
        evaluation=state.evaluation,
        built_in=None if state.seen is None else state.seen.ready_made,
        layers=None if state.seen is None else state.seen.convolutions,
        logged=state.logged,
        void=state.void,
    )


def _distinct(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One of those that say the same of the same place: experiments may share a file."""
    kept = {(finding.code, finding.message, finding.place): finding for finding in findings}
    return tuple(kept.values())

"""Run the student's program again on images that are the same to the eye, and compare.

A program that looks at the images answers alike when they are renamed, shuffled and re-encoded; a
table of names, places or hashes loses its answers. What comes out is evidence for a person: it
changes no mark, and a student never reads it.

Honest programs differ from run to run too: dropout left on, no seed, batches that decide their own
normalisation. Their images get better as often as worse, so each pass is judged by the images that
it *loses* (a sign test, image by image), and only where it loses much. What is lost without any
change to the images is chance as well: a pass on the very same images says so.

What is found, and what is not: docs/security.md.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from grader.findings import found, listed
from grader.frozen import frozen
from grader.model import (
    Assignment,
    CaseRun,
    CaseStatus,
    CheckedLayout,
    Collected,
    Finding,
    Measurement,
    Probe,
    ProbeChange,
    ProbePass,
    ReadMask,
    Truth,
)
from grader.readers.reading import Launch
from grader.sandbox import Backend
from grader.stages.collect import collect
from grader.stages.load_truth import with_staged_names
from grader.stages.measure import measure
from grader.stages.run_cases import Staged, run_case
from grader.stages.stage_images import stage_images
from grader.stages.vary_image import vary_image

# An image counts as better or worse when its value moves by more than this: a label always does,
# a mask moves a little with every pixel.
_MOVES = 0.1
# Suspicious is what chance does less often than this …
_CHANCE = 1e-4
# … and what costs at least so much of the mean; mirrored images are another picture to a network
# that never saw any, so there only a collapse counts.
_LOSS, _LOSS_MIRRORED = 0.05, 0.25
# With fewer images not even losing all of them is rarer than that (2⁻¹⁴ is).
_FEWEST_IMAGES = 14
# Another share of changed labels is worth a pass on the very same images: how much is chance?
_UNSTEADY = 0.05


@frozen
class Variation:
    """What is done to the images before a pass; `loss` is how much of a mean is too much."""

    id: str
    title: str
    is_renamed: bool = False
    is_reencoded: bool = False
    is_mirrored: bool = False
    loss: float = _LOSS


SAME = Variation("same", "the very same images")
VARIED = Variation("varied", "renamed, shuffled and re-encoded", True, True)
RENAMED = Variation("renamed", "renamed and shuffled only", is_renamed=True)
REENCODED = Variation("re-encoded", "re-encoded only", is_reencoded=True)
MIRRORED = Variation(
    "mirrored", "renamed, shuffled, re-encoded and mirrored", True, True, True, _LOSS_MIRRORED
)


@frozen
class Bench:
    """What a pass takes beside the images. `checkpoint`: where the zip held none, the trained one;
    `scratch`: an empty folder; `launch`: starts the decoder of masks."""

    layout: CheckedLayout
    checkpoint: Path | None
    backend: Backend
    environment: Mapping[str, str]
    scratch: Path
    launch: Launch


@frozen
class Answers:
    """What a pass gave: how its runs ended, case → staged name → label, and the measurements."""

    statuses: tuple[CaseStatus, ...]
    labels: Mapping[str, Mapping[str, str]]
    measurements: tuple[Measurement, ...]


def probe(
    first: Answers, truth: Truth, assignment: Assignment, bench: Bench
) -> tuple[Probe, tuple[Finding, ...]]:
    """Run every case again, on varied images and as often as it takes to say what that means.

    `first` are the answers of the pass that is marked. One pass on renamed, shuffled and
    re-encoded images, one on mirrored ones; where the answers differ, one on the very same images,
    and where they are lost, one each that is renamed only and re-encoded only. Raises SandboxError
    when the sandbox, not the student's program, fails.
    """
    passes: dict[str, ProbePass] = {}

    def run(variation: Variation) -> ProbePass:
        answers, names = _run_pass(variation, truth, assignment, bench)
        passes[variation.id] = result = _compare(first, answers, names, variation)
        return result

    if _too_few(first, truth):
        conclusion = f"fewer than {_FEWEST_IMAGES} images: nothing could be told from another pass"
        return Probe((), conclusion), ()
    varied = run(VARIED)
    if _is_suspicious(varied) or _differs(varied):
        run(SAME)
    if _is_suspicious(varied):
        run(RENAMED)
        run(REENCODED)
    else:
        run(MIRRORED)
    findings = [*_failures(first, passes), *_conclude(passes), *_unsteady(passes)]
    conclusion = findings[0].message if findings else "the answers hold on varied images"
    return Probe(tuple(passes.values()), conclusion), tuple(findings)


def answers_of(
    runs: Sequence[CaseRun], outputs: Sequence[Collected], measurements: Sequence[Measurement]
) -> Answers:
    """What a pass gave, from its runs, what was collected of them and what was measured."""
    return Answers(
        statuses=tuple(run.status for run in runs),
        labels={output.case: output.labels for output in outputs if output.labels is not None},
        measurements=tuple(measurements),
    )


# --------------------------------------------------------------------------- a pass


def _run_pass(
    variation: Variation, truth: Truth, assignment: Assignment, bench: Bench
) -> tuple[Answers, dict[str, str]]:
    """The answers to the varied images, and first staged name → staged name in this pass."""
    shown = _renamed(truth) if variation.is_renamed else truth
    folder = bench.scratch / variation.id
    folder.mkdir(parents=True)

    def change(data: bytes) -> bytes:
        return vary_image(data, truth.staging_seed, mirror=variation.is_mirrored)

    if variation.is_reencoded:
        stage_images(shown, folder / "images", change)
    else:
        stage_images(shown, folder / "images")
    runs: list[CaseRun] = []
    outputs: list[Collected] = []
    for case in assignment.cases:
        if case.on_request:
            continue
        staged = Staged(images=folder / "images", checkpoint=bench.checkpoint)
        run, _ = run_case(
            bench.layout, case, staged, bench.backend, folder / case.id, bench.environment
        )
        if run is not None:
            runs.append(run)
            output = collect(run, case, shown, assignment, bench.launch)
            outputs.append(_mirrored_back(output) if variation.is_mirrored else output)
    measurements, _ = measure(outputs, shown, assignment)
    shutil.rmtree(folder)
    names = {
        item.staged_name: other.staged_name
        for item, other in zip(truth.items, shown.items, strict=True)
    }
    return answers_of(runs, outputs, measurements), names


def _renamed(truth: Truth) -> Truth:
    """The truth under names, and so in an order, that the first pass did not show."""
    digest = hashlib.sha256(f"probe {truth.staging_seed}".encode()).digest()
    seed = int.from_bytes(digest[:8], "big")
    return replace(truth, items=with_staged_names(truth.items, seed), staging_seed=seed)


def _mirrored_back(output: Collected) -> Collected:
    """The masks of mirrored images as masks of the images themselves."""

    def turned(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            name: replace(entry, mask=np.fliplr(entry.mask))
            if isinstance(entry, ReadMask)
            else entry
            for name, entry in value.items()
        }

    return replace(
        output,
        masks=turned(output.masks),
        outputs={name: turned(value) for name, value in output.outputs.items()},
    )


# --------------------------------------------------------------------------- the comparison


def _compare(
    first: Answers, answers: Answers, names: Mapping[str, str], variation: Variation
) -> ProbePass:
    later = {measurement.id: measurement for measurement in answers.measurements}
    # A pass that a limit stopped may have met a busy machine: its lost answers say nothing.
    is_stopped = answers.statuses != first.statuses and any(
        status.is_limit for status in answers.statuses
    )
    loss = math.inf if is_stopped else variation.loss
    changes = [
        _change(measurement, later[measurement.id], names, loss)
        for measurement in first.measurements
        if measurement.value is not None and measurement.per_item
    ]
    relabelled: int | None = None
    if first.labels:
        relabelled = sum(
            any(
                answers.labels.get(case, {}).get(names[name]) != labels.get(name)
                for case, labels in first.labels.items()
            )
            for name in names
        )
    return ProbePass(
        variation=variation.id,
        title=variation.title,
        statuses=tuple(status.value for status in answers.statuses),
        relabelled=relabelled,
        count=len(names),
        changes=tuple(changes),
    )


def _change(
    first: Measurement, later: Measurement, names: Mapping[str, str], loss: float
) -> ProbeChange:
    """An output that is missing altogether is worth nothing for any image."""
    moves = [later.per_item.get(names[name], 0.0) - value for name, value in first.per_item.items()]
    better, worse = sum(move > _MOVES for move in moves), sum(move < -_MOVES for move in moves)
    chance = sign_test(worse, better)
    mean = sum(first.per_item.values()) / len(moves)
    mean_loss = -sum(moves) / len(moves)
    return ProbeChange(
        id=first.id,
        title=first.title,
        first=mean,
        value=mean - mean_loss,
        better=better,
        worse=worse,
        chance=chance,
        is_suspicious=chance < _CHANCE and mean_loss >= loss,
    )


def sign_test(worse: int, better: int) -> float:
    """The probability of at least `worse` losses among `worse + better` fair coin tosses."""
    count = worse + better
    return sum(math.comb(count, losses) for losses in range(worse, count + 1)) / (1 << count)


def _too_few(first: Answers, truth: Truth) -> bool:
    measured = [len(measurement.per_item) for measurement in first.measurements]
    return max(measured, default=len(truth.items)) < _FEWEST_IMAGES


def _is_suspicious(one: ProbePass) -> bool:
    return any(change.is_suspicious for change in one.changes)


def _differs(one: ProbePass) -> bool:
    return one.relabelled is not None and one.relabelled > _UNSTEADY * one.count


# --------------------------------------------------------------------------- what it means


def _conclude(passes: Mapping[str, ProbePass]) -> list[Finding]:
    for variation, code in (
        (VARIED, "result.probe-disagrees"),
        (MIRRORED, "result.probe-mirrored"),
    ):
        result = passes.get(variation.id)
        if result is None or not _is_suspicious(result):
            continue
        if SAME.id in passes and _is_suspicious(passes[SAME.id]):
            message = (
                f"{_lost(passes[SAME.id])}: the first pass cannot be repeated even on the very "
                "same images"
            )
        else:
            alone = [
                f"{passes[other.id].title}: {_values(passes[other.id])}"
                for other in (SAME, RENAMED, REENCODED)
                if other.id in passes
            ]
            message = f"{_lost(result)}{''.join(f'; {words}' for words in alone)}"
        return [found(code, message, evidence=_evidence(passes))]
    return []


def _lost(result: ProbePass) -> str:
    words = [
        f"{change.title} falls from {change.first:.3f} to {change.value:.3f} "
        f"({change.worse} images worse, {change.better} better)"
        for change in result.changes
        if change.is_suspicious
    ]
    return f"{result.title}: {', '.join(words)}"


def _values(result: ProbePass) -> str:
    return ", ".join(f"{change.title} {change.value:.3f}" for change in result.changes)


def _evidence(passes: Mapping[str, ProbePass]) -> dict[str, Any]:
    return {
        result.variation: {
            change.id: {
                "first": change.first,
                "value": change.value,
                "better": change.better,
                "worse": change.worse,
                "chance": change.chance,
            }
            for change in result.changes
        }
        for result in passes.values()
    }


def _failures(first: Answers, passes: Mapping[str, ProbePass]) -> list[Finding]:
    wanted = tuple(status.value for status in first.statuses)
    others = [
        f"{result.title}: {listed(result.statuses)}"
        for result in passes.values()
        if result.statuses != wanted
    ]
    if not others:
        return []
    message = f"the first pass ended as {listed(wanted)}; {'; '.join(others)}"
    return [found("result.probe-failed", message)]


def _unsteady(passes: Mapping[str, ProbePass]) -> list[Finding]:
    same = passes.get(SAME.id)
    if same is None or not same.relabelled or not _differs(same):
        return []
    message = (
        f"a second run on the very same images gives {same.relabelled} of {same.count} images "
        "another label"
    )
    return [found("result.answers-vary", message)]

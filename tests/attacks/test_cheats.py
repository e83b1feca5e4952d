"""Submissions that look their answers up, and honest ones that differ from run to run.

Every cheat is either caught by the probe, by what it loses, or shown to be harmless: it scores no
more than its honest fallback. No honest submission is accused, whatever its randomness. The cheats
are given what they could not know (the staged names, say): see `fixtures.cheating`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from fixtures.cheating import DISHONEST, HONEST, build_cheat, make_cheats_course
from fixtures.course import Course
from grader.assignments.load import load_assignment
from grader.model import Assignment, ProbePass, Report, Severity, Truth
from grader.render.json_report import report_document
from grader.sandbox import choose_backend
from grader.score import score
from grader.stages.load_truth import load_truth

pytestmark = pytest.mark.attack

RENAMED, REENCODED = "renamed", "re-encoded"
# cheat → the changes to the images that alone take its answers away
CAUGHT = {
    "answers-in-the-checkpoint": {REENCODED},
    "by-file-hash": {REENCODED},
    "by-file-name": {RENAMED},
    "by-file-size": {REENCODED},
    "by-listing-order": {RENAMED},
    "by-pixel-hash": {REENCODED},
    "honest-when-run-again": {REENCODED},  # nothing that it leaves survives a run
    "lost-without-its-table": {REENCODED},
    "masks-by-hash": {REENCODED},
}
CAUGHT_MIRRORED = {"by-look"}
# What the neutral copies, the sandbox and the scoring take away before anything is probed.
# cheat → what it prints, having tried
HARMLESS = {
    "by-comment": "",
    "by-folder": "",
    "by-time-stamp": "",
    "claims-its-own-score": "accuracy: 100%",
    "honest-in-a-sandbox": "a filter",
    "reads-the-truth": "found: []",
}
# honest submission → (its labels differ on varied images, on the very same images)
RANDOM = {
    "batch-statistics": (True, False),
    "dropout-left-on": (True, True),
    "fitted-to-the-test-images": (True, False),
    "no-seed": (True, True),
    "noisy-masks": (True, False),
    "plain": (False, False),
    "random-crops": (True, True),
    "rows-as-they-complete": (False, False),
    "running-normalisation": (True, False),
    "seeded-by-the-image": (True, False),
}
WITH_MASKS = {"masks-by-hash", "noisy-masks", "claims-its-own-score"}
PROBED = {"result.probe-disagrees", "result.probe-mirrored", "result.probe-failed"}


@cache
def _labels_only() -> Assignment:
    """The definition without masks, whose decoding would take most of the time."""
    assignment = load_assignment("ail721-a2")
    cases = tuple(
        replace(
            case,
            outputs=tuple(output for output in case.outputs if output.id != "masks"),
            outputs_schema=None,
        )
        for case in assignment.cases
    )
    measured = tuple(spec for spec in assignment.measurements if spec.output == "labels")
    kept = {spec.id for spec in measured}
    criteria = tuple(c for c in assignment.criteria if c.measurement in kept)
    return replace(assignment, cases=cases, measurements=measured, criteria=criteria)


class Grading:
    """The course, and each submission's report, scored and probed once."""

    def __init__(self, course: Course, root: Path) -> None:
        self.course = course
        self.truth: Truth = load_truth(
            self.course.masks, None, None, self.course.classes, load_assignment("ail721-a2")
        )
        self.root = root
        self._reports: dict[str, Report] = {}

    def report(self, kind: str, name: str) -> Report:
        if name not in self._reports:
            folder = self.root / name
            folder.mkdir()
            self._reports[name] = score(
                build_cheat(kind, name, self.course, self.truth, folder),
                self.truth,
                load_assignment("ail721-a2") if name in WITH_MASKS else _labels_only(),
                choose_backend(),
                independent=False,
                probed=True,
                environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        return self._reports[name]


@pytest.fixture(scope="module")
def grading(tmp_path_factory: pytest.TempPathFactory) -> Grading:
    shared = tmp_path_factory.getbasetemp().parent / "cheats-course"
    with FileLock(shared.with_suffix(".lock")):
        course = make_cheats_course(shared)
    return Grading(course, tmp_path_factory.mktemp("cheats"))


def _accuracy(report: Report) -> float:
    value = next(m.value for m in report.measurements if m.id == "accuracy")
    assert value is not None
    return value


def _codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def _passes(report: Report) -> dict[str, ProbePass]:
    assert report.probe is not None
    return {result.variation: result for result in report.probe.passes}


def _losing(report: Report) -> set[str]:
    """The passes in which a measurement was lost."""
    return {
        variation
        for variation, result in _passes(report).items()
        if any(change.is_suspicious for change in result.changes)
    }


def test_every_cheat_is_expected_to_end_somehow() -> None:
    assert {*CAUGHT, *CAUGHT_MIRRORED, *HARMLESS} == set(DISHONEST)
    assert set(RANDOM) == set(HONEST)
    assert len(HONEST) >= 8


@pytest.mark.parametrize("name", CAUGHT)
def test_a_cheat_is_caught_by_what_it_loses(grading: Grading, name: str) -> None:
    report = grading.report("dishonest", name)
    told = next(f for f in report.findings if f.code == "result.probe-disagrees")
    assert told.severity is Severity.WARNING
    assert _losing(report) == {"varied", *CAUGHT[name]}
    assert _passes(report)["same"].relabelled == 0, "something of the first run was left"
    # evidence changes no mark, and reaches no student
    lost = {c.id: c.first for c in _passes(report)["varied"].changes if c.is_suspicious}
    assert set(lost.values()) <= {1.0}
    for_student = report_document(report, audience="student")
    assert for_student["probe"] is None
    assert "re-encoded" not in str(for_student)
    assert "re-encoded" in str(report_document(report))


@pytest.mark.parametrize("name", CAUGHT_MIRRORED)
def test_a_table_of_looks_is_lost_in_the_mirror(grading: Grading, name: str) -> None:
    report = grading.report("dishonest", name)
    assert _codes(report) & PROBED == {"result.probe-mirrored"}
    assert _losing(report) == {"mirrored"}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_cheat_gains_nothing(grading: Grading, name: str) -> None:
    report = grading.report("dishonest", name)
    assert _accuracy(report) <= _accuracy(grading.report("honest", "plain"))
    assert not _codes(report) & PROBED
    assert HARMLESS[name] in report.runs[0].stdout
    if name == "claims-its-own-score":
        assert "result.printed-accuracy" in _codes(report)
        assert report.marks < report.max_marks / 2


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_submission_is_never_accused(grading: Grading, name: str) -> None:
    report = grading.report("honest", name)
    assert not _codes(report) & PROBED, _passes(report)
    assert not _losing(report)
    assert list(_passes(report))[-1] == "mirrored"
    # and its randomness is what it is said to be: the corpus would prove nothing without
    differs, differs_on_the_same = RANDOM[name]
    assert bool(_passes(report)["varied"].relabelled) == differs or name in WITH_MASKS
    assert ("result.answers-vary" in _codes(report)) == differs_on_the_same


def test_every_case_of_a_definition_is_probed(grading: Grading, tmp_path: Path) -> None:
    one = _labels_only()
    (case,) = (case for case in one.cases if not case.on_request)
    accuracy = next(spec for spec in one.measurements if spec.id == "accuracy")
    two = replace(
        one,
        cases=(*one.cases, replace(case, id="evaluate-again")),
        measurements=(*one.measurements, replace(accuracy, id="again", case="evaluate-again")),
    )
    name = next(iter(CAUGHT))
    report = score(
        build_cheat("dishonest", name, grading.course, grading.truth, tmp_path),
        grading.truth,
        two,
        choose_backend(),
        independent=False,
        probed=True,
    )
    varied = _passes(report)["varied"]
    assert varied.statuses == ("finished", "finished")
    lost = {change.id for change in varied.changes if change.is_suspicious}
    assert lost >= {"accuracy", "again"}
    assert "result.probe-disagrees" in _codes(report)

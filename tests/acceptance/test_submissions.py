"""Every fixture submission gets the verdict of its folder, and the findings that it names.

What `expect.toml` says beside how to build it (see `fixtures.build_submissions`):

    findings     the codes that `grader score` gives, each as often as it is given; no others
    may          codes that chance gives or does not: the hidden names are in any order
    check_also   what `grader check` says beyond the static ones of `findings`
    says         code = a phrase that its message holds
    place        code = "path" or "path:line" that it points at
    measured     measurement = its value, to three digits
    independent  whether the checkpoint is evaluated by the grader as well (torch: seconds)
    train        whether the course retrains a zip without a checkpoint
    limits       other limits of the evaluation, e.g. wall_seconds = 3
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fixtures.build_submissions import (
    SUBMISSIONS,
    Fixture,
    NotASubmissionError,
    build,
    list_fixtures,
)
from fixtures.course import NETWORK_INPUT_PX, Course, make_course
from grader.assignments.load import load_assignment
from grader.check import check
from grader.findings import CATALOGUE
from grader.model import (
    Assignment,
    CaseSpec,
    CheckResult,
    Finding,
    Report,
    RunLimits,
    Severity,
    Truth,
    Verdict,
)
from grader.sandbox import Backend, choose_backend
from grader.score import score
from grader.stages.load_truth import load_truth

FIXTURES = list_fixtures()
VERDICTS = {
    "accepted": Verdict.GRADED,
    "flawed": Verdict.GRADED,
    "partly-graded": Verdict.PARTLY_GRADED,
    "rejected": Verdict.REJECTED,
}
# What `grader check` can see without running anything.
STATIC_AREAS = {"zip", "layout", "source"}
# The keys of expect.toml, by who reads them.
BUILT_BY = {
    *("about", "base", "edits", "add", "links", "remove", "images", "checkpoint"),
    *("checkpoint_path", "zip_name", "wrap", "raw"),
}
HELD_AGAINST = {
    *(
        "findings",
        "may",
        "check_also",
        "says",
        "place",
        "measured",
        "independent",
        "train",
        "limits",
    ),
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Grading:
    """The small course with all that grading its submissions takes."""

    course: Course
    assignment: Assignment
    truth: Truth
    backend: Backend

    def score(self, fixture: Fixture, zip_path: Path) -> Report:
        expect = fixture.expect
        return score(
            zip_path,
            self.truth,
            _limited(self.assignment, expect.get("limits", {})),
            self.backend,
            train_images=self.course.train_images if expect.get("train") else None,
            independent=expect.get("independent", False),
            environment=ONE_THREAD,
        )


@pytest.fixture(scope="session")
def grading(tmp_path_factory: pytest.TempPathFactory) -> Grading:
    course = make_course(tmp_path_factory.mktemp("submissions") / "course")
    assignment = _small(load_assignment("ail721-a2"))
    truth = load_truth(course.masks, None, None, course.classes, assignment)
    return Grading(course, assignment, truth, choose_backend())


def _small(assignment: Assignment) -> Assignment:
    """The real definition, but for the size at which networks see the images."""
    assert assignment.checkpoint is not None
    ways = tuple(
        replace(way, size_px=NETWORK_INPUT_PX, resize_px=round(NETWORK_INPUT_PX * 8 / 7))
        for way in assignment.checkpoint.preprocessing
    )
    return replace(assignment, checkpoint=replace(assignment.checkpoint, preprocessing=ways))


def _limited(assignment: Assignment, limits: Mapping[str, Any]) -> Assignment:
    def changed(case: CaseSpec) -> CaseSpec:
        known: RunLimits = replace(case.limits, **limits)
        return replace(case, limits=known) if case.id == "evaluate" else case

    return replace(assignment, cases=tuple(changed(case) for case in assignment.cases))


@pytest.fixture(scope="session")
def unharmed_marks(grading: Grading, tmp_path_factory: pytest.TempPathFactory) -> Decimal:
    """What the base submission gets when nothing is wrong with it."""
    plain = next(fixture for fixture in FIXTURES if fixture.id == "accepted/as-asked")
    report = grading.score(plain, build(plain, grading.course, tmp_path_factory.mktemp("plain")))
    return report.marks


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.id)
def test_a_submission_gets_its_verdict_and_its_findings_and_no_others(
    fixture: Fixture, grading: Grading, unharmed_marks: Decimal, tmp_path: Path
) -> None:
    expect = fixture.expect
    zip_path = build(fixture, grading.course, tmp_path)

    report = grading.score(fixture, zip_path)

    by_chance = Counter(expect.get("may", []))
    assert _codes(report) - by_chance == Counter(expect["findings"]), _told(report.findings)
    assert report.verdict is VERDICTS[fixture.verdict]
    for code, phrase in expect.get("says", {}).items():
        messages = [finding.message for finding in report.findings if finding.code == code]
        assert any(phrase in message for message in messages), _told(report.findings)
    for code, place in expect.get("place", {}).items():
        places = [str(finding.place) for finding in report.findings if finding.code == code]
        assert place in places, _told(report.findings)
    measured = {measurement.id: measurement.value for measurement in report.measurements}
    for name, value in expect.get("measured", {}).items():
        assert measured[name] == pytest.approx(value, abs=5e-4), measured
    if fixture.verdict == "accepted":
        assert {finding.severity for finding in report.findings} <= {Severity.NOTE}
        assert report.marks >= unharmed_marks * Decimal("0.97"), report.marks
    if fixture.verdict == "flawed":
        assert {finding.severity for finding in report.findings} - {Severity.NOTE}
    if fixture.verdict == "rejected":
        assert not report.runs


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.id)
def test_the_check_says_before_the_deadline_what_can_be_seen_without_running(
    fixture: Fixture, grading: Grading, tmp_path: Path
) -> None:
    expect = fixture.expect

    result = check(build(fixture, grading.course, tmp_path), grading.assignment)

    static = [code for code in expect["findings"] if code.partition(".")[0] in STATIC_AREAS]
    wanted = Counter([*static, *expect.get("check_also", [])])
    assert _codes(result) == wanted, _told(result.findings)


def _codes(result: Report | CheckResult) -> Counter[str]:
    return Counter(finding.code for finding in result.findings)


def _told(findings: tuple[Finding, ...]) -> str:
    return "\n".join(f"{finding.code} {finding.place}: {finding.message}" for finding in findings)


# --------------------------------------------------------------------------- the fixtures themselves

# Codes of these areas that no fixture gives, each with the reason.
GIVEN_ELSEWHERE = {
    "layout.violates-schema": "for schemas that give no code; ail721-a2 gives one everywhere",
    "layout.missing-optional": "ail721-a2 has no optional file but the checkpoint",
    "layout.huge-source": "a megabyte of Python: tests/unit/assignments",
    "source.not-read": "a source file of megabytes: tests/unit/source",
    "run.cpu-time": "burns processor time: tests/attacks",
    "run.disk": "fills a disk: tests/attacks",
    "run.processes": "a bomb of forks: tests/attacks",
    "run.not-run": "layout.missing-file says it: tests/unit/stages/test_merge_findings.py",
    "run.expects-class-folders": "torchvision's ImageFolder: tests/unit/source/test_diagnosis.py",
    "run.needs-display": "needs a window system: tests/unit/source/test_diagnosis.py",
    "run.unreadable-json": "no output of ail721-a2 is JSON",
}


def test_there_are_enough_of_both_kinds() -> None:
    accepted = [fixture for fixture in FIXTURES if fixture.verdict == "accepted"]

    assert len(accepted) >= 10
    assert len(FIXTURES) - len(accepted) >= 40


def test_every_folder_is_a_fixture() -> None:
    """`list_fixtures` raises for a folder without expect.toml; here for one that it never sees."""
    folders = {path.name for path in SUBMISSIONS.iterdir() if path.is_dir()}

    assert folders == {*VERDICTS, "_bases"}


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.id)
def test_a_fixture_says_only_what_is_understood(fixture: Fixture) -> None:
    expect = fixture.expect
    assert set(expect) <= BUILT_BY | HELD_AGAINST, fixture.id
    assert {"about", "base", "findings"} <= set(expect)
    named = {*expect["findings"], *expect.get("may", []), *expect.get("check_also", [])}
    assert named <= set(CATALOGUE)
    assert {*expect.get("says", {}), *expect.get("place", {})} <= set(expect["findings"])


def test_every_finding_of_layout_source_and_run_is_given_by_a_fixture() -> None:
    areas = {"layout", "source", "run"}
    codes = {code for code in CATALOGUE if code.partition(".")[0] in areas}
    given = {
        code
        for fixture in FIXTURES
        for code in (*fixture.expect["findings"], *fixture.expect.get("check_also", []))
    }

    assert codes - given == set(GIVEN_ELSEWHERE)


def test_the_same_folder_gives_the_same_bytes(grading: Grading, tmp_path: Path) -> None:
    fixture = next(fixture for fixture in FIXTURES if fixture.id == "accepted/as-asked")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    one, two = (build(fixture, grading.course, tmp_path / name) for name in ("one", "two"))

    assert one.read_bytes() == two.read_bytes()


def test_an_edit_that_fits_nowhere_is_refused(grading: Grading, tmp_path: Path) -> None:
    edit = {"file": "evaluate.py", "old": "import nothing", "new": ""}
    wrong = Fixture("flawed", "x", tmp_path, {"base": "stub", "edits": [edit]})

    with pytest.raises(NotASubmissionError, match=r"0 times in evaluate\.py"):
        build(wrong, grading.course, tmp_path)

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
from fixtures.course import NETWORK_INPUT_PX, make_course
from grader.assignments.load import load_assignment
from grader.check import check
from grader.findings import CATALOGUE
from grader.model import (
    Assignment,
    CaseSpec,
    Report,
    RunLimits,
)
from grader.sandbox import choose_backend
from grader.score import score
from grader.stages.load_truth import load_truth
from tests.acceptance.expectations import (
    ONE_THREAD,
    VERDICTS,
    Grading,
    codes_of,
    require_expected,
    told,
)

FIXTURES = list_fixtures()
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


@dataclass(frozen=True)
class SmallGrading(Grading):
    """Grading as an expect.toml says."""

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
def grading(tmp_path_factory: pytest.TempPathFactory) -> SmallGrading:
    course = make_course(tmp_path_factory.mktemp("submissions") / "course")
    assignment = _small(load_assignment("ail721-a2"))
    truth = load_truth(course.masks, None, None, course.classes, assignment)
    return SmallGrading(course, assignment, truth, choose_backend())


def _small(assignment: Assignment) -> Assignment:
    """The real definition, but for the size at which networks see the images."""
    assert assignment.checkpoint is not None
    ways = tuple(
        replace(way, size_px=NETWORK_INPUT_PX, resize_px=round(NETWORK_INPUT_PX * 8 / 7))
        for way in assignment.checkpoint.preprocessing
    )
    sides = (NETWORK_INPUT_PX // 2, NETWORK_INPUT_PX * 3 // 2)
    checkpoint = replace(assignment.checkpoint, preprocessing=ways, other_sides_px=sides)
    return replace(assignment, checkpoint=checkpoint)


def _limited(assignment: Assignment, limits: Mapping[str, Any]) -> Assignment:
    def changed(case: CaseSpec) -> CaseSpec:
        known: RunLimits = replace(case.limits, **limits)
        return replace(case, limits=known) if case.id == "evaluate" else case

    return replace(assignment, cases=tuple(changed(case) for case in assignment.cases))


@pytest.fixture(scope="session")
def unharmed_marks(grading: SmallGrading, tmp_path_factory: pytest.TempPathFactory) -> Decimal:
    """What the base submission gets when nothing is wrong with it."""
    plain = next(fixture for fixture in FIXTURES if fixture.id == "accepted/as-asked")
    report = grading.score(plain, build(plain, grading.course, tmp_path_factory.mktemp("plain")))
    return report.marks


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.id)
def test_a_submission_gets_its_verdict_and_its_findings_and_no_others(
    fixture: Fixture, grading: SmallGrading, unharmed_marks: Decimal, tmp_path: Path
) -> None:
    zip_path = build(fixture, grading.course, tmp_path)

    report = grading.score(fixture, zip_path)

    require_expected(fixture, report)
    if fixture.verdict == "accepted":
        assert report.marks >= unharmed_marks * Decimal("0.97"), report.marks
    if fixture.verdict == "rejected":
        assert not report.runs


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.id)
def test_the_check_says_before_the_deadline_what_can_be_seen_without_running(
    fixture: Fixture, grading: SmallGrading, tmp_path: Path
) -> None:
    expect = fixture.expect

    result = check(build(fixture, grading.course, tmp_path), grading.assignment)

    static = [code for code in expect["findings"] if code.partition(".")[0] in STATIC_AREAS]
    wanted = Counter([*static, *expect.get("check_also", [])])
    assert codes_of(result) == wanted, told(result.findings)


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


def test_the_same_folder_gives_the_same_bytes(grading: SmallGrading, tmp_path: Path) -> None:
    fixture = next(fixture for fixture in FIXTURES if fixture.id == "accepted/as-asked")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    one, two = (build(fixture, grading.course, tmp_path / name) for name in ("one", "two"))

    assert one.read_bytes() == two.read_bytes()


def test_an_edit_that_fits_nowhere_is_refused(grading: SmallGrading, tmp_path: Path) -> None:
    edit = {"file": "evaluate.py", "old": "import nothing", "new": ""}
    wrong = Fixture("flawed", "x", tmp_path, {"base": "stub", "edits": [edit]})

    with pytest.raises(NotASubmissionError, match=r"0 times in evaluate\.py"):
        build(wrong, grading.course, tmp_path)

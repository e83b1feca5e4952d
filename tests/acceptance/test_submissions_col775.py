"""Every fixture of the second assignment gets its verdict, and the findings that it names.

As `test_submissions`, for `fixtures/submissions-col775/`. Its expect.toml says besides:

    experiments  which of the six experiments are graded (each costs seconds)
    layers       which layers are run by themselves
    traced       whether ready-made layers are looked for by running the program again
    heatmaps     whether heatmaps are measured
    marks        the marks that are given in all
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from fixtures.build_submissions import SUBMISSIONS_COL775, Fixture, build, list_fixtures
from fixtures.course import make_course
from grader.assignments.load import load_assignment
from grader.findings import CATALOGUE
from grader.model import Assignment, CheckpointSpec
from grader.sandbox import choose_backend
from grader.score import score
from grader.stages.load_truth import load_truth
from tests.acceptance.expectations import ONE_THREAD, Grading, require_expected

FIXTURES = list_fixtures(SUBMISSIONS_COL775)
INPUT_PX = 32
KEYS = {
    *("about", "base", "wrap", "edits", "remove", "generated", "findings", "may", "says", "place"),
    *("measured", "independent", "experiments", "layers", "traced", "heatmaps"),
    "marks",
}


@pytest.fixture(scope="session")
def grading(tmp_path_factory: pytest.TempPathFactory) -> Grading:
    course = make_course(tmp_path_factory.mktemp("col775") / "course")
    assignment = load_assignment("col775-a1")
    truth = load_truth(None, course.images, None, course.classes, assignment)
    return Grading(course, assignment, truth, choose_backend())


def small(assignment: Assignment, fixture: Fixture) -> Assignment:
    """The real definition for small networks and images, and only what the fixture is about."""
    expect = fixture.expect
    experiments = tuple(
        replace(_small_network(spec), builtin_allowed=not expect.get("traced", False))
        for spec in assignment.experiments
        if spec.id in expect.get("experiments", [])
    )
    probes = tuple(
        spec
        for spec in assignment.probes
        if spec.id in {f"layer-{layer}" for layer in expect.get("layers", [])}
    )
    cases = {spec.case for spec in experiments}
    measurements = tuple(
        spec
        for spec in assignment.measurements
        if spec.case in cases
        or spec.probe in {probe.id for probe in probes}
        or (spec.of_best and expect.get("heatmaps", False))
    )
    measured = {spec.id for spec in measurements}
    files = {"evaluate", "train", "normalization"}
    roles = {spec.role for spec in experiments} | {spec.history for spec in experiments}
    return replace(
        assignment,
        roles=tuple(role for role in assignment.roles if role.id in files | roles),
        cases=tuple(case for case in assignment.cases if case.id in cases),
        experiments=experiments,
        probes=probes,
        measurements=measurements,
        criteria=tuple(
            criterion
            for criterion in assignment.criteria
            if criterion.is_manual or criterion.measurement in measured
        ),
    )


def _small_network(spec: CheckpointSpec) -> CheckpointSpec:
    ways = tuple(replace(way, size_px=INPUT_PX, resize_px=INPUT_PX) for way in spec.preprocessing)
    constraints = {**spec.constraints, "n": 1, "num_classes": 5}
    sides = (INPUT_PX // 2, INPUT_PX * 3 // 2)
    return replace(spec, constraints=constraints, preprocessing=ways, other_sides_px=sides)


@pytest.mark.timeout(900)  # six experiments are twenty starts of torch, each on a busy machine
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.id)
def test_a_submission_gets_its_verdict_and_its_findings_and_no_others(
    fixture: Fixture, grading: Grading, tmp_path: Path
) -> None:
    expect = fixture.expect
    zip_path = build(fixture, grading.course, tmp_path)

    report = score(
        zip_path,
        grading.truth,
        small(grading.assignment, fixture),
        grading.backend,
        independent=expect.get("independent", False),
        environment=ONE_THREAD,
    )

    require_expected(fixture, report)
    if "marks" in expect:
        assert report.marks == Decimal(expect["marks"]), report.awards
    if fixture.verdict == "accepted":
        assert report.marks + report.manual_marks >= report.max_marks * Decimal("0.97")


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.id)
def test_a_fixture_says_only_what_is_understood(fixture: Fixture) -> None:
    expect = fixture.expect
    assert set(expect) <= KEYS, fixture.id
    assert {"about", "base", "findings"} <= set(expect)
    assert {*expect["findings"], *expect.get("may", [])} <= set(CATALOGUE)
    assert {*expect.get("says", {}), *expect.get("place", {})} <= set(expect["findings"])


def test_every_finding_of_experiments_and_layers_is_given_by_a_fixture() -> None:
    wanted = {code for code in CATALOGUE if code.startswith(("result.layer-", "result.log-"))}
    wanted |= {"result.ready-made-layer", "checkpoint.ready-made-norm", "checkpoint.shared"}
    wanted |= {"result.heatmaps-malformed", "result.heatmaps-insensitive"}
    given = {code for fixture in FIXTURES for code in fixture.expect["findings"]}

    assert wanted - given == set()

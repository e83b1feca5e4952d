"""`grader class` on real checkpoints: with the independent evaluation, and where no masks exist."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from fixtures.build_submissions import SUBMISSIONS, SUBMISSIONS_COL775, build, list_fixtures
from fixtures.course import Course
from grader import assignments
from tests.acceptance.conftest import Run


def _handed_in(folder: Path, fixtures: Path, chosen: dict[str, str], course: Course) -> Path:
    """Zips of the fixtures (entry number → id) in one folder."""
    by_id = {fixture.id: fixture for fixture in list_fixtures(fixtures)}
    (folder / "built").mkdir()
    (folder / "zips").mkdir()
    for key, fixture in chosen.items():
        shutil.move(build(by_id[fixture], course, folder / "built"), folder / "zips" / f"{key}.zip")
    return folder / "zips"


def _reports(results: Path) -> dict[str, dict[str, Any]]:
    return {
        path.parent.name: json.loads(path.read_text("utf-8"))
        for path in (results / "reports").glob("*/report.json")
    }


@pytest.mark.timeout(900)  # torch starts several times, on a machine that may be busy
def test_every_checkpoint_is_evaluated_independently(
    grader: Run, course: Course, small_definition: Path, tmp_path: Path
) -> None:
    chosen = {
        "2023AIB2001": "accepted/torch-as-asked",
        "2023AIB2002": "flawed/half-the-filters",
    }
    zips = _handed_in(tmp_path, SUBMISSIONS, chosen, course)
    words = ["class", zips, "--gt", course.masks, "-a", small_definition, "--workers", "2"]
    done = grader(*words, "--out", tmp_path / "results", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    reports = _reports(tmp_path / "results")
    assert set(reports) == set(chosen)
    for key, report in reports.items():
        evaluated = report["independent"]
        assert len(evaluated["labels"]) == len(course.samples), key
        assert 0 <= evaluated["agreement"] <= 1
    assert reports["2023AIB2001"]["independent"]["agreement"] == 1
    codes = {one["code"] for one in reports["2023AIB2002"]["findings"]}
    assert any(code.startswith("checkpoint.") for code in codes), codes


@pytest.fixture
def small_col775(tmp_path: Path) -> Path:
    """The second assignment with one of its six experiments and layers, and small images."""
    folder = tmp_path / "col775-a1"
    shutil.copytree(Path(assignments.__file__).parent / "col775-a1", folder)
    path = folder / "assignment.toml"
    text, count = re.subn(
        r'^(bn|in|bin|ln|nn) = "[a-z-]+"\n', "", path.read_text("utf-8"), flags=re.MULTILINE
    )
    assert count == 9  # five variants and the layers of four
    text = text.replace("\nn = 2\n", "\nn = 1\n")
    text = text.replace("num_classes = 25", "num_classes = 5").replace(
        "size_px = 256", "size_px = 32"
    )
    path.write_text(text, "utf-8")
    return folder


@pytest.mark.timeout(900)
def test_a_class_whose_assignment_measures_no_masks(
    grader: Run, course: Course, small_col775: Path, tmp_path: Path
) -> None:
    chosen = {
        "2023AIB2001": "accepted/as-asked",
        "2023AIB2002": "partly-graded/no-group-checkpoint",
    }
    zips = _handed_in(tmp_path, SUBMISSIONS_COL775, chosen, course)
    results = tmp_path / "results"
    words = ["class", zips, "-a", small_col775, "--out", results, "--workers", "2"]
    refused = grader(*words)
    assert refused.returncode == 2
    assert "--images" in refused.stderr

    words += ["--images", course.images]
    done = grader(*words, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    reports = _reports(results)
    assert {key: report["verdict"] for key, report in reports.items()} == {
        "2023AIB2001": "graded",
        "2023AIB2002": "partly-graded",
    }
    given = {award["criterion"]: award["marks"] for award in reports["2023AIB2002"]["awards"]}
    assert float(given["variant-gn"]) == 0
    assert float(given["layer-gn"]) == 1
    again = grader(*words)
    assert "nothing to do" in again.stdout, again.stdout + again.stderr

    exported = grader("export", results, "--format", "csv")
    assert exported.returncode == 0, exported.stderr
    site = grader("report", results, "--html", tmp_path / "site")
    assert site.returncode == 0, site.stderr
    assert "2023AIB2002" in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_masks_that_an_assignment_measures_have_to_be_given(
    grader: Run, course: Course, tmp_path: Path
) -> None:
    zips = _handed_in(tmp_path, SUBMISSIONS, {"2023AIB2001": "accepted/as-asked"}, course)
    done = grader("class", zips, "--images", course.images, "--out", tmp_path / "results")
    assert done.returncode == 2
    assert "ail721-a2 measures masks" in done.stderr
    assert "--gt" in done.stderr

"""The autograder zip, built and run in a directory tree laid out as Gradescope does."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.course import Course
from tests.acceptance.conftest import GRADER, Run


@pytest.fixture
def autograder(tmp_path: Path) -> Path:
    """Gradescope's /autograder, somewhere else: AUTOGRADER_ROOT says where."""
    root = tmp_path / "autograder"
    for name in ("source", "submission", "results"):
        (root / name).mkdir(parents=True)
    metadata = {
        "created_at": "2025-03-16T20:00:00+05:30",
        "assignment": {"due_date": "2025-03-17T09:00:00+05:30", "late_due_date": None},
        "users": [{"name": "Somebody", "sid": "2023AIB2080", "email": "somebody@example.org"}],
        "previous_submissions": [],
    }
    (root / "submission_metadata.json").write_text(json.dumps(metadata), "utf-8")
    return root


def _run(root: Path) -> dict[str, object]:
    script = root / "source" / "run_autograder"
    subprocess.run(
        ["bash", script],
        env={**os.environ, "AUTOGRADER_ROOT": str(root), "GRADER": str(GRADER)},
        check=True,
        capture_output=True,
    )
    results: dict[str, object] = json.loads((root / "results" / "results.json").read_text("utf-8"))
    return results


def _install(grader: Run, root: Path, *options: object) -> None:
    built = root.parent / "autograder.zip"
    done = grader("integrations", "gradescope", "--out", built, *options)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(built) as archive:
        assert {"setup.sh", "run_autograder"} <= set(archive.namelist())
        archive.extractall(root / "source")


def test_it_checks_the_format(grader: Run, autograder: Path, zip_of: Callable[[str], Path]) -> None:
    _install(grader, autograder)
    with zipfile.ZipFile(zip_of("accepted/as-asked")) as archive:
        archive.extractall(autograder / "submission")
    results = _run(autograder)
    assert "score" in results or results["tests"]
    assert "zip.name" not in json.dumps(results)


def test_it_scores_where_the_truth_goes_along(
    grader: Run, autograder: Path, zip_of: Callable[[str], Path], course: Course
) -> None:
    _install(grader, autograder, "--gt", course.masks, "--images", course.images)
    with zipfile.ZipFile(zip_of("accepted/as-asked")) as archive:
        archive.extractall(autograder / "submission")
    results = _run(autograder)
    tests = results["tests"]
    assert isinstance(tests, list)
    scored = [test for test in tests if test.get("max_score")]
    assert [test["max_score"] for test in scored] == [2.5, 2.5]
    assert all(0 <= test["score"] <= 2.5 for test in scored)


def test_the_same_input_gives_the_same_autograder(grader: Run, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        grader("integrations", "gradescope", "--out", tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_an_assignment_without_masks_takes_its_images_along(
    grader: Run, course: Course, tmp_path: Path
) -> None:
    words = ("integrations", "gradescope", "--out", tmp_path / "a.zip", "--images", course.images)
    assert grader(*words, "--assignment", "col775-a1").returncode == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        run = archive.read("run_autograder").decode()
        assert "requirements.lock" in archive.namelist()  # scoring needs torch
        assert any(name.startswith("truth/images/") for name in archive.namelist())
    assert "--images" in run
    assert "--gt" not in run


def test_what_would_fail_for_every_student_fails_when_it_is_built(
    grader: Run, course: Course, tmp_path: Path
) -> None:
    words = ("integrations", "gradescope", "--out", tmp_path / "a.zip", "--images")
    without_masks = grader(*words, course.images)
    (tmp_path / "empty").mkdir()
    without_images = grader(*words, tmp_path / "empty", "--assignment", "col775-a1")
    assert (without_masks.returncode, without_images.returncode) == (2, 2)
    assert "--gt" in without_masks.stderr
    assert "empty: there are no images" in without_images.stderr
    assert not (tmp_path / "a.zip").exists()

"""`grader score` as a teaching assistant types it, on a good zip and on any other input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fixtures.course import Course
from grader import render
from tests.acceptance.conftest import Run

SCHEMA = Path(render.__file__).with_name("report.schema.json")


def _report(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(report)
    return report


@pytest.fixture
def good(zip_of: Callable[[str], Path]) -> Path:
    return zip_of("accepted/as-asked")


def test_a_good_zip_gets_marks_evidence_and_two_reports(
    grader: Run, good: Path, course: Course, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = grader("score", good, "--gt", course.masks, "--out", out, "--no-independent")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Marks" in done.stdout
    assert str(out / "report.html") in done.stdout
    report = _report(out)
    assert report["verdict"] == "graded"
    assert len(report["images"]) == len(course.samples)
    for award in report["awards"]:
        assert award["curve"]
        assert award["rounding"]
    for measurement in report["measurements"]:
        assert measurement["baselines"]
        low, high = measurement["interval"]["low"], measurement["interval"]["high"]
        assert low <= measurement["value"] <= high
    provenance = report["provenance"]
    assert {"zip_sha256", "truth_sha256", "definition_sha256", "versions"} <= set(provenance)
    page = (out / "report.html").read_text("utf-8")
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page


def test_the_report_defaults_to_a_folder_named_after_the_zip(
    grader: Run, good: Path, course: Course, tmp_path: Path
) -> None:
    grader("score", good, "--gt", course.masks, "--no-independent")
    assert (tmp_path / "cwd" / "reports" / good.stem / "report.json").is_file()


def test_a_report_for_the_student_holds_no_truth_and_no_hidden_image(
    grader: Run, good: Path, course: Course, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    grader(
        "score", good, "--gt", course.masks, "--out", out, "--no-independent", "--for", "student"
    )
    report = _report(out)
    assert report["audience"] == "student"
    assert not report["images"]
    text = (out / "report.json").read_text("utf-8") + (out / "report.html").read_text("utf-8")
    assert "data:image/jpeg" not in text
    for path, _ in course.samples:
        assert f"{path.parent.name}/{path.name}" not in text


def test_the_same_zip_gives_the_same_report_twice(
    grader: Run, good: Path, course: Course, tmp_path: Path
) -> None:
    reports = []
    for name, variables in (
        ("a", {"TZ": "UTC", "LC_ALL": "C"}),
        ("b", {"TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"}),
    ):
        out = tmp_path / name
        grader("score", good, "--gt", course.masks, "--out", out, "--no-independent", **variables)
        report = _report(out)
        del report["volatile"]
        reports.append(json.dumps(report))
    assert reports[0] == reports[1]


def test_training_first_where_the_zip_holds_no_weights(
    grader: Run, zip_of: Callable[[str], Path], course: Course, tmp_path: Path
) -> None:
    zip_path = zip_of("partly-graded/no-checkpoint")
    arguments = ("score", zip_path, "--gt", course.masks, "--no-independent")
    without = grader(*arguments, "--out", tmp_path / "without")
    assert without.returncode == 1
    assert _report(tmp_path / "without")["verdict"] == "partly-graded"
    grader(*arguments, "--train", course.train_images, "--out", tmp_path / "with")
    assert [run["case"] for run in _report(tmp_path / "with")["runs"]] == ["train", "evaluate"]


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + b"\0" * 40, ""),
        (b"\x00" * 4096, ""),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        ("Привет, мир".encode(), "text"),
    ],
)
def test_any_file_named_as_zip_is_rejected_with_its_reason(
    grader: Run, course: Course, tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "2023AIB2080.zip"
    path.write_bytes(content)
    out = tmp_path / "out"
    done = grader("score", path, "--gt", course.masks, "--out", out)
    assert done.returncode == 1
    report = _report(out)
    assert report["verdict"] == "rejected"
    assert report["findings"][0]["code"].startswith("zip.")
    assert says in done.stdout


def _nothing(tmp_path: Path) -> Path:
    return tmp_path / "nothing"


def _empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def _garbage(tmp_path: Path) -> Path:
    (tmp_path / "garbage.csv").write_bytes(b"\xff\x00\x80" * 500)
    return tmp_path / "garbage.csv"


def _folder_of_garbage(tmp_path: Path) -> Path:
    folder = tmp_path / "MASKS" / "test" / "A"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(b"not a picture")
    return tmp_path / "MASKS" / "test"


@pytest.mark.parametrize(
    ("option", "make"),
    [
        ("--gt", _nothing),
        ("--gt", _empty),
        ("--gt", _garbage),
        ("--gt", _folder_of_garbage),
        ("--images", _nothing),
        ("--images", _empty),
        ("--images", _garbage),
        ("--labels", _nothing),
        ("--labels", _empty),
        ("--labels", _garbage),
        ("--classes", _nothing),
        ("--classes", _empty),
        ("--classes", _garbage),
        ("--train", _nothing),
        ("--train", _garbage),
        ("--assignment", _nothing),
        ("--assignment", _empty),
        ("--assignment", _garbage),
        ("--out", _garbage),
    ],
)
def test_wild_input_of_the_course_is_named_and_leaves_nothing_behind(
    grader: Run,
    good: Path,
    course: Course,
    tmp_path: Path,
    option: str,
    make: Callable[[Path], Path],
) -> None:
    wild = make(tmp_path)
    out = tmp_path / "out"
    options = {"--gt": course.masks, "--out": out, option: wild}
    done = grader("score", good, *(word for pair in options.items() for word in pair))
    assert done.returncode == 2, done.stdout + done.stderr
    assert wild.name in done.stderr
    assert "→" in done.stderr or option in done.stderr
    assert not out.exists()


def test_a_missing_zip_is_a_wrong_command_and_not_a_rejection(
    grader: Run, course: Course, tmp_path: Path
) -> None:
    done = grader("score", tmp_path / "2023AIB2080.zip", "--gt", course.masks)
    assert done.returncode == 2
    assert "there is no such file" in done.stderr


def test_the_previous_report_is_kept_when_a_run_fails(
    grader: Run, good: Path, course: Course, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    grader("score", good, "--gt", course.masks, "--out", out, "--no-independent")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shutil.rmtree(tmp_path / "cwd")
    assert grader("score", good, "--gt", tmp_path / "nothing", "--out", out).returncode == 2
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_marks_are_shown_even_where_the_report_cannot_be_written(
    grader: Run, good: Path, course: Course, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "report.json").mkdir(parents=True)  # nobody can write a file of this name
    done = grader("score", good, "--gt", course.masks, "--out", out, "--no-independent")
    assert done.returncode == 2
    assert "Marks" in done.stdout
    assert "report.json" in done.stderr

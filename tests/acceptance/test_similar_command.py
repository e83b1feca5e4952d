"""`grader similar` as a course types it."""

from __future__ import annotations

import csv
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.similarity_classes import obfuscate
from benchmarks.similarity_classes.generate import submission
from fixtures.course import Course
from tests.acceptance.conftest import Run

LINES = 120


@pytest.fixture(scope="module")
def class_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve zips, one of them a renamed and reordered copy; a starter in all of them."""
    folder = tmp_path_factory.mktemp("similar")
    starter = submission("starter", LINES)
    programs = {f"2023AIB20{i:02}": submission(f"acceptance/{i}", LINES) for i in range(11)}
    programs["2023AIB2099"] = obfuscate.chain(obfuscate.renames, obfuscate.function_order)(
        programs["2023AIB2004"], random.Random(1)
    )
    (folder / "class").mkdir()
    for name, files in programs.items():
        with zipfile.ZipFile(folder / "class" / f"{name}.zip", "w") as archive:
            for path, text in {**files, **{f"given/{p}": t for p, t in starter.items()}}.items():
                archive.writestr(path, text)
            archive.writestr("resnet_model.pth", random.Random(name).randbytes(1000))
    for path, text in starter.items():
        (folder / "starter").mkdir(exist_ok=True)
        (folder / "starter" / path).write_text(text, "utf-8")
    return folder


def test_a_copy_is_shown_with_its_lines(grader: Run, class_folder: Path, tmp_path: Path) -> None:
    done = grader(
        "similar", class_folder / "class", "--base", class_folder / "starter",
        "--json", tmp_path / "s.json", "--csv", tmp_path / "s.csv", "--html", tmp_path / "site",
        "--save-archive", tmp_path / "year.index", "--cache", tmp_path / "cache",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "12 submissions" in done.stdout
    assert "a person decides" in done.stdout
    document = json.loads((tmp_path / "s.json").read_text("utf-8"))
    flagged = [pair for pair in document["pairs"] if pair["flagged"]]
    assert [(pair["left"], pair["right"]) for pair in flagged] == [("2023AIB2004", "2023AIB2099")]
    assert flagged[0]["score"] >= 0.95
    regions = flagged[0]["evidence"][0]["regions"]
    assert {region["left"]["path"] for region in regions} >= {"model.py", "train.py"}
    assert not [r for r in regions if r["left"]["path"].startswith("given/")]
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["left"], first["right"]) == ("2023AIB2004", "2023AIB2099")
    assert (tmp_path / "site" / "index.html").exists()
    assert (tmp_path / "site" / flagged[0]["page"]).exists()

    later = tmp_path / "later"
    later.mkdir()
    (later / "late.zip").write_bytes((class_folder / "class" / "2023AIB2001.zip").read_bytes())
    again = grader(
        "similar", later, "--base", class_folder / "starter", "--archive", tmp_path / "year.index"
    )
    assert again.returncode == 0, again.stderr
    assert "2023AIB2001 (archive)" in again.stdout


def test_one_zip_is_scored_and_compared_with_earlier_years(
    grader: Run, zip_of: Callable[[str], Path], course: Course, tmp_path: Path
) -> None:
    zip_path = zip_of("accepted/as-asked")
    (tmp_path / "year").mkdir()
    (tmp_path / "year" / "2022AIB1001.zip").write_bytes(zip_path.read_bytes())
    archive = tmp_path / "2022.index"
    grader("similar", tmp_path / "year", "--source-only", "--save-archive", archive)
    words = ("score", zip_path, "--gt", course.masks, "--no-independent")
    plain = grader(*words, "--out", tmp_path / "plain")
    done = grader(*words, "--out", tmp_path / "out", "--archive", archive)
    assert done.returncode == plain.returncode == 0, done.stderr
    assert "Earlier years: 1 submission compared, 1 worth a look" in done.stdout
    documents = [
        json.loads((tmp_path / out / "report.json").read_text("utf-8")) for out in ("plain", "out")
    ]
    assert documents[0]["marks"] == documents[1]["marks"]
    assert documents[0]["earlier"] is None
    assert documents[1]["earlier"]["matches"][0]["name"] == "2022AIB1001 (archive)"
    student = grader(*words, "--out", tmp_path / "s", "--archive", archive, "--for", "student")
    assert "2022AIB1001" not in student.stdout
    for path in (tmp_path / "s").iterdir():
        assert "2022AIB1001" not in path.read_text("utf-8")
    refused = grader(*words, "--archive", tmp_path / "none")
    assert refused.returncode == 2
    assert not (tmp_path / "cwd" / "reports").exists()


def test_no_words_accuse(grader: Run, class_folder: Path) -> None:
    done = grader("similar", class_folder / "class")
    assert done.returncode == 0
    for word in ("plagiar", "cheat", "copied", "guilty", "stole", "suspect"):
        assert word not in done.stdout.lower()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{empty}"], "no submissions"),
        (["{missing}"], "missing"),
        (["{empty}/../file"], "file"),
        (["{class}", "--base", "{missing}"], "no such file"),
        (["{class}", "--base", "{empty}"], "base code"),
        (["{class}", "--archive", "{missing}"], "missing"),
        (["{class}", "--archive", "{empty}/../file"], "no archive"),
    ],
)
def test_wrong_use_says_what_to_do(
    grader: Run, class_folder: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text", "utf-8")
    places = {
        "empty": tmp_path / "empty",
        "missing": tmp_path / "missing",
        "class": class_folder / "class",
    }
    done = grader("similar", *(argument.format(**places) for argument in arguments))
    assert done.returncode == 2
    assert said in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr


def test_odd_submissions_are_compared_in_bounded_memory(grader: Run, tmp_path: Path) -> None:
    odd = {
        "huge": "values = [1, 2, 3]\n" * 2_700_000,  # 50 MB
        "lines": "x = 1\n" * 1_000_000,
        "deep": "x = " + "(" * 5000 + ")" * 5000,
        "long": "x = " + " + ".join(["y"] * 20_000),
        "empty": "",
    }
    for name, text in odd.items():
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "train.py").write_text(text, "utf-8")
    (tmp_path / "class" / "binary").mkdir()
    (tmp_path / "class" / "binary" / "train.py").write_bytes(bytes(range(256)) * 100)
    done = grader("similar", tmp_path / "class")
    assert done.returncode == 0, done.stderr
    assert "only the first 256 KiB" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--html", "--json", "--csv", "--save-archive"])
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(
    grader: Run, tmp_path: Path, option: str
) -> None:
    # Submissions that would be refused, too: the place is looked at first.
    (tmp_path / "file").write_text("")
    wrong = tmp_path / "file" if option == "--html" else tmp_path
    done = grader("similar", tmp_path / "nothing", option, wrong)
    assert done.returncode == 2
    assert f"{option} {wrong}: is a" in done.stderr


def test_missing_weights_to_fingerprint_are_named_as_such(grader: Run, tmp_path: Path) -> None:
    out = tmp_path / "x.weights.json"
    done = grader("fingerprint", tmp_path / "vgg.pth", "--name", "VGG", "--out", out)
    assert done.returncode == 2
    assert "vgg.pth: there is no such file" in done.stderr
    assert "students" not in done.stderr

"""`grader export` and `grader report` as a user types them, on a class in a real store."""

from __future__ import annotations

import csv
import json
import os
import shutil
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from filelock import FileLock

from grader.classroom.records import Absent
from grader.classroom.store import open_store
from tests.acceptance.conftest import Run
from tests.unit.classroom.synthetic_class import make_class

STUDENTS = 48
GOLDEN = Path(__file__).parents[1] / "unit" / "classroom" / "exports" / "golden"


@pytest.fixture(scope="session")
def graded_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of 48, made once; of them one is parked, one waits and one is superseded."""
    shared = tmp_path_factory.getbasetemp().parent / "synthetic"
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            shared.mkdir()
            make_class(shared / "results", STUDENTS).close()
            (shared / "done").touch()
    return shared / "results"


@pytest.fixture
def results(graded_class: Path, tmp_path: Path) -> Path:
    """The class in a folder that the test may write to."""
    shutil.copytree(graded_class, tmp_path / "results", copy_function=os.link)
    for path in graded_class.glob("class.sqlite*"):
        (tmp_path / "results" / path.name).unlink()
        shutil.copy(path, tmp_path / "results" / path.name)
    return tmp_path / "results"


def _keys(results: Path) -> dict[str, Decimal | None]:
    with open_store(results) as store:
        return {one.submitted.key: one.marks for one in store.entries()}


def _worksheet(results: Path, path: Path, maximum: str = "5.00") -> Path:
    """What Moodle would give for this class, but for its last student."""
    with open_store(results) as store:
        people = [one.submitted for one in store.entries()][:-1]
    head = "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    head += "Last modified (submission),Last modified (grade),Feedback comments\n"
    path.write_text(
        head
        + "".join(
            f'"Participant {one.platform_ids["moodle"]}","{one.name}",{one.email},-,,{maximum},Yes,-,-,\n'
            for one in people
        ),
        "utf-8",
    )
    return path


def test_csv_holds_everybody(grader: Run, results: Path, tmp_path: Path) -> None:
    done = grader("export", results, "--format", "csv", "--out", tmp_path / "m.csv")
    assert (done.returncode, done.stderr) == (0, "")
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["key"]: row["marks"] for row in rows} == {
        key: "" if marks is None else f"{marks:f}" for key, marks in _keys(results).items()
    }
    assert done.stdout == f"{tmp_path / 'm.csv'}: {STUDENTS} submissions\n"


def test_a_csv_on_stdout_is_nothing_but_the_csv(grader: Run, results: Path, tmp_path: Path) -> None:
    grader("export", results, "--format", "csv", "--out", tmp_path / "m.csv")
    done = grader("export", results, "--format", "csv", "--out", "/dev/stdout")
    assert done.returncode == 0
    assert done.stdout == (tmp_path / "m.csv").read_bytes().decode()
    assert done.stderr == f"/dev/stdout: {STUDENTS} submissions\n"


def test_moodle_in_place_says_whom_it_leaves_out(
    grader: Run, results: Path, tmp_path: Path
) -> None:
    sheet = _worksheet(results, tmp_path / "w.csv")
    done = grader("export", results, "--format", "moodle", "--worksheet", sheet)
    assert done.returncode == 1, "somebody is missing"
    assert done.stdout == f"{sheet}: {STUDENTS - 4} rows filled\n"
    told = done.stderr.splitlines()
    assert [line.rsplit(": ", 1)[1] for line in told] == [
        "has no row in the worksheet",
        "run `grader class` again",
        "a later submission counts",
    ]
    with sheet.open(encoding="utf-8", newline="") as file:
        grades = {row["Email address"]: row["Grade"] for row in csv.DictReader(file)}
    marks = {key: marks for key, marks in _keys(results).items() if not key.endswith("-2")}
    assert {mail: Decimal(grade) for mail, grade in grades.items() if grade} == {
        f"{key.lower()}@example.org": marks[key]
        for key in list(marks)[:-1]
        if marks[key] is not None
    }
    again = sheet.read_bytes()
    assert grader("export", results, "--format", "moodle", "--worksheet", sheet).returncode == 1
    assert sheet.read_bytes() == again


def test_what_cannot_be_filled_stays_as_it_was(grader: Run, results: Path, tmp_path: Path) -> None:
    sheet = _worksheet(results, tmp_path / "w.csv", maximum="100.00")
    before = sheet.read_bytes()
    done = grader("export", results, "--format", "moodle", "--worksheet", sheet)
    assert done.returncode == 2
    assert "the maximum grade is 100.00" in done.stderr
    assert "→ set the maximum grade of the assignment in Moodle to 5.0" in done.stderr
    assert sheet.read_bytes() == before


def test_canvas_into_another_file(grader: Run, results: Path, tmp_path: Path) -> None:
    with open_store(results) as store:
        people = [one.submitted for one in store.entries()]
    sheet = tmp_path / "grades.csv"
    sheet.write_text(
        "Student,ID,SIS Login ID,Section,A1 (7),A2 (8)\n    Points Possible,,,,5.0,5.0\n"
        + "".join(f'"{one.name}",{one.platform_ids["canvas"]},x,S,1,\n' for one in people),
        "utf-8",
    )
    before = sheet.read_bytes()
    asked = grader("export", results, "--format", "canvas", "--worksheet", sheet)
    assert asked.returncode == 2
    assert "A1 (7), A2 (8)" in asked.stderr
    done = grader(
        "export", results, "--format", "canvas", "--worksheet", sheet, "--column", "A2",
        "--out", tmp_path / "filled.csv",
    )  # fmt: skip
    assert done.stdout == f"{tmp_path / 'filled.csv'}: {STUDENTS - 3} rows filled\n"
    assert sheet.read_bytes() == before
    with (tmp_path / "filled.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[1:]
    assert [row["A1 (7)"] for row in rows] == ["1"] * STUDENTS
    assert sum(bool(row["A2 (8)"]) for row in rows) == STUDENTS - 3


def test_who_handed_in_nothing_is_named_and_gets_a_zero_only_when_asked(
    grader: Run, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    gita = Absent("2023AIB2999", "2023AIB2999", "Gita Rao", "gita@example.org", {"moodle": "999"})
    with make_class(results, 3, pages=False, absent=(gita,)) as store:
        people = store.submitted()
    status = grader("status", results)
    assert "1 on the roster handed in nothing: Gita Rao (2023AIB2999)" in status.stdout
    assert "3 of 3 done" in status.stdout
    head = "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed\n"
    rows = [(one.platform_ids["moodle"], one.name) for one in people] + [("999", "Gita Rao")]
    sheet = tmp_path / "grades.csv"
    sheet.write_text(
        head + "".join(f"Participant {n},{name},x,-,,5.00,Yes\n" for n, name in rows), "utf-8"
    )
    moodle = ("export", results, "--format", "moodle", "--worksheet", sheet)
    left = grader(*moodle)
    assert left.returncode == 0, "the class is complete without her"
    assert "not exported: 2023AIB2999: handed in nothing" in left.stderr
    assert ",Gita Rao,x,-,,5.00" in sheet.read_text("utf-8")
    zero = grader(*moodle, "--absent-zero")
    assert (zero.returncode, zero.stderr) == (0, "")
    assert ",Gita Rao,x,-,0,5.00" in sheet.read_text("utf-8")

    for form in ("gradescope", "feedback-zip"):
        done = grader("export", results, "--format", form)
        assert "3 submissions" in done.stdout
        refused = grader("export", results, "--format", form, "--absent-zero")
        assert refused.returncode == 2
    assert not (results / "gradescope" / "2023AIB2999").exists()
    assert grader("report", results, "--html", tmp_path / "site").returncode == 0
    assert "No submission" in (tmp_path / "site" / "index.html").read_text("utf-8")
    assert (tmp_path / "site" / "students" / "2023AIB2999.html").exists()


def test_a_zero_is_written_over_nobody_s_marks(grader: Run, tmp_path: Path) -> None:
    """The roster's Gita is a stranger to the run, and Moodle's row is that of a submission."""
    results = tmp_path / "results"
    gita = Absent("2023AIB2999", None, "Gita Rao", "gita@example.org")
    with make_class(results, 3, pages=False, absent=(gita,)) as store:
        first, *_ = store.entries()
    sheet = tmp_path / "grades.csv"
    head = "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed\n"
    number = first.submitted.platform_ids["moodle"]
    row = f"Participant {number},{first.submitted.name},gita@example.org,-,,5.00,Yes\n"
    sheet.write_text(f"{head}{row}Participant 999,Nobody,n@example.org,-,,5.00,Yes\n", "utf-8")
    moodle = ("export", results, "--format", "moodle", "--worksheet", sheet, "--absent-zero")
    done = grader(*moodle)
    assert done.returncode == 1
    assert f"Participant {number} ({first.submitted.name}): is the row of" in done.stderr
    assert "2023AIB2999 (handed in nothing), found there too, has none: say in" in done.stderr
    assert done.stdout == f"{sheet}: 1 rows filled\n"
    assert f"gita@example.org,-,{first.marks:f},5.00" in sheet.read_text("utf-8")


def test_gradescope_and_feedback(grader: Run, results: Path) -> None:
    assert grader("export", results, "--format", "gradescope").returncode == 1
    files = sorted((results / "gradescope").glob("*/results.json"))
    marks = _keys(results)
    exported = {key for key in marks if marks[key] is not None and not key.endswith("-2")}
    assert {path.parent.name for path in files} == exported
    for path in files:
        assert json.loads(path.read_text("utf-8"))["score"] == float(marks[path.parent.name] or 0)
    done = grader("export", results, "--format", "feedback-zip")
    assert f"a page for {len(exported)} submissions" in done.stdout
    with zipfile.ZipFile(results / "feedback.zip") as archive:
        assert set(archive.namelist()) == {f"{key}/feedback.html" for key in exported}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "moodle"), "needs --worksheet FILE"),
        (("--format", "csv", "--worksheet", "x"), "takes no --worksheet"),
        (("--format", "moodle", "--worksheet", "x", "--column", "y"), "--column is for"),
        (("--format", "moodle", "--worksheet", "x"), "x: cannot be read: No such file"),
        (("--format", "canvas", "--worksheet", GOLDEN / "moodle_en.csv"), "is not Canvas's"),
        (("--format", "xlsx"), "is not one of"),
    ],
)
def test_wrong_usage_is_told(
    grader: Run, results: Path, arguments: tuple[object, ...], says: str
) -> None:
    done = grader("export", results, *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_folder_without_a_class_is_told(grader: Run, tmp_path: Path) -> None:
    for arguments in (("export", tmp_path, "--format", "csv"), ("report", tmp_path, "--html", "x")):
        done = grader(*arguments)
        assert done.returncode == 2
        assert "holds no results of a class" in done.stderr


def test_report_writes_a_site_that_can_be_repeated(
    grader: Run, results: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    done = grader("report", results, "--html", site)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"page: {site / 'index.html'}\n"
    assert site.stat().st_mode & 0o077 == 0, "marks are for one's own eyes"
    marks = _keys(results)
    assert {path.stem for path in (site / "students").iterdir()} == set(marks)
    graded = {key for key, number in marks.items() if number is not None}
    assert {path.stem for path in (site / "reports").iterdir()} == graded
    index = (site / "index.html").read_bytes()
    assert index.count(b"data:image/jpeg") == 24, "the hardest images are shown"
    assert b"Similar submissions" not in index
    (results / "similarity.json").write_text(
        json.dumps({"clusters": [{"members": sorted(graded)[:2], "why": "alike"}], "pairs": []})
    )
    assert grader("report", results, "--html", site).returncode == 0
    assert b"Similar submissions" in (site / "index.html").read_bytes()
    assert {path.stem for path in (site / "reports").iterdir()} == graded


def test_a_file_in_the_site_s_place_is_told(grader: Run, results: Path, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    done = grader("report", results, "--html", tmp_path / "site")
    assert done.returncode == 2
    assert f"--html {tmp_path / 'site'}: is a file; a folder is needed" in done.stderr


def test_a_report_that_is_written_anew_leaves_an_earlier_site_alone(
    grader: Run, results: Path, tmp_path: Path
) -> None:
    assert grader("report", results, "--html", tmp_path / "site").returncode == 0
    key = next(key for key, marks in _keys(results).items() if marks is not None)
    page = results / "reports" / key / "report.html"
    before = (tmp_path / "site" / "reports" / f"{key}.html").read_bytes()
    fresh = page.with_name("fresh")
    fresh.write_text("graded again")
    fresh.replace(page)
    assert (tmp_path / "site" / "reports" / f"{key}.html").read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", '{"clusters": [{}]}', '{"clusters": 3}'])
def test_a_broken_file_of_clusters_is_told(
    grader: Run, results: Path, tmp_path: Path, text: str
) -> None:
    (results / "similarity.json").write_text(text)
    done = grader("report", results, "--html", tmp_path / "site")
    assert done.returncode == 2
    assert "similarity.json: cannot be read as clusters" in done.stderr


@pytest.mark.parametrize("form", ["csv", "feedback-zip"])
def test_a_folder_in_a_file_s_place_is_told(
    grader: Run, results: Path, tmp_path: Path, form: str
) -> None:
    (tmp_path / "folder").mkdir()
    done = grader("export", results, "--format", form, "--out", tmp_path / "folder")
    assert done.returncode == 2
    assert "folder: is a folder" in done.stderr

"""Golden files: what each platform gets, byte by byte, and what every other byte stays.

To renew them after a change that is meant: GRADER_RENEW_GOLDEN=1 pytest tests/unit/classroom/exports
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grader.classroom.exports.canvas import fill_canvas
from grader.classroom.exports.comment import comment_lines, html_comment
from grader.classroom.exports.feedback_zip import write_feedback_zip
from grader.classroom.exports.filled import Filled, Zipped
from grader.classroom.exports.gradescope import gradescope_files
from grader.classroom.exports.moodle import fill_moodle
from grader.classroom.exports.plain_csv import class_csv
from grader.classroom.exports.worksheet import Worksheet, read_worksheet
from grader.classroom.final_marks import counting, criterion_marks, zero_for_absent
from grader.classroom.records import State
from grader.errors import UsageError
from grader.render.site.student import student_page
from tests.unit.classroom.exports.example_entries import (
    absent_entry,
    entry,
    example_entries,
    report_of,
)

GOLDEN = Path(__file__).with_name("golden")
CHOSEN = counting(example_entries())


def _same_as_golden(text: str, name: str) -> None:
    path = GOLDEN / name
    if os.environ.get("GRADER_RENEW_GOLDEN"):
        path.write_bytes(text.encode())
    assert text.encode() == path.read_bytes()


def _moodle(name: str) -> Filled:
    return fill_moodle(read_worksheet(GOLDEN / name), CHOSEN.entries)


def _keys(entries: object) -> list[str]:
    return [one.submitted.key for one in entries]  # type: ignore[attr-defined]


# --------------------------------------------------------------------------- who counts


def test_who_is_exported() -> None:
    assert _keys(CHOSEN.entries) == ["2022AIZ8170", "2022AIZ8171", "2022AIZ8172", "2022AIZ8173"]
    assert _keys(CHOSEN.superseded) == ["2022AIZ8170-2"]
    assert _keys(CHOSEN.ungraded) == ["2022AIZ8174"], "a fault of the grader is never a zero"
    assert _keys(CHOSEN.incomplete) == ["2022AIZ8172"], "a person has yet to give marks"


def test_of_two_submissions_that_nobody_decided_on_none_is_exported() -> None:
    both = [
        entry(key, "1", report=report_of("1", "0"), codes=("class.two-submissions",))
        for key in ("2022AIZ8170", "2022AIZ8170-2")
    ]
    chosen = counting(both)
    assert (chosen.entries, _keys(chosen.undecided)) == ((), ["2022AIZ8170", "2022AIZ8170-2"])


def test_marks_of_a_regrading_that_has_not_ended_are_not_handed_out() -> None:
    waiting = entry("2022AIZ8170", "1", report=report_of("1", "0"), state=State.WAITING)
    assert counting([waiting]).entries == ()


def test_an_adjustment_takes_the_place_of_the_award() -> None:
    (one,) = [e for e in CHOSEN.entries if e.submitted.key == "2022AIZ8173"]
    first, second = criterion_marks(one)
    assert (first.marks, first.adjusted) == (Decimal("1.62"), None)
    assert (second.marks, second.adjusted) == (Decimal("2.40"), one.adjustments[0])


# --------------------------------------------------------------------------- no submission


def test_who_handed_in_nothing_gets_no_marks_unless_the_course_says_so() -> None:
    entries = (*example_entries(), absent_entry())
    chosen = counting(entries)
    assert _keys(chosen.absent) == ["2022AIZ8190"]
    assert _keys(chosen.ungraded) == ["2022AIZ8174"]
    assert chosen.entries == CHOSEN.entries
    zeros = counting(zero_for_absent(entries))
    assert zeros.absent == ()
    assert _keys(zeros.ungraded) == ["2022AIZ8174"], "a fault of the grader is never a zero"
    assert _keys(zeros.entries) == [*_keys(CHOSEN.entries), "2022AIZ8190"]
    assert zeros.entries[-1].marks == 0


@pytest.mark.parametrize("zero", [False, True])
def test_the_plain_table_with_somebody_who_handed_in_nothing(zero: bool) -> None:
    entries = (*example_entries(), absent_entry())
    text = class_csv(zero_for_absent(entries) if zero else entries)
    _same_as_golden(text, f"marks_absent{'_zero' if zero else ''}.csv")


@pytest.mark.parametrize("zero", [False, True])
def test_worksheets_with_somebody_who_handed_in_nothing(zero: bool) -> None:
    entries = (*example_entries(), absent_entry())
    chosen = counting(zero_for_absent(entries) if zero else entries)
    moodle = fill_moodle(read_worksheet(GOLDEN / "moodle_en.csv"), chosen.entries)
    canvas = fill_canvas(read_worksheet(GOLDEN / "canvas.csv"), chosen.entries)
    kind = "absent_zero" if zero else "filled"  # unchanged where it is not asked for
    _same_as_golden(moodle.text, f"moodle_en_{kind}.csv")
    _same_as_golden(canvas.text, f"canvas_{kind}.csv")


# --------------------------------------------------------------------------- plain CSV


def test_the_plain_table() -> None:
    _same_as_golden(class_csv(example_entries()), "marks.csv")


def test_a_spreadsheet_runs_nothing_of_it() -> None:
    rows = list(csv.reader(io.StringIO(class_csv(example_entries()))))
    assert all(len(row) == len(rows[0]) for row in rows)
    cells = [cell for row in rows[1:] for cell in row]
    assert "'=HYPERLINK(0)" in cells
    assert "'-2022AIZ8171.zip" in cells
    assert not [c for c in cells if c[:1] in tuple("=+-@\t\r") and not re.fullmatch(r"-?[\d.]+", c)]


# --------------------------------------------------------------------------- Moodle


def test_moodle_s_worksheet_in_english() -> None:
    filled = _moodle("moodle_en.csv")
    _same_as_golden(filled.text, "moodle_en_filled.csv")
    assert filled.filled == 4, "Asha, Ben, Divya, and Emeka by the e-mail address"
    assert filled.kept == ("Participant 103 (2022AIZ8172): the grade is locked in Moodle",)
    assert filled.unplaced == ()


@pytest.mark.parametrize("name", ["moodle_fr.csv", "moodle_blind_tr.csv"])
def test_moodle_s_worksheet_in_another_language(name: str) -> None:
    filled = _moodle(name)
    _same_as_golden(filled.text, name.replace(".csv", "_filled.csv"))
    assert filled.filled == 4
    assert _keys(filled.unplaced) == ["2022AIZ8173"]


@pytest.mark.parametrize("name", ["moodle_en.csv", "moodle_fr.csv", "moodle_blind_tr.csv"])
def test_every_other_byte_of_the_worksheet_stays(name: str) -> None:
    before = Worksheet((GOLDEN / name).read_bytes().decode(), Path(name))
    after = Worksheet(_moodle(name).text, Path(name))
    changed = {
        column
        for row in before.rows
        for column in range(len(before.header))
        if before.get(row, column) != after.get(row, column)
    }
    assert before.header == after.header
    grade = {"moodle_en.csv": 4, "moodle_fr.csv": 5, "moodle_blind_tr.csv": 2}[name]
    assert changed <= {grade, len(before.header) - 1}
    untouched = fill_moodle(read_worksheet(GOLDEN / name), ())
    assert untouched.text.encode() == (GOLDEN / name).read_bytes()


def test_filling_twice_changes_nothing_more_and_a_person_s_comment_stays() -> None:
    once = _moodle("moodle_en.csv").text
    twice = fill_moodle(Worksheet(once, Path("x")), CHOSEN.entries).text
    assert twice == once
    assert "Well <b>argued</b>, see me<div" in once.replace('""', '"')


def test_a_comment_is_escaped_html_without_the_truth() -> None:
    (ben,) = [e for e in CHOSEN.entries if e.submitted.key == "2022AIZ8171"]
    comment = html_comment(ben)
    assert "<script" not in comment
    assert "&lt;script&gt;" in comment
    assert "\u202e" not in comment
    assert "SECRET" not in comment
    assert "1.849 of 5.00 marks" in comment
    assert "1 h 1 min late: 0.50 marks off" in comment


def test_a_group_s_number_is_not_taken_for_a_person_s() -> None:
    """`Team_101` can be group 101, and participant 101 somebody else."""
    team = entry("2022AIZ8199", "2", report=report_of("1", "1"), name="T", ids={"moodle": "101"})
    filled = fill_moodle(read_worksheet(GOLDEN / "moodle_fr.csv"), [team])
    assert [filled.text.count(";2;"), filled.filled] == [2, 2]
    assert '"Participant 101";"Asha Rao";;asha@example.org;"Remis pour évaluation";;' in filled.text


def test_another_maximum_is_refused_before_anything_is_changed() -> None:
    text = (GOLDEN / "moodle_en.csv").read_text("utf-8").replace("5.00", "100.00")
    with pytest.raises(UsageError, match=r"maximum grade is 100\.00, the assignment's is 5\.0"):
        fill_moodle(Worksheet(text, Path("w.csv")), CHOSEN.entries)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "do not stand in the first column"),
        ("Identifiant,Nom\nParticipant 1,Asha\n", "cannot be told"),
        ('Identifier,"Full name\nParticipant 1,Asha\n', "never closed"),
        ("Identifier\n", "no rows below its header"),
        ("", "no rows below its header"),
    ],
)
def test_what_is_no_worksheet_is_told(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fill_moodle(Worksheet(text, Path("w.csv")), CHOSEN.entries)


def test_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes("Identifier,Größe\n".encode("cp1252"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        read_worksheet(path)


# --------------------------------------------------------------------------- Canvas


def test_canvas_s_gradebook() -> None:
    filled = fill_canvas(read_worksheet(GOLDEN / "canvas.csv"), CHOSEN.entries)
    _same_as_golden(filled.text, "canvas_filled.csv")
    assert (filled.filled, filled.unplaced) == (4, ())
    assert filled.kept == ("Nair, Divya (2022AIZ8172): is excused",)


@pytest.mark.parametrize("column", ["Assignment 2", "Assignment 2 (101)", "101"])
def test_canvas_s_column_by_name(column: str) -> None:
    filled = fill_canvas(read_worksheet(GOLDEN / "canvas.csv"), CHOSEN.entries, column)
    _same_as_golden(filled.text, "canvas_filled.csv")


def test_a_column_that_cannot_be_told_is_asked_for() -> None:
    text = (GOLDEN / "canvas.csv").read_text("utf-8").replace(",10,5.0,", ",5,5.0,")
    with pytest.raises(UsageError, match=r"Assignment 1 \(100\), Assignment 2 \(101\)") as caught:
        fill_canvas(Worksheet(text, Path("c.csv")), CHOSEN.entries)
    assert "--column" in caught.value.hint
    with pytest.raises(UsageError, match="which column"):
        fill_canvas(Worksheet(text, Path("c.csv")), CHOSEN.entries, "Assignment 3")


def test_other_points_and_other_tables_are_refused() -> None:
    text = (GOLDEN / "canvas.csv").read_text("utf-8")
    with pytest.raises(UsageError, match=r"is worth 10 points, the assignment 5\.0"):
        fill_canvas(Worksheet(text, Path("c.csv")), CHOSEN.entries, "Assignment 1")
    with pytest.raises(UsageError, match="is not Canvas's gradebook"):
        fill_canvas(read_worksheet(GOLDEN / "moodle_en.csv"), CHOSEN.entries)


# --------------------------------------------------------------------------- Gradescope


def test_gradescope_s_results() -> None:
    files = gradescope_files(CHOSEN.entries)
    assert list(files) == [
        "submission_11/results.json",
        "submission_12/results.json",
        "submission_13/results.json",
        "2022AIZ8173/results.json",
    ]
    _same_as_golden(json.dumps(files, indent=1) + "\n", "gradescope.json")


def test_gradescope_knows_every_field() -> None:
    """The fields of results.json that Gradescope's documentation names."""
    top = {"score", "execution_time", "output", "output_format", "test_output_format"}
    top |= {"test_name_format", "visibility", "stdout_visibility", "extra_data", "tests"}
    test = {"score", "max_score", "status", "name", "name_format", "number", "output"}
    test |= {"output_format", "tags", "visibility", "extra_data"}
    for content in gradescope_files(CHOSEN.entries).values():
        assert set(content) <= top
        assert isinstance(content["tests"], list)
        for one in content["tests"]:
            assert set(one) <= test
            assert isinstance(one["number"], str)


# --------------------------------------------------------------------------- feedback


def test_the_feedback_zip_is_named_as_moodle_s_download(tmp_path: Path) -> None:
    goal = tmp_path / "out" / "feedback.zip"
    left_out = write_feedback_zip(CHOSEN.entries, goal)
    assert _keys(left_out.unplaced) == ["2022AIZ8173"]
    assert (left_out.members, left_out.disputed) == ((), ())
    with zipfile.ZipFile(goal) as archive:
        names = archive.namelist()
        pages = {name: archive.read(name).decode() for name in names}
    assert names == [
        "2022AIZ8173/feedback.html",
        "Asha Rao_101_assignsubmission_file/feedback.html",
        "Ben Ito_102_assignsubmission_file/feedback.html",
        "T-Chen Li_103_assignsubmission_file/feedback.html",
        "T-Divya Nair_104_assignsubmission_file/feedback.html",
    ]
    for name, page in pages.items():
        assert "SECRET" not in page, f"{name} shows the truth"
        assert "<script>alert" not in page
        assert "ta</bdi>" not in page, "who adjusted marks stays with the course"
    assert list(goal.parent.iterdir()) == [goal]
    before = goal.read_bytes()
    write_feedback_zip(CHOSEN.entries, goal)
    assert goal.read_bytes() == before


def test_a_worksheet_gives_the_names_that_a_plain_folder_lacks(tmp_path: Path) -> None:
    emeka = [e for e in CHOSEN.entries if e.submitted.key == "2022AIZ8173"]
    left_out = write_feedback_zip(
        emeka, tmp_path / "f.zip", read_worksheet(GOLDEN / "moodle_en.csv")
    )
    assert left_out == Zipped(submissions=1)
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        assert archive.namelist() == ["Emeka Okafor_106_assignsubmission_file/feedback.html"]


def test_the_flat_download_has_flat_feedback(tmp_path: Path) -> None:
    one = entry(
        "2022AIZ8170",
        "1",
        report=report_of("1", "0"),
        ids={"moodle": "101", "moodle_prefix": "Asha Rao_101_assignsubmission_file_"},
    )
    assert write_feedback_zip([one], tmp_path / "f.zip") == Zipped(submissions=1)
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        (name,) = archive.namelist()
    assert name == "Asha Rao_101_assignsubmission_file_feedback.html"
    # mod/assign/feedback/file: at least four fields between the underscores, the second a number
    fields = name.split("_", 4)
    assert len(fields) == 5
    assert fields[1].isdigit()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_feedback_zip(CHOSEN.entries, tmp_path / "file" / "f.zip")


# --------------------------------------------------------------------------- never rounded up


@given(marks=st.decimals(min_value=0, max_value=5, places=5))
def test_marks_are_never_rounded_up(marks: Decimal) -> None:
    one = entry("2022AIZ8170", str(marks), report=report_of("1", "0"), ids={"moodle": "101"})
    filled = fill_moodle(read_worksheet(GOLDEN / "moodle_blind_tr.csv"), [one])
    cell = Worksheet(filled.text, Path("x")).get(1, 2)
    assert Decimal(cell) == marks
    shown = re.match(r"([\d.]+) of", comment_lines(one)[0])
    assert shown is not None
    assert Decimal(shown[1]) <= marks


_CELLS = st.text(
    st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), max_size=8
)


@given(
    rows=st.lists(st.lists(_CELLS, min_size=3, max_size=3), min_size=2, max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_worksheet_reads_as_the_csv_module_writes(
    rows: list[list[str]], end: str, quoting: int
) -> None:
    # The csv module does not quote a lone carriage return where lines end in a line feed, and
    # cannot read that again itself.
    bare = any("\r" in cell for row in rows for cell in row)
    assume(quoting == csv.QUOTE_ALL or end == "\r\n" or not bare)
    rows = [["id", "b", "c"], *([*row[:2], f"x{row[2]}"] for row in rows)]
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    sheet = Worksheet(stream.getvalue(), Path("x"))
    assert sheet.text() == stream.getvalue()
    assert [[sheet.get(r, c) for c in range(3)] for r in range(len(rows))] == rows
    sheet.put(1, 2, 'a "new", one')
    again = list(csv.reader(io.StringIO(sheet.text(), newline="")))
    rows[1][2] = 'a "new", one'
    assert again == rows


def test_a_student_is_told_the_file_and_the_line() -> None:
    report = report_of("0", None, "stops with KeyError")
    report["findings"][0]["place"] = {"path": "models/net.py", "line": 18, "column": None}
    entry = replace(CHOSEN.entries[0], report=report)
    assert any("models/net.py:18: stops with KeyError" in line for line in comment_lines(entry))
    page = re.sub("<[^>]+>", "", student_page(entry))
    assert "models/net.py:18: stops with KeyError" in page

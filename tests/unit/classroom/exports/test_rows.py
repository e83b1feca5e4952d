"""Whose row of a worksheet is whose: nobody's marks reach another one's row, in any order."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.classroom.exports.canvas import fill_canvas
from grader.classroom.exports.feedback_zip import write_feedback_zip
from grader.classroom.exports.filled import Filled
from grader.classroom.exports.moodle import fill_moodle
from grader.classroom.exports.worksheet import Worksheet
from grader.classroom.records import Absent, Entry, Owner, Submitted
from tests.unit.classroom.exports.example_entries import absent_entry, entry, report_of


def _entry(key: str, marks: str | None, *owners: Owner, **more: str) -> Entry:
    """A submission of these people; an entry without marks waits."""
    calm = entry(key, marks, report=report_of("1", "0"))
    ids = {
        "moodle": " ".join(o.platform_ids["moodle"] for o in owners if "moodle" in o.platform_ids)
    }
    submitted = Submitted(
        key=key,
        zip_path=Path(f"{key}.zip"),
        zip_name=f"{key}.zip",
        name=", ".join(owner.name for owner in owners if owner.name) or None,
        platform_ids={name: text for name, text in (ids | more).items() if text},
        owners=owners,
    )
    return replace(calm, submitted=submitted)


def _absent(key: str, owner: Owner) -> Entry:
    """Somebody who handed in nothing, in a course that gives him 0."""
    absent = Absent(key, owner.entry_number, owner.name, owner.email, owner.platform_ids)
    return replace(absent_entry(), submitted=absent, marks=Decimal(0))


def _person(
    name: str, moodle: str = "", entry: str = "", email: str = "", login: str = ""
) -> Owner:
    ids = {what: text for what, text in (("moodle", moodle), ("login", login)) if text}
    return Owner(name, entry or None, email or None, ids)


def _moodle_sheet(*people: tuple[str, str, str]) -> Worksheet:
    """Participant number, name and e-mail address of each row."""
    head = "Identifier,Full name,Email address,Status,Grade,Maximum grade,Grade can be changed\n"
    rows = "".join(f"Participant {n},{name},{mail},-,,5.00,Yes\n" for n, name, mail in people)
    return Worksheet(head + rows, Path("w.csv"))


def _canvas_sheet(*people: tuple[str, str, str]) -> Worksheet:
    """Canvas id, SIS user id and SIS login id of each row; who they are is not in it."""
    head = "Student,ID,SIS User ID,SIS Login ID,Section,A (7)\n  Points Possible,,,,,5.0\n"
    rows = "".join(f"Row {n},{n},{number},{login},S,\n" for n, number, login in people)
    return Worksheet(head + rows, Path("c.csv"))


def _grades(filled: Filled) -> list[str]:
    rows = list(csv.DictReader(io.StringIO(filled.text)))
    return [row["Grade"] if "Grade" in row else row["A (7)"] for row in rows]


def _keys(entries: Sequence[Entry]) -> list[str]:
    return [one.submitted.key for one in entries]


# --------------------------------------------------------------------------- who handed in nothing


@pytest.mark.parametrize("marks", ["4", None])
def test_a_zero_never_takes_the_row_of_a_submission(marks: str | None) -> None:
    """The roster calls her otherwise than Moodle does, so that she is missing there; her row is that
    of her submission also while this one waits for its marks."""
    asha = _entry("moodle-101", marks, _person("ASHA R K", "101"))
    missing = _absent("asha@x.org", _person("Asha Rao", email="asha@x.org"))
    sheet = _moodle_sheet(("101", "ASHA R K", "asha@x.org"), ("103", "Cid Noor", "cid@x.org"))
    cid = _absent("cid@x.org", _person("Cid Noor", email="cid@x.org"))
    entries = [missing, cid] if marks is None else [missing, cid, asha]
    filled = fill_moodle(sheet, entries, [asha] if marks is None else [])
    assert _grades(filled) == [marks or "", "0"]
    assert filled.disputed == (
        "Participant 101 (ASHA R K): is the row of moodle-101; asha@x.org (handed in nothing), "
        "found there too, has none",
    )
    assert filled.unplaced == ()


# --------------------------------------------------------------------------- strangers


def test_a_namesake_without_a_row_gets_nobody_else_s() -> None:
    first = _entry("2023AIB2001", "4", _person("Amit Kumar", "101", "2023AIB2001"))
    second = _entry("2023AIB2002", "1", _person("Amit Kumar", "102", "2023AIB2002"))
    sheet = _moodle_sheet(("101", "Amit Kumar", "a@x.org"), ("103", "Zed", "z@x.org"))
    filled = fill_moodle(sheet, [first, second])
    assert _grades(filled) == ["4", ""]
    assert _keys(filled.unplaced) == ["2023AIB2002"]
    alone = _moodle_sheet(("101", "Amit Kumar", "a@x.org"), ("103", "Zed", "z@x.org"))
    assert fill_moodle(alone, [second], [first]).filled == 0, "also while the other one waits"


@pytest.mark.parametrize("turned", [False, True])
def test_the_name_before_an_at_is_a_guess(turned: bool) -> None:
    anil = _entry(
        "2023AIB2001", "5.0", _person("Anil Rao", entry="2023AIB2001", email="arao@u.edu")
    )
    asha = _entry(
        "2023AIB2002", "1.0", _person("Asha Rao", entry="2023AIB2002", email="arao@g.com")
    )
    entries = [asha, anil] if turned else [anil, asha]
    full = _canvas_sheet(("4711", "2023AIB2001", "arao"), ("4712", "2023AIB2002", "asharao"))
    assert _grades(fill_canvas(full, entries))[1:] == ["5.0", "1.0"]
    without = _canvas_sheet(("4711", "2023AIB2001", "arao"), ("4713", "", "zed"))
    left = fill_canvas(without, entries)
    assert (_grades(left)[1:], _keys(left.unplaced)) == (["5.0", ""], ["2023AIB2002"])
    logins = _canvas_sheet(("4711", "", "arao"), ("4712", "", "asharao"))
    guessed = fill_canvas(logins, entries)
    assert (_grades(guessed)[1:], guessed.filled) == (["", ""], 0), "it could be either"
    assert [line.split(":")[0] for line in guessed.disputed] == ["Row 4711"]
    alone = fill_canvas(_canvas_sheet(("4711", "", "arao"), ("4712", "", "b")), [anil])
    assert _grades(alone)[1:] == ["5.0", ""], "where nothing speaks against it"


def test_a_row_that_two_submissions_would_have_stays_as_it_is() -> None:
    both = [
        _entry("moodle-101", "1.0", _person("Asha Rao", "101")),
        _entry("2023AIB2001", "5.0", _person("Asha Rao", "101", "2023AIB2001")),
    ]
    sheet = _moodle_sheet(("101", "Asha Rao", "a@x.org"), ("102", "Bela Roy", "b@x.org"))
    filled = fill_moodle(sheet, both)
    assert (filled.filled, _grades(filled), filled.unplaced) == (0, ["", ""], ())
    assert filled.disputed == (
        "Participant 101 (Asha Rao): moodle-101 and 2023AIB2001 are found there; nothing was "
        "written there",
    )


def test_a_page_that_two_submissions_would_have_is_nobody_s(tmp_path: Path) -> None:
    both = [
        _entry(
            "moodle-101",
            "1.0",
            _person("Asha", "101"),
            moodle_folder="Asha_101_assignsubmission_file",
        ),
        _entry("2023AIB2001", "5.0", _person("Asha", "101", "2023AIB2001")),
    ]
    sheet = _moodle_sheet(("101", "Asha", "a@x.org"), ("102", "Bela", "b@x.org"))
    zipped = write_feedback_zip(both, tmp_path / "f.zip", sheet)
    assert (zipped.submissions, len(zipped.disputed), zipped.unplaced) == (0, 1, ())
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        assert archive.namelist() == []


def test_the_account_has_the_row_and_not_the_number_in_a_file_s_name() -> None:
    """Asha's file is called after Bela's number, and Asha herself is not in the worksheet."""
    asha = _entry("moodle-101", "1", _person("Asha Rao", "101", "2023AIB2002"))
    bela = _entry("2023AIB2002", "4", _person("Bela Roy", "102", "2023AIB2002"))
    sheet = _moodle_sheet(("102", "Bela Roy", "2023AIB2002"), ("103", "Zed", "z@x.org"))
    filled = fill_moodle(sheet, [asha, bela])
    assert _grades(filled) == ["4", ""]
    assert len(filled.disputed) == 1


# --------------------------------------------------------------------------- teams


_ASHA = _person("Asha Rao", "101", "2023AIB2001", "asha@x.org", "asha")
_BELA = _person("Bela Roy", "", "2023AIB2002", "bela@x.org", "bela")


def test_every_member_of_a_team_is_looked_for() -> None:
    team = _entry("2023AIB2001", "5.0", _ASHA, _BELA)
    moodle = _moodle_sheet(("101", "Asha Rao", "asha@x.org"), ("102", "Bela Roy", "bela@x.org"))
    filled = fill_moodle(moodle, [team])
    assert (_grades(filled), filled.members) == (["5.0", "5.0"], ())
    for numbers in (("2023AIB2001", "2023AIB2002"), ("", "")):
        canvas = _canvas_sheet(("4711", numbers[0], "asha"), ("4712", numbers[1], "bela"))
        assert _grades(fill_canvas(canvas, [team]))[1:] == ["5.0", "5.0"]


def test_a_member_without_a_row_is_named() -> None:
    team = _entry("2023AIB2001", "5.0", _ASHA, _BELA)
    moodle = _moodle_sheet(("101", "Asha Rao", "asha@x.org"), ("103", "Zed", "z@x.org"))
    filled = fill_moodle(moodle, [team])
    assert (filled.members, filled.unplaced) == (("Bela Roy (with 2023AIB2001)",), ())
    canvas = _canvas_sheet(("4711", "2023AIB2001", "asha"), ("4713", "", "zed"))
    assert fill_canvas(canvas, [team]).members == ("Bela Roy (with 2023AIB2001)",)


def test_a_member_of_a_team_has_a_feedback_page_where_a_worksheet_gives_the_name(
    tmp_path: Path,
) -> None:
    folder = "Asha Rao_101_assignsubmission_file"
    team = _entry("2023AIB2001", "5.0", _ASHA, _BELA, moodle_folder=folder)
    left_out = write_feedback_zip([team], tmp_path / "f.zip")
    assert left_out.members == ("Bela Roy (with 2023AIB2001)",)
    sheet = _moodle_sheet(("101", "Asha Rao", "asha@x.org"), ("102", "Bela Roy", "bela@x.org"))
    left_out = write_feedback_zip([team], tmp_path / "f.zip", sheet)
    assert left_out.members == ()
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        assert archive.namelist() == [
            f"{folder}/feedback.html",
            "Bela Roy_102_assignsubmission_file/feedback.html",
        ]


def test_a_team_that_its_name_finds_lacks_nobody() -> None:
    """Moodle's numbers are the team's own, 7 and 8; the rows are those of participants 101 and 102."""
    sheet = Worksheet(
        "Identifier,Full name,Group,Status,Grade,Maximum grade,Grade can be changed\n"
        "Participant 101,Asha Rao,Tigers,-,,5.00,Yes\n"
        "Participant 102,Tigers,Lions,-,,5.00,Yes\n"
        "Participant 103,Bela Roy,Tigers,-,,5.00,Yes\n",
        Path("w.csv"),
    )
    owners = (_person("Tigers", "7"), Owner(platform_ids={"moodle": "8"}))
    filled = fill_moodle(sheet, [_entry("moodle-7", "2", *owners)])
    assert _grades(filled) == ["2", "", "2"], "a person may be called like a team"
    assert (filled.members, filled.unplaced) == ((), ())


# --------------------------------------------------------------------------- anything at all

_OWNERS = st.builds(
    Owner,
    entry_number=st.sampled_from([None, "N1", "N2", "N3"]),
    email=st.sampled_from([None, "a@x", "b@x", "a@y"]),
    platform_ids=st.dictionaries(
        st.sampled_from(["moodle", "canvas"]), st.sampled_from(["1", "2", "3"]), max_size=2
    ),
)
_CLASSES = st.lists(
    st.tuples(st.lists(_OWNERS, min_size=1, max_size=3), st.sampled_from(["in", "out", "absent"])),
    min_size=1,
    max_size=5,
)
_MOODLE = (("1", "A", "a@x"), ("2", "B", "N2"), ("3", "C", "b@x"))
_CANVAS = (("1", "N1", "a"), ("2", "N3", "b@x"), ("3", "", "b"))


@pytest.mark.parametrize("kind", ["moodle", "canvas"])
@given(people=_CLASSES, seed=st.randoms(use_true_random=False))
def test_a_row_has_one_owner_whatever_the_order(
    kind: str, people: list[tuple[list[Owner], str]], seed: Random
) -> None:
    entries, others = [], []
    for number, (owners, what) in enumerate(people):
        if what == "absent":
            entries.append(_absent(f"absent-{number}", owners[0]))
        else:
            one = _entry(f"key-{number}", f"1.{number}", *owners)
            (entries if what == "in" else others).append(one)

    def fill(entries: Sequence[Entry]) -> Filled:
        if kind == "moodle":
            return fill_moodle(_moodle_sheet(*_MOODLE), entries, others)
        return fill_canvas(_canvas_sheet(*_CANVAS), entries, others=others)

    filled = fill(entries)
    grades = _grades(filled)[-3:]
    assert filled.filled == sum(bool(grade) for grade in grades), "no row is written twice"
    for grade, row in zip(grades, _MOODLE if kind == "moodle" else _CANVAS, strict=True):
        if grade not in ("", "0"):
            owners = people[int(grade[2:])][0]
            signs = {text for o in owners for text in (o.entry_number, o.email) if text}
            signs |= {o.platform_ids[kind] for o in owners if kind in o.platform_ids}
            signs |= {sign.split("@")[0] for sign in signs}
            assert signs & set(row), "something of theirs stands in the row"
    named = {one.submitted.key for one in filled.unplaced}
    told = " ".join(filled.disputed)
    for number, (_, what) in enumerate(people):
        key = f"absent-{number}" if what == "absent" else f"key-{number}"
        if what == "in" and f"1.{number}" not in grades:
            assert key in named or key in told, "whoever is left out is named"
    shuffled = list(entries)
    seed.shuffle(shuffled)
    again = fill(shuffled)
    assert _grades(again) == _grades(filled)
    assert {one.submitted.key for one in again.unplaced} == named

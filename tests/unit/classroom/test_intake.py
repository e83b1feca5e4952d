"""Every layout in which a class arrives, and whatever does not fit together in it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.assignments.load import load_assignment
from grader.classroom import intake
from grader.classroom.final_marks import SUPERSEDED, UNDECIDED
from grader.classroom.intake import read_door
from grader.classroom.records import Submitted
from grader.classroom.submission_row import submitted_of, values_of
from grader.errors import UsageError
from grader.model import LatePolicy

A2 = load_assignment("ail721-a2")
LATE = replace(
    A2,
    late=LatePolicy(
        deadline=datetime(2025, 3, 1, 18, 29, tzinfo=UTC),
        grace_seconds=900.0,
        per_day_percent=Decimal(10),
        of="maximum",
        cut_off_seconds=3 * 86_400.0,
    ),
)


def read_submissions(folder: Path, *words: Any, **more: Any) -> tuple[Submitted, ...]:
    """Those of the door who handed something in."""
    return read_door(folder, *words, **more).submitted


def _zip(path: Path, members: Mapping[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members or {"evaluate.py": f"# of {path.name}\n"}).items():
            archive.writestr(name, content)
    return path


def _roster(folder: Path, text: str) -> Path:
    path = folder / "people.csv"
    path.write_text(text, "utf-8")
    return path


def _by_key(found: tuple[Submitted, ...]) -> dict[str, Submitted]:
    assert len({one.key.casefold() for one in found}) == len(found)
    for one in found:
        assert submitted_of(values_of(one)) == one, "the store takes it as it is"
    return {one.key: one for one in found}


def _codes(one: Submitted) -> list[str]:
    return sorted(finding.code for finding in one.findings)


# --------------------------------------------------------------------------- layouts


def test_a_plain_folder(tmp_path: Path) -> None:
    _zip(tmp_path / "2022AIZ8170.zip")
    _zip(tmp_path / "2023AIB2080_A2.zip")
    _zip(tmp_path / "2023AIB2081" / "work.zip")
    (tmp_path / "notes.txt").write_text("of the TA")
    (tmp_path / ".hidden.zip").write_text("")
    (tmp_path / "2023AIB2082.rar").write_text("Rar!")
    found = _by_key(read_submissions(tmp_path, A2))
    assert list(found) == ["2022AIZ8170", "2023AIB2080", "2023AIB2081", "2023AIB2082"]
    assert [one.zip_name for one in found.values()] == [
        "2022AIZ8170.zip",
        "2023AIB2080_A2.zip",
        "work.zip",
        "2023AIB2082.rar",  # what is no zip is told when it is graded, not dropped
    ]
    assert all(one.findings == () for one in found.values())


@pytest.mark.parametrize("ending", ["_assignsubmission_file", "_assignsubmission_file_"])
def test_moodle_in_folders(tmp_path: Path, ending: str) -> None:
    _zip(tmp_path / f"Asha Rao_101{ending}" / "2022AIZ8170_A2.zip")
    _zip(tmp_path / f"Jean-Luc O'Neil_102{ending}" / "final version.zip")
    found = _by_key(read_submissions(tmp_path, A2))
    asha = found["2022AIZ8170"]
    assert asha.name == "Asha Rao"
    assert asha.platform_ids == {"moodle": "101", "moodle_folder": f"Asha Rao_101{ending}"}
    other = found["moodle-102"]
    assert (other.name, other.entry_number) == ("Jean-Luc O'Neil", None)


def test_moodle_flat(tmp_path: Path) -> None:
    _zip(tmp_path / "Asha_Devi Rao_101_assignsubmission_file_2022AIZ8170_A2.zip")
    (found,) = read_submissions(tmp_path, A2)
    assert found.zip_name == "2022AIZ8170_A2.zip"
    assert found.name == "Asha Devi Rao"
    assert found.platform_ids == {
        "moodle": "101",
        "moodle_prefix": "Asha_Devi Rao_101_assignsubmission_file_",
    }


@pytest.mark.parametrize("word", ["Participant", "Teilnehmer in", "प्रतिभागी"])
def test_moodle_under_blind_marking(tmp_path: Path, word: str) -> None:
    for number in (7, 8):
        _zip(tmp_path / f"{word}_{number}_assignsubmission_file" / "a.zip", {"a": str(number)})
    found = _by_key(read_submissions(tmp_path, A2))
    assert list(found) == ["moodle-7", "moodle-8"]
    assert all(one.name is None and one.findings == () for one in found.values())


def test_a_moodle_team_is_one_submission_of_several_people(tmp_path: Path) -> None:
    for name, number in (("Asha Rao", 101), ("Ben Ito", 102)):
        _zip(
            tmp_path / f"Team 4-{name}_{number}_assignsubmission_file" / "2022AIZ8170.zip",
            {"evaluate.py": "print()"},
        )
    (found,) = read_submissions(tmp_path, A2)
    assert found.platform_ids["moodle"] == "101 102"
    assert found.name == "Team 4-Asha Rao, Team 4-Ben Ito"
    assert _codes(found) == ["class.team"]


@pytest.mark.parametrize(
    "names",
    [
        ("Team-1-Asha Rao", "Team-2-Bela Roy"),  # two groups with a hyphen
        ("Jean-Luc P", "Jean-Marc D"),  # and no group at all
        ("Asha-Devi Rao", "Asha-Rani Roy"),
    ],
)
def test_a_hyphen_makes_no_team(tmp_path: Path, names: tuple[str, str]) -> None:
    for number, name in enumerate(names, 101):
        _zip(tmp_path / f"{name}_{number}_assignsubmission_file" / "a.zip", {"x.py": "the same"})
    found = read_submissions(tmp_path, A2)
    assert [_codes(one) for one in found] == [["class.same-zip"]] * 2


def test_a_hyphen_in_a_team_s_name_or_in_a_member_s_parts_no_team(tmp_path: Path) -> None:
    for number, name in enumerate(("Team-1-Asha Rao", "Team-1-Jean-Luc P"), 101):
        _zip(tmp_path / f"{name}_{number}_assignsubmission_file" / "a.zip", {"x.py": "the same"})
    (found,) = read_submissions(tmp_path, A2)
    assert found.platform_ids["moodle"] == "101 102"


def test_who_shares_a_prefix_but_not_its_file_is_in_no_team(tmp_path: Path) -> None:
    """Of a tutorial group only two have the same file: Moodle gives a team's to every member."""
    for number, name in enumerate(("Lab 1-Asha Rao", "Lab 1-Bela Roy", "Lab 1-Cid Noor"), 101):
        content = {"x.py": "Cid's own" if number == 103 else "the same"}
        _zip(tmp_path / f"{name}_{number}_assignsubmission_file" / "a.zip", content)
    found = read_submissions(tmp_path, A2)
    assert [_codes(one) for one in found] == [["class.same-zip"]] * 2 + [[]]


def test_a_column_group_makes_no_team(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "2023AIB2001.zip")
    roster = _roster(
        tmp_path, "Roll No,Name,Group\n2023AIB2001,Asha Rao,G1\n2023AIB2002,Bela Roy,G1\n"
    )
    door = read_door(tmp_path / "in", A2, roster)
    assert [one.name for one in door.submitted] == ["Asha Rao"]
    assert [one.name for one in door.absent] == ["Bela Roy"]
    assert door.unread == ("Group",)


def test_a_team_of_the_roster(tmp_path: Path) -> None:
    for name, number in (("Asha Rao", 101), ("Ben Ito", 102)):
        _zip(
            tmp_path / "in" / f"{name}_{number}_assignsubmission_file" / "2022AIZ8170.zip",
            {"evaluate.py": "print()"},
        )
    roster = _roster(
        tmp_path,
        "Identifier,entry_number,team\nParticipant 101,2022AIZ8170,4\nParticipant 102,2022AIZ8171,4\n",
    )
    (found,) = read_submissions(tmp_path / "in", A2, roster)
    assert _codes(found) == ["class.team"]
    assert found.platform_ids["moodle"] == "101 102"


def test_the_same_bytes_from_two_people_are_no_team(tmp_path: Path) -> None:
    for name, number in (("Asha Rao", 101), ("Ben Ito", 102)):
        _zip(
            tmp_path / f"{name}_{number}_assignsubmission_file" / "w.zip",
            {"evaluate.py": "print()"},
        )
    found = read_submissions(tmp_path, A2)
    assert [_codes(one) for one in found] == [["class.same-zip"]] * 2
    assert "Ben Ito" in found[0].findings[0].message


def test_gradescope(tmp_path: Path) -> None:
    (tmp_path / "submission_metadata.yml").write_text(
        "---\n"
        "submission_11:\n"
        "  :submitters:\n"
        "  - :name: Asha Rao\n    :sid: 2022AIZ8170\n    :email: asha@example.org\n"
        "  - :name: Ben Ito\n    :sid: 2022AIZ8171\n"
        "  :created_at: 2025-03-01 19:29:00.5 Z\n"
        "  :score: 0.0\n"
        "submission_12:\n"
        "  :submitters:\n"
        "  - :name: Chen Li\n    :sid: 2022AIZ8172\n"
        "  :created_at: 2025-03-01 10:00:00.0 Z\n",
        "utf-8",
    )
    for name in ("evaluate.py", "models/net.py"):
        path = tmp_path / "submission_11" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    _zip(tmp_path / "submission_12" / "2022AIZ8172.zip")
    packed = tmp_path.parent / "packed"
    found = _by_key(read_submissions(tmp_path, LATE, packed=packed))
    pair = found["2022AIZ8170"]
    assert (pair.name, pair.email) == ("Asha Rao, Ben Ito", "asha@example.org")
    assert pair.platform_ids == {"gradescope": "11"}
    assert pair.zip_name == "2022AIZ8170.zip"
    assert pair.late_seconds == 3600.5
    assert _codes(pair) == ["class.late", "class.loose-files"]
    with zipfile.ZipFile(pair.zip_path) as archive:
        assert archive.namelist() == ["evaluate.py", "models/net.py"]
    assert found["2022AIZ8172"].late_seconds == 0.0
    before = pair.zip_path.stat()
    again = _by_key(read_submissions(tmp_path, LATE, packed=packed))
    assert again == found
    assert again["2022AIZ8170"].zip_path.stat() == before, "nothing new, nothing written"


def test_gradescope_without_its_metadata(tmp_path: Path) -> None:
    _zip(tmp_path / "submission_12" / "2022AIZ8172.zip")
    (found,) = read_submissions(tmp_path, A2)
    assert (found.key, found.platform_ids) == ("2022AIZ8172", {"gradescope": "12"})


def test_loose_files_are_packed_beside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "submission_3").mkdir(parents=True)
    (tmp_path / "in" / "submission_3" / "evaluate.py").write_text("")
    (tmp_path / "in" / "submission_3" / "link").symlink_to("/etc/passwd")
    (found,) = read_submissions(tmp_path / "in", A2)
    assert found.zip_path == tmp_path / "in.packed" / "submission_3" / "submission_3.zip"
    with zipfile.ZipFile(found.zip_path) as archive:
        assert archive.namelist() == ["evaluate.py"]


def test_results_that_are_made_for_packed_files_are_for_one_user_alone(tmp_path: Path) -> None:
    (tmp_path / "in" / "submission_3").mkdir(parents=True)
    (tmp_path / "in" / "submission_3" / "evaluate.py").write_text("")
    before = os.umask(0o022)
    try:
        results = tmp_path / "results"
        (found,) = read_submissions(tmp_path / "in", A2, packed=results / "packed")
    finally:
        os.umask(before)
    assert found.zip_path.is_relative_to(results)
    for folder in (results, results / "packed", results / "packed" / "submission_3"):
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_canvas(tmp_path: Path) -> None:
    _zip(tmp_path / "raoasha_4711_90001_2022AIZ8170_A2-1.zip")
    _zip(tmp_path / "itoben_LATE_4712_90002_work.zip")
    found = _by_key(read_submissions(tmp_path, LATE))
    assert found["2022AIZ8170"].zip_name == "2022AIZ8170_A2.zip"
    assert found["2022AIZ8170"].platform_ids == {"canvas": "4711"}
    assert _codes(found["canvas-4712"]) == ["class.late-unknown"]
    assert found["canvas-4712"].late_seconds is None


def test_a_report_beside_the_zip_in_a_flat_download_is_no_second_submission(tmp_path: Path) -> None:
    _zip(tmp_path / "raoasha_4711_90001_2023AIB2001.zip")
    _zip(tmp_path / "Bela Roy_102_assignsubmission_file_2023AIB2002.zip")
    for name in (
        "raoasha_4711_90002_report.pdf",
        "Bela Roy_102_assignsubmission_file_report.pdf",
        "itoben_4712_90003_report.pdf",  # all that he handed in
    ):
        (tmp_path / name).write_text("the same report")
    found = _by_key(read_submissions(tmp_path, A2))
    assert {key: (one.zip_name, _codes(one)) for key, one in found.items()} == {
        "2023AIB2001": ("2023AIB2001.zip", []),
        "2023AIB2002": ("2023AIB2002.zip", []),
        "canvas-4712": ("report.pdf", []),
    }


# --------------------------------------------------------------------------- the roster


def test_the_roster_gives_names_numbers_and_times(tmp_path: Path) -> None:
    _zip(tmp_path / "raoasha_4711_90001_final.zip")
    _zip(tmp_path / "itoben_4712_90002_work.zip")
    (tmp_path / "roster.csv").write_text(
        "Entry Number;Student;Email;Submitted at;Deadline\n"
        "2022AIZ8170;Asha Rao;asha@example.org;2025-03-02T00:59:00+05:30;\n"
        "2022aiz8171;Ito, Ben;;2025-03-03T12:00:00+05:30;2025-03-04\n",
        "utf-8",
    )
    found = _by_key(read_submissions(tmp_path, LATE))
    assert found["2022AIZ8170"].email == "asha@example.org"
    assert found["2022AIZ8170"].late_seconds == 3600.0
    assert _codes(found["2022AIZ8170"]) == ["class.late"]
    assert found["2022AIZ8171"].name == "Ito, Ben"
    assert found["2022AIZ8171"].late_seconds == 0.0, "an extension of his own"


def test_moodle_s_worksheet_is_a_roster(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "Participant_101_assignsubmission_file" / "a.zip")
    roster = _roster(
        tmp_path,
        "\ufeffIdentifier,Full name,ID number,Email address,Status,Grade,Last modified (submission)\n"
        '"Participant 101","Asha Rao",2022AIZ8170,asha@example.org,-,-,"Sunday, 2 March 2025, 12:29 AM"\n'
        '"Participant 102","Ben Ito",2022AIZ8171,ben@example.org,-,-,-\n',
    )
    late = replace(
        LATE,
        late=replace(LATE.late, deadline=datetime.fromisoformat("2025-03-01T23:59:00+05:30")),  # type: ignore[type-var]
    )
    (found,) = read_submissions(tmp_path / "in", late, roster)
    assert (found.key, found.name) == ("2022AIZ8170", "Asha Rao")
    assert found.late_seconds == 1800.0


def test_who_logged_in_counts_more_than_the_name_of_the_file(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "Asha Rao_101_assignsubmission_file" / "2023AIB2080.zip")
    roster = _roster(tmp_path, "moodle id,entry no\n101,2022AIZ8170\n")
    (found,) = read_submissions(tmp_path / "in", A2, roster)
    assert found.key == "2022AIZ8170"
    assert _codes(found) == ["class.entry-differs"]
    assert "2023AIB2080" in found.findings[0].message


def test_a_name_that_fits_nobody(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "2022AIZ8179.zip")
    _zip(tmp_path / "in" / "final.zip")
    roster = _roster(tmp_path, "entry_number\n2022AIZ8170\n")
    found = _by_key(read_submissions(tmp_path / "in", A2, roster))
    assert [_codes(one) for one in found.values()] == [["class.unknown-person"]] * 2
    (alone,) = [one for one in read_submissions(tmp_path / "in", A2) if one.key == "final"]
    assert _codes(alone) == ["class.unknown-person"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour,size\nred,3\n", ":1: no column says who"),
        ("entry,submitted_at\n2022AIZ8170,yesterday\n", ":2: 'yesterday' is not a time"),
        ("entry,lateness\n2022AIZ8170,much\n", ":2: 'much' is no lateness"),
        ("entry\n2022AIZ8170\n2022aiz8170\n", ":3: the entry number 2022aiz8170 stands already"),
        ("moodle id\nAsha\n", ":2: 'Asha' is no Moodle identifier"),
        ("", ":1: no column"),
    ],
)
def test_a_wrong_roster_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    _zip(tmp_path / "in" / "2022AIZ8170.zip")
    with pytest.raises(UsageError, match=says):
        read_submissions(tmp_path / "in", A2, _roster(tmp_path, text))


def test_a_folder_named_after_an_entry_number_is_on_the_roster(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "2023AIB2001" / "work.zip")
    roster = _roster(tmp_path, "entry_number,name\n2023AIB2001,Asha Rao\n")
    door = read_door(tmp_path / "in", A2, roster)
    assert [(one.key, one.name, _codes(one)) for one in door.submitted] == [
        ("2023AIB2001", "Asha Rao", [])
    ]
    assert door.absent == ()


def test_the_column_zip_chooses_among_one_s_own_files_alone(tmp_path: Path) -> None:
    for place in ("Asha Rao_101", "Bela Roy_102", "Zed_109"):
        _zip(tmp_path / "in" / f"{place}_assignsubmission_file" / "a2.zip", {"x.py": place})
    _zip(tmp_path / "in" / "Asha Rao_101_assignsubmission_file" / "a2-final.zip")
    roster = _roster(
        tmp_path,
        "entry_number,name,zip\n2023AIB2001,Asha Rao,A2.zip\n2023AIB2002,Bela Roy,a2.zip\n",
    )
    door = read_door(tmp_path / "in", A2, roster)
    found = _by_key(door.submitted)
    assert {key: (one.name, one.zip_path.name, _codes(one)) for key, one in found.items()} == {
        "2023AIB2001": ("Asha Rao", "a2.zip", ["class.resubmitted"]),
        "2023AIB2001-2": ("Asha Rao", "a2-final.zip", ["class.superseded"]),
        "2023AIB2002": ("Bela Roy", "a2.zip", []),
        "moodle-109": ("Zed", "a2.zip", ["class.unknown-person"]),  # on no roster, and nobody else
    }
    assert door.absent == ()


def test_the_column_zip_says_whose_a_file_is_where_nothing_else_does(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "final.zip")
    _zip(tmp_path / "in" / "raoasha_4711_90001_final_asha.zip")  # Canvas's name of her
    _zip(tmp_path / "in" / "team.zip")
    _zip(tmp_path / "in" / "shared.zip")
    roster = _roster(
        tmp_path,
        "name,email,team,zip\nAsha Devi Rao,asha@x.org,,final_asha.zip\nBela Roy,,,final.zip\n"
        "Cid Noor,,4,team.zip\nDivya Nair,,4,team.zip\nEla Das,,,shared.zip\nFarid,,,shared.zip\n",
    )
    door = read_door(tmp_path / "in", A2, roster)
    assert {one.zip_name: one.name for one in door.submitted} == {
        "final.zip": "Bela Roy",
        "final_asha.zip": "Asha Devi Rao",
        "team.zip": "Cid Noor, Divya Nair",
        "shared.zip": None,  # two say so, and share no team
    }
    assert [one.name for one in door.absent] == ["Ela Das", "Farid"]


@given(
    own=st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True), max_size=4),
    wanted=st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=4, max_size=4),
)
def test_no_column_takes_a_file_from_whoever_logged_in(
    tmp_path_factory: pytest.TempPathFactory, own: list[list[str]], wanted: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("alike")
    people = ["Asha", "Bela", "Cid", "Divya"]
    for person, files in zip(people, own, strict=False):
        for name in files:
            number = 101 + people.index(person)
            _zip(
                folder / "in" / f"{person}_{number}_assignsubmission_file" / f"{name}.zip",
                {"of": f"{person} {name}"},
            )
    if not any(own):
        return
    rows = zip(people, wanted, strict=True)
    roster = _roster(folder, "name,zip\n" + "".join(f"{name},{file}.zip\n" for name, file in rows))
    for one in read_submissions(folder / "in", A2, roster):
        assert one.zip_path.parent.name.startswith(f"{one.name}_")


# --------------------------------------------------------------------------- what does not fit


def test_the_later_of_two_submissions_counts(tmp_path: Path) -> None:
    records = []
    for number, hour in ((11, 10), (12, 12), (13, 11)):
        _zip(tmp_path / f"submission_{number}" / f"try{number}.zip")
        records.append(
            f"submission_{number}:\n  :submitters:\n  - :name: Asha Rao\n    :sid: 2022AIZ8170\n"
            f"  :created_at: 2025-03-01 {hour}:00:00 Z\n"
        )
    (tmp_path / "submission_metadata.yml").write_text("".join(records), "utf-8")
    found = _by_key(read_submissions(tmp_path, A2))
    assert {key: one.zip_name for key, one in found.items()} == {
        "2022AIZ8170": "try12.zip",
        "2022AIZ8170-2": "try11.zip",
        "2022AIZ8170-3": "try13.zip",
    }
    assert _codes(found["2022AIZ8170"]) == ["class.resubmitted"]
    assert _codes(found["2022AIZ8170-2"]) == ["class.superseded"]


def test_nobody_guesses_which_of_two_counts(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "2022AIZ8170.zip")
    _zip(tmp_path / "in" / "2022AIZ8170_A2.zip")
    found = read_submissions(tmp_path / "in", A2)
    assert [one.key for one in found] == ["2022AIZ8170", "2022AIZ8170-2"]
    assert [_codes(one) for one in found] == [["class.two-submissions"]] * 2
    roster = _roster(tmp_path, "entry,zip\n2022AIZ8170,2022AIZ8170_A2.zip\n")
    decided = _by_key(read_submissions(tmp_path / "in", A2, roster))
    assert decided["2022AIZ8170"].zip_name == "2022AIZ8170_A2.zip"
    assert _codes(decided["2022AIZ8170-2"]) == ["class.superseded"]


def test_two_accounts_that_name_one_number_are_two_people(tmp_path: Path) -> None:
    for name, number in (("Asha Rao", 101), ("Ben Ito", 102)):
        _zip(
            tmp_path / f"{name}_{number}_assignsubmission_file" / "2022AIZ8170.zip",
            {"evaluate.py": name},
        )
    found = _by_key(read_submissions(tmp_path, A2))
    assert [one.name for one in found.values()] == ["Asha Rao", "Ben Ito"]
    assert [_codes(one) for one in found.values()] == [["class.entry-shared"]] * 2


def test_a_platform_s_folder_and_a_mailed_zip_of_one_person_are_told_to_be_two(
    tmp_path: Path,
) -> None:
    _zip(tmp_path / "in" / "Asha Rao_101_assignsubmission_file" / "2023AIB2001.zip")
    _zip(tmp_path / "in" / "2023AIB2001_new.zip")
    text = "Identifier,ID number,Full name{}\nParticipant 101,2023AIB2001,Asha Rao{}\n"
    roster = _roster(tmp_path, text.format("", ""))
    found = read_submissions(tmp_path / "in", A2, roster)
    assert [_codes(one) for one in found] == [["class.two-submissions"]] * 2
    roster = _roster(tmp_path, text.format(",zip", ",2023AIB2001_new.zip"))
    decided = _by_key(read_submissions(tmp_path / "in", A2, roster))
    assert decided["2023AIB2001"].zip_name == "2023AIB2001_new.zip"
    assert _codes(decided["2023AIB2001-2"]) == ["class.superseded"]


def _gradescope(folder: Path, submitters: Mapping[int, list[str]]) -> None:
    """Submissions (number → who, by address), one an hour."""
    records = []
    for number, people in submitters.items():
        _zip(folder / f"submission_{number}" / "a.zip", {"evaluate.py": f"{number}"})
        named = "".join(f"  - :name: {one}\n    :email: {one}@x.org\n" for one in people)
        records.append(
            f"submission_{number}:\n  :submitters:\n{named}"
            f"  :created_at: 2025-03-01 {number}:00:00 Z\n"
        )
    (folder / "submission_metadata.yml").write_text("".join(records), "utf-8")


def test_gradescope_s_submitters_are_known_by_their_addresses(tmp_path: Path) -> None:
    _gradescope(tmp_path, {11: ["asha", "bela"], 12: ["bela", "asha"], 13: ["cid"]})
    found = _by_key(read_submissions(tmp_path, A2))
    assert {key: _codes(one) for key, one in found.items()} == {
        "gradescope-11": ["class.superseded"],
        "gradescope-12": ["class.resubmitted"],
        "gradescope-13": [],
    }


def test_a_later_submission_of_one_member_does_not_take_the_team_s_from_the_other(
    tmp_path: Path,
) -> None:
    _gradescope(tmp_path, {11: ["asha", "bela"], 12: ["asha"]})
    found = read_submissions(tmp_path, A2)
    assert [_codes(one) for one in found] == [["class.two-submissions"]] * 2
    _gradescope(tmp_path, {11: ["asha", "bela"], 12: ["asha"], 13: ["bela", "asha"]})
    codes = [_codes(one) for one in read_submissions(tmp_path, A2)]
    assert codes == [["class.superseded"]] * 2 + [["class.resubmitted"]]


@given(
    teams=st.lists(
        st.lists(st.sampled_from(["asha", "bela", "cid", "divya"]), min_size=1, unique=True),
        min_size=1,
        max_size=5,
    )
)
def test_nobody_gets_the_marks_of_two_submissions(
    tmp_path_factory: pytest.TempPathFactory, teams: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("teams")
    _gradescope(folder, dict(enumerate(teams, 11)))
    found = read_submissions(folder, A2)
    out = {SUPERSEDED, UNDECIDED}
    people = [
        name for one in found if not out & set(_codes(one)) for name in (one.name or "").split(", ")
    ]
    assert len(people) == len(set(people)), "nobody has two that count"
    told = {
        name for one in found if UNDECIDED in _codes(one) for name in (one.name or "").split(", ")
    }
    assert {*people, *told} == {name for team in teams for name in team}, "nobody is dropped"


def test_the_same_bytes_twice_are_nothing_to_decide(tmp_path: Path) -> None:
    for name in ("2022AIZ8170.zip", "2022AIZ8170_A2.zip"):
        _zip(tmp_path / name, {"evaluate.py": "print()"})
    found = _by_key(read_submissions(tmp_path, A2))
    assert _codes(found["2022AIZ8170"]) == ["class.resubmitted"]
    assert _codes(found["2022AIZ8170-2"]) == ["class.superseded"]


def test_a_number_inside_that_contradicts_the_name(tmp_path: Path) -> None:
    _zip(tmp_path / "2022AIZ8170.zip", {"2023aib2080_A2/evaluate.py": ""})
    _zip(tmp_path / "2022AIZ8171.zip", {"2022AIZ8171/evaluate.py": "", "from_2023AIB2080.py": ""})
    _zip(tmp_path / "2022AIZ8172.zip", {"x2023AIB20801/evaluate.py": ""})
    found = _by_key(read_submissions(tmp_path, A2))
    (finding,) = found["2022AIZ8170"].findings
    assert finding.code == "class.entry-inside"
    assert "2023AIB2080" in finding.message
    assert found["2022AIZ8171"].findings == ()
    assert found["2022AIZ8172"].findings == ()


def test_late_beyond_the_cut_off(tmp_path: Path) -> None:
    _zip(tmp_path / "in" / "2022AIZ8170.zip")
    roster = _roster(tmp_path, "entry,lateness\n2022AIZ8170,73:00:00\n")
    (found,) = read_submissions(tmp_path / "in", LATE, roster)
    assert found.late_seconds == timedelta(hours=73).total_seconds()
    assert _codes(found) == ["class.too-late"]


@pytest.mark.parametrize("make", ["empty", "file", "missing"])
def test_no_submissions_is_said(tmp_path: Path, make: str) -> None:
    folder = tmp_path / "in"
    if make == "empty":
        folder.mkdir()
    elif make == "file":
        folder.write_text("")
    with pytest.raises(UsageError, match=r"holds no submission|is a file|no such folder"):
        read_submissions(folder, A2)


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "\x00", "a: &a [*a]\nb: 2025-99-99\n"])
def test_broken_metadata_is_told(tmp_path: Path, text: str) -> None:
    _zip(tmp_path / "submission_1" / "a.zip")
    (tmp_path / "submission_metadata.yml").write_text(text, "utf-8")
    with pytest.raises(UsageError, match="is not Gradescope's metadata"):
        read_submissions(tmp_path, A2)


_NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
)


@given(names=st.lists(_NAMES, min_size=1, max_size=6, unique=True))
def test_any_name_gets_a_key_that_the_store_takes(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("wild")
    written = 0
    for name in names:
        path = folder / f"{name}.zip"
        if len(path.name.encode()) > 255 or name.startswith("."):
            continue
        _zip(path)
        written += 1
    if written:
        found = read_submissions(folder, A2)
        assert len(_by_key(found)) == written


def test_the_roster_in_the_folder_has_the_name_that_the_pages_say() -> None:
    assert intake.ROSTER == "roster.csv"


# --------------------------------------------------------------------------- no submission


def test_who_of_the_roster_handed_in_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    _zip(folder / "2023AIB2080.zip")
    roster = _roster(
        tmp_path,
        "entry_number,name,email,Identifier\n"
        "2023AIB2080,Asha Rao,asha@example.org,Participant 101\n"
        "2023aib2081,Ben Ito,ben@example.org,Participant 102\n"
        ",Chen Li,chen@example.org,\n"
        ",Divya Nair,,Participant 104\n",
    )
    door = read_door(folder, A2, roster)
    assert [one.key for one in door.submitted] == ["2023AIB2080"]
    assert [(one.key, one.name) for one in door.absent] == [
        ("2023AIB2081", "Ben Ito"),
        ("chen@example.org", "Chen Li"),
        ("moodle-104", "Divya Nair"),
    ]
    assert door.absent[0].platform_ids == {"moodle": "102"}
    _zip(folder / "2023AIB2081.zip")
    later = read_door(folder, A2, roster)
    assert [one.key for one in later.submitted] == ["2023AIB2080", "2023AIB2081"]
    assert [one.name for one in later.absent] == ["Chen Li", "Divya Nair"]


def test_without_a_roster_nobody_is_missing(tmp_path: Path) -> None:
    _zip(tmp_path / "2023AIB2080.zip")
    assert read_door(tmp_path, A2).absent == ()


def test_a_missing_person_takes_no_submission_s_key(tmp_path: Path) -> None:
    """A zip is named after a number of the roster, but Moodle says that somebody else handed it in."""
    folder = tmp_path / "in"
    _zip(folder / "Asha Rao_101_assignsubmission_file" / "2023AIB2081.zip")
    roster = _roster(
        tmp_path, "entry_number,name,Identifier\n,Asha Rao,101x101\n2023AIB2081,Ben Ito,P 102\n"
    )
    door = read_door(folder, A2, roster)
    assert [one.key for one in door.submitted] == ["2023AIB2081"]
    assert [(one.key, one.name) for one in door.absent] == [("2023AIB2081-2", "Ben Ito")]


def test_members_of_a_team_share_what_one_of_them_handed_in(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    _zip(folder / "2023AIB2080.zip")
    roster = _roster(
        tmp_path,
        "entry_number,name,email,Identifier,team\n"
        "2023AIB2080,Asha Rao,asha@example.org,P 101,T1\n"
        "2023AIB2081,Ben Ito,ben@example.org,P 102,T1\n"
        "2023AIB2082,Chen Li,chen@example.org,P 103,T2\n",
    )
    door = read_door(folder, A2, roster)
    (one,) = door.submitted
    assert one.name == "Asha Rao, Ben Ito"
    assert one.email == "asha@example.org, ben@example.org"
    assert one.platform_ids == {"moodle": "101 102"}
    assert "class.team" in _codes(one)
    assert [absent.name for absent in door.absent] == ["Chen Li"]


# --------------------------------------------------------------------------- what is none


def test_what_the_grader_wrote_among_the_submissions_is_none(tmp_path: Path) -> None:
    _zip(tmp_path / "2023AIB2080.zip")
    for name in (
        "results/class.sqlite",
        "results/reports/2023AIB2080/report.json",
        "reports/2023AIB2080/report.html",
        "reports/2023AIB2080/report.json",
        "site/index.html",
        "site/students/2023AIB2080.html",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert list(_by_key(read_submissions(tmp_path, A2))) == ["2023AIB2080"]


def test_nobody_is_passed_over_for_files_that_are_called_like_the_graders(tmp_path: Path) -> None:
    for name in (
        "Asha Rao_101_assignsubmission_file/report.html",
        "Li Wei_102_assignsubmission_file/class.sqlite",
        "2023AIB2080/class.sqlite",
        "2023AIB2080/train.py",
    ):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x = 1")
    found = _by_key(read_submissions(tmp_path / "in", A2))
    assert set(found) == {"moodle-101", "moodle-102", "2023AIB2080"}


def test_an_online_text_beside_files_is_no_second_submission(tmp_path: Path) -> None:
    _zip(tmp_path / "Asha Rao_101_assignsubmission_file" / "2022AIZ8170.zip")
    for name in ("Asha Rao_101", "Li Wei_102"):
        text = tmp_path / f"{name}_assignsubmission_onlinetext" / "onlinetext.html"
        text.parent.mkdir()
        text.write_text("<p>see the zip</p>")
    found = _by_key(read_submissions(tmp_path, A2))
    assert list(found) == ["2022AIZ8170", "moodle-102"]  # whose text is all that came
    assert not found["2022AIZ8170"].findings


@pytest.mark.parametrize(
    "member",
    [
        "Asha Rao_101_assignsubmission_file/2022AIZ8170.zip",
        "Asha Rao_101_assignsubmission_file_2022AIZ8170.zip",
        "raoasha_4711_90001_a.zip",
        "assignment_7_export/submission_metadata.yml",
    ],
)
def test_a_download_that_was_not_unpacked_is_refused(tmp_path: Path, member: str) -> None:
    _zip(tmp_path / "2023AIB2080.zip", {member: "a student's, whatever it holds"})
    _zip(tmp_path / "AIL721-4711.zip", {member: ""})
    with pytest.raises(UsageError, match=r"AIL721-4711\.zip: is itself a download"):
        read_submissions(tmp_path, A2)


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    _zip(tmp_path / "2022AIZ8170.zip")
    roster = _roster(tmp_path, "Roll No.;Name;Late (hours)\n2022AIZ8170;Asha;3\n")
    door = read_door(tmp_path, A2, roster)
    assert door.unread == ("Late (hours)",)
    assert door.submitted[0].late_seconds is None

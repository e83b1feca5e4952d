"""The people of a case, each with what the roster and the platform say of that person alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.assignments.load import load_assignment
from grader.classroom.intake import read_door
from grader.classroom.records import Owner

A2 = load_assignment("ail721-a2")
HEAD = "entry_number,name,email,Identifier,login,team\n"


def _owners(tmp_path: Path, names: list[str], roster: str | None) -> list[tuple[Owner, ...]]:
    """Of a folder with these files, each with content of its own but for teams' equal ones."""
    folder = tmp_path / "in"
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("same" if "Team" in name else name)
    people = tmp_path / "people.csv"
    if roster is not None:
        people.write_text(HEAD + roster, "utf-8")
    door = read_door(folder, A2, people if roster is not None else None)
    return [one.owners for one in door.submitted]


def _moodle(name: str, number: int, file: str = "a.zip") -> str:
    return f"{name}_{number}_assignsubmission_file/{file}"


def test_a_mate_has_a_number_and_an_address_of_her_own(tmp_path: Path) -> None:
    roster = "2023AIB2080,Asha Rao,asha@x.org,,asha,T1\n2023AIB2081,Bela Roy,bela@x.org,,bela,T1\n"
    (owners,) = _owners(tmp_path, [_moodle("Asha Rao", 101)], roster)
    assert owners == (
        Owner("Asha Rao", "2023AIB2080", "asha@x.org", {"login": "asha", "moodle": "101"}),
        Owner("Bela Roy", "2023AIB2081", "bela@x.org", {"login": "bela"}),
    )


def test_plain_zips_and_a_roster_without_addresses(tmp_path: Path) -> None:
    roster = "2023AIB2080,Asha Rao,,,,T1\n2023aib2081,Bela Roy,,P 102,,T1\n"
    (owners,) = _owners(tmp_path, ["2023AIB2080.zip"], roster)
    assert [one.entry_number for one in owners] == ["2023AIB2080", "2023AIB2081"]
    assert [dict(one.platform_ids) for one in owners] == [{}, {"moodle": "102"}]


def test_who_logged_in_counts_more_than_the_roster_s_number(tmp_path: Path) -> None:
    roster = "2023AIB2080,Amit Kumar,,P 105,,\n"
    (owners,) = _owners(tmp_path, [_moodle("Amit Kumar", 101)], roster)
    assert [dict(one.platform_ids) for one in owners] == [{"moodle": "101"}]


def test_without_a_roster_everybody_has_the_number_of_his_own_folder(tmp_path: Path) -> None:
    names = [_moodle("Team 4-Asha", 101, "2023AIB2080.zip"), _moodle("Team 4-Ben", 102)]
    (owners,) = _owners(tmp_path, names, None)
    assert [(one.name, one.platform_ids["moodle"]) for one in owners] == [
        ("Team 4-Asha", "101"),
        ("Team 4-Ben", "102"),
    ]
    assert [one.entry_number for one in owners] == [None, None], "nobody knows whose it is"


@pytest.mark.parametrize("file", ["2023AIB2080.zip", "a.zip"])
def test_under_blind_marking_a_number_is_all_there_is(tmp_path: Path, file: str) -> None:
    (owners,) = _owners(tmp_path, [_moodle("Participant", 101, file)], None)
    number = "2023AIB2080" if file != "a.zip" else None
    assert owners == (Owner(entry_number=number, platform_ids={"moodle": "101"}),)

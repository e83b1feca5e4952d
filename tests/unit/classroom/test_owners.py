"""Whose a submission is, one by one, and who is absent though an earlier submission is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from grader.classroom.owners import owners_of, still_absent
from grader.classroom.records import Absent, Door, Owner, Submitted
from grader.findings import found

ONE = Submitted("2023AIB2080", Path("a.zip"), "a.zip", entry_number="2023AIB2080")
ASHA = Absent("2023AIB2080", "2023AIB2080", "Asha Rao", "asha@x.org", {"moodle": "101"})
BEN = Absent("2023AIB2081", "2023AIB2081", "Ben Ito", "ben@x.org", {"moodle": "102"})


# --------------------------------------------------------------------------- one by one


def test_the_owners_that_are_kept_are_the_owners() -> None:
    owners = (Owner("Asha"), Owner("Ben"))
    assert owners_of(replace(ONE, owners=owners, email="x@x.org")) == owners


def test_somebody_absent_is_one_person() -> None:
    ids = {"moodle": "101", "login": "asha", "gradescope": "7"}
    absent = replace(ASHA, platform_ids=ids)
    assert owners_of(absent) == (
        Owner("Asha Rao", "2023AIB2080", "asha@x.org", {"moodle": "101", "login": "asha"}),
    )


def test_a_record_of_an_earlier_grader_tells_as_much_as_it_holds() -> None:
    alone = replace(ONE, name="Rao, Asha", email="asha@x.org", platform_ids={"canvas": "4711"})
    assert owners_of(alone) == (
        Owner("Rao, Asha", "2023AIB2080", "asha@x.org", {"canvas": "4711"}),
    )
    pair = replace(
        ONE, name="Asha, Ben", email="asha@x.org, ben@x.org", platform_ids={"moodle": "101"}
    )
    assert owners_of(pair) == (
        Owner("Asha", "2023AIB2080", "asha@x.org", {"moodle": "101"}),
        Owner("Ben", None, "ben@x.org"),
    )
    team = replace(ONE, name="Asha, Ben", findings=(found("class.team", "of Asha, Ben"),))
    assert [one.name for one in owners_of(team)] == ["Asha", "Ben"]


@given(
    name=st.none() | st.text("aA, ", max_size=12),
    email=st.none() | st.text("a@, ", max_size=12),
    ids=st.dictionaries(st.sampled_from(["moodle", "canvas", "login"]), st.text("12 ", max_size=6)),
)
def test_every_submission_has_an_owner_and_no_id_is_lost(
    name: str | None, email: str | None, ids: dict[str, str]
) -> None:
    owners = owners_of(replace(ONE, name=name, email=email, platform_ids=ids))
    assert len(owners) >= 1
    for platform, text in ids.items():
        numbers = [one.platform_ids.get(platform) for one in owners]
        assert [number for number in numbers if number is not None] == text.split()


# --------------------------------------------------------------------------- who is absent


def test_whoever_a_kept_submission_names_is_not_absent() -> None:
    door = Door((), (ASHA, BEN))
    assert still_absent(door, []) == (ASHA, BEN)
    assert still_absent(door, [ONE]) == (BEN,)
    address = replace(ONE, entry_number=None, email="ASHA@x.org")
    assert still_absent(door, [address]) == (BEN,)
    team = replace(ONE, owners=(Owner("A", "2023aib2080"), Owner("B", email="ben@x.org")))
    assert still_absent(door, [team]) == ()
    assert still_absent(door, [replace(ONE, entry_number="2023AIB2099")]) == (ASHA, BEN)


def test_a_number_in_a_file_s_name_makes_nobody_present_who_is_not() -> None:
    """Asha's account handed in a file that is called after Ben's number."""
    kept = replace(ONE, owners=(Owner("Asha", "2023AIB2081", platform_ids={"moodle": "101"}),))
    assert still_absent(Door((), (ASHA, BEN)), [kept]) == (BEN,)
    again = replace(ONE, key="moodle-101", owners=(Owner("Asha", platform_ids={"moodle": "101"}),))
    assert still_absent(Door((again,), (BEN,)), [kept]) == (BEN,), "she has handed in another"

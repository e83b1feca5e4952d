"""A case → the people whose submission it is, each with what the roster and the platform say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grader.classroom.cases import Case, issued_number
from grader.classroom.layouts import Member
from grader.classroom.owners import PERSONAL_IDS
from grader.classroom.records import Owner
from grader.classroom.roster import Person
from grader.model import Assignment


def tell_owners(case: Case, assignment: Assignment) -> tuple[Owner, ...]:
    """At least one owner, in the order in which the files came, then the mates who handed in none.

    The number in the name of a team's file is left out: it is one member's, nobody knows whose.
    """
    people = list({person.line: person for person in case.people}.values())
    owners = []
    for member in case.members:
        person = next((one for one in people if _is_of(member, one)), None)
        if person is not None:
            people.remove(person)
        owners.append(_owner(member, person, assignment))
    owners += [_owner(Member(one.name, one.email), one, assignment) for one in people]
    for platform in ("moodle", "canvas"):
        _give_numbers(owners, platform, case.platform_ids.get(platform, "").split())
    if len(owners) <= 1:
        owner = owners[0] if owners else Owner()
        owners = [replace(owner, entry_number=owner.entry_number or case.entry_number)]
    return tuple(owners)


def _is_of(member: Member, person: Person) -> bool:
    return member.email == person.email and person.name in (member.name, None)


def _owner(member: Member, person: Person | None, assignment: Assignment) -> Owner:
    number = member.entry_number if person is None else person.entry_number
    ids = {} if person is None else person.platform_ids
    return Owner(
        name=member.name,
        entry_number=issued_number([number], assignment) or number,
        email=member.email,
        platform_ids={name: ids[name] for name in PERSONAL_IDS if name in ids},
    )


def _give_numbers(owners: list[Owner], platform: str, numbers: Sequence[str]) -> None:
    """Give the account numbers of the download to those of whom the roster says none, or another
    one: who logged in counts more. Both stand in the order in which the files came; a number that
    is left is somebody unnamed."""
    told = {owner.platform_ids.get(platform) for owner in owners}
    takers = [
        index
        for index, owner in enumerate(owners)
        if owner.platform_ids.get(platform) not in numbers
    ]
    for number in numbers:
        if number in told:
            continue
        if takers:
            owner = owners[takers[0]]
            ids = {**owner.platform_ids, platform: number}
            owners[takers.pop(0)] = replace(owner, platform_ids=ids)
        else:
            owners.append(Owner(platform_ids={platform: number}))

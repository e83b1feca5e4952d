"""Whose a submission is, one by one, and which of the people who handed in nothing today have
handed in before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import zip_longest

from grader.classroom.records import Absent, Door, Owner, Submitted

# Of the ids that a submission has, those that are a person's.
PERSONAL_IDS = ("moodle", "canvas", "login")


def owners_of(one: Submitted | Absent) -> tuple[Owner, ...]:
    """The people whose submission it is, at least one; somebody absent is the only one.

    A store of before schema 3 has kept none: there they are told from the fields that hold
    everybody's, as far as these go, until the next run looks at the door.
    """
    if isinstance(one, Absent):
        ids = {name: one.platform_ids[name] for name in PERSONAL_IDS if name in one.platform_ids}
        return (Owner(one.name, one.entry_number, one.email, ids),)
    if one.owners:
        return one.owners
    numbers = {name: one.platform_ids.get(name, "").split() for name in PERSONAL_IDS}
    emails = [email for email in (one.email or "").split(", ") if email]
    count = max(1, len(emails), *map(len, numbers.values()))
    names = (one.name or "").split(", ")
    if count == 1 and "class.team" in {finding.code for finding in one.findings}:
        count = len(names)
    elif count == 1:
        names = [one.name or ""]  # which may itself be "Rao, Asha"
    elif len(names) != count:
        names = []
    return tuple(
        Owner(
            name=name or None,
            entry_number=one.entry_number if position == 0 else None,
            email=email,
            platform_ids={
                platform: own[position] for platform, own in numbers.items() if position < len(own)
            },
        )
        for position, (_, name, email) in enumerate(zip_longest(range(count), names, emails))
    )


def signs_of(owner: Owner) -> tuple[tuple[str, str], ...]:
    """What tells that two records are one person's, the strongest first: accounts, an address, and
    what people type."""
    ids = owner.platform_ids
    named = (
        ("moodle", ids.get("moodle")),
        ("canvas", ids.get("canvas")),
        ("email", owner.email),
        ("entry", owner.entry_number),
        ("login", ids.get("login")),
    )
    return tuple((what, text.casefold()) for what, text in named if text)


def still_absent(door: Door, kept: Iterable[Submitted]) -> tuple[Absent, ...]:
    """The absent of the `door` but for those whom a submission names that is no longer at the door
    and was `kept`.

    Of each owner the strongest sign that anybody has decides: an entry number in a file's name
    may be a neighbour's.
    """
    absent_by: dict[tuple[str, str], set[int]] = defaultdict(set)
    for position, person in enumerate(door.absent):
        for owner in owners_of(person):
            for sign in signs_of(owner):
                absent_by[sign].add(position)
    here = {sign for one in door.submitted for owner in owners_of(one) for sign in signs_of(owner)}
    handed_in: set[int] = set()
    for one in kept:
        for owner in owners_of(one):
            known = (sign for sign in signs_of(owner) if sign in absent_by or sign in here)
            handed_in |= absent_by.get(next(known, ("", "")), set())
    return tuple(one for position, one in enumerate(door.absent) if position not in handed_in)

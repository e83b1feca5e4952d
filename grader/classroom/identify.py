"""Whose a submission is, and what contradicts that: an arrival and the roster → a case with people.

Whoever the platform says logged in is who handed it in; the file's name comes second, for people
mistype it, and call their files alike.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from grader.classroom.cases import Case, issued_number, names_of
from grader.classroom.layouts import Arrival, Member
from grader.classroom.roster import Person
from grader.errors import UsageError
from grader.findings import found, quoted
from grader.model import Assignment, Finding
from grader.readers.steady_file import SteadyFile
from grader.readers.zip_directory import read_zip_directory
from grader.stages.inspect_zip import read_entry_number


class KnownPeople:
    """People of the roster by everything that names them."""

    def __init__(self, people: Sequence[Person], *, known: bool) -> None:
        self.known = known
        self._by: dict[tuple[str, str], list[Person]] = defaultdict(list)
        for person in people:
            named = {
                "entry": person.entry_number,
                "email": person.email,
                "zip": person.zip_name,
                **person.platform_ids,
            }
            for what, text in named.items():
                if text is not None:
                    self._by[what, text.casefold()].append(person)
            for spelling in _spellings(person.name or ""):
                self._by["name", spelling].append(person)

    def find(self, what: str, text: str | None) -> tuple[Person, ...]:
        """Who is named so; nobody where several are that share no submission."""
        found_people = self._by.get((what, (text or "").casefold()), []) if text else []
        teams = {person.team for person in found_people}
        is_team = what == "zip" and len(teams) == 1 and None not in teams
        return tuple(found_people) if len(found_people) == 1 or is_team else ()

    def by_name(self, name: str | None) -> tuple[Person, ...]:
        matches = {
            person.line: person
            for spelling in _spellings(name or "")
            for person in self._by.get(("name", spelling), [])
        }
        return tuple(matches.values()) if len(matches) == 1 else ()


def _spellings(name: str) -> set[str]:
    """A name's letters alone, with the last name last and first: Canvas joins them so."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    if not words:
        return set()
    if "," in name:  # "Doe, Jane"
        before = len(re.findall(r"[^\W\d_]+", name.split(",", 1)[0]))
        words = words[before:] + words[:before]
    return {"".join(words), "".join(words[-1:] + words[:-1])}


def identify(cases: Sequence[Case], roster: KnownPeople, assignment: Assignment) -> list[Case]:
    """Add to each the people, the entry number, and what does not fit."""
    logged_in = [_logged_in(case.arrival, roster) for case in cases]
    named = _by_zip_name(cases, logged_in, roster)
    return [_identified(case, named.get(n, ()), roster, assignment) for n, case in enumerate(cases)]


def _identified(
    case: Case, people: tuple[Person, ...], roster: KnownPeople, assignment: Assignment
) -> Case:
    arrival = case.arrival
    from_name, _ = read_entry_number(case.zip_name, assignment)
    from_folder = issued_number([member.name for member in arrival.members], assignment)
    people = people or roster.find("entry", from_name) or roster.find("entry", from_folder)
    listed_numbers = [one.entry_number for one in people]
    listed_numbers += [one.entry_number for one in arrival.members]
    told = issued_number(listed_numbers, assignment)
    case = replace(case, people=people, entry_number=told or from_name or from_folder)
    members = _members(arrival, people)
    ids = {name: number for person in people for name, number in person.platform_ids.items()}
    case = replace(case, members=members, platform_ids={**ids, **arrival.platform_ids})
    if (
        told
        and from_name
        and all(issued_number([n], assignment) != from_name for n in listed_numbers)
    ):
        case = case.noting(
            found(
                "class.entry-differs",
                f"the zip {quoted(case.zip_name)} names {from_name}, it was handed in by "
                f"{names_of(members) or told} ({told})",
                path=quoted(case.zip_name, 200),
            )
        )
    if not people and roster.known:
        named = from_name or names_of(members) or quoted(case.zip_name)
        case = case.noting(found("class.unknown-person", f"{named} is not on the roster"))
    elif not (people or case.entry_number or arrival.platform_ids):
        case = case.noting(
            found("class.unknown-person", f"nothing says who handed in {quoted(case.zip_name)}")
        )
    return case.noting(*_contradictions(case, from_name, assignment))


def _logged_in(arrival: Arrival, roster: KnownPeople) -> tuple[Person, ...]:
    """Who of the roster handed it in, by the platform's id, else by what it says of the members."""
    for platform in ("moodle", "canvas", "gradescope"):
        if people := roster.find(platform, arrival.platform_ids.get(platform)):
            return people
    each = [
        roster.find("entry", member.entry_number)
        or roster.find("email", member.email)
        or roster.by_name(member.name)
        for member in arrival.members
    ]
    return tuple({person.line: person for some in each for person in some}.values())


def _by_zip_name(
    cases: Sequence[Case], logged_in: Sequence[tuple[Person, ...]], roster: KnownPeople
) -> dict[int, tuple[Person, ...]]:
    """Case → who handed it in, by the platform, else by the roster's column `zip`.

    Names like a2.zip are many people's: the column never takes a file from whoever logged in, and
    what bears another person's name is nobody's who handed in something of his own.
    """
    known = {index: people for index, people in enumerate(logged_in) if people}
    own = {
        (person.line, cases[index].zip_name.casefold())
        for index, people in known.items()
        for person in people
    }
    seen = {line for line, _ in own}
    so_called = Counter(
        case.zip_name.casefold() for index, case in enumerate(cases) if index not in known
    )
    for index, case in enumerate(cases):
        name = case.zip_name.casefold()
        people = roster.find("zip", case.zip_name)
        is_named = bool(case.arrival.members or case.arrival.platform_ids)
        if (
            index not in known
            and so_called[name] == 1
            and not any((person.line, name) in own for person in people)
            and not (is_named and any(person.line in seen for person in people))
        ):
            known[index] = people
    return known


def _members(arrival: Arrival, people: Sequence[Person]) -> tuple[Member, ...]:
    if people:
        return tuple(
            Member(name=one.name or names_of(arrival.members), email=one.email) for one in people
        )
    return arrival.members


def _contradictions(case: Case, from_name: str | None, assignment: Assignment) -> Iterator[Finding]:
    """Entry numbers in the names inside the zip, where none of them is the expected one."""
    expected = {number for number in (from_name, case.entry_number) if number}
    names = names_inside(case.zip_path, assignment) if expected else ()
    inside = _numbers_inside(names, assignment)
    if inside and not expected & set(inside):
        number, path = next(iter(inside.items()))
        yield found(
            "class.entry-inside",
            f"the zip is {' or '.join(sorted(expected))}'s, a name inside says {number}",
            path=quoted(path, 200),
            evidence={"inside": sorted(inside)},
        )


def names_inside(path: Path, assignment: Assignment) -> tuple[str, ...]:
    """The names of the zip's members.

    What is wrong with a zip is told when it is graded; here it just says nothing.
    """
    try:
        with SteadyFile(path) as file:
            directory = read_zip_directory(file, max_entries=assignment.zip_limits.members)
    except (OSError, UsageError):
        return ()
    return tuple(entry.name.decode("utf-8", "replace") for entry in directory.entries)


def _numbers_inside(names: Iterable[str], assignment: Assignment) -> dict[str, str]:
    """entry number → the first member of the zip that is named after it."""
    apart = re.compile(
        rf"(?<![A-Za-z0-9])(?:{assignment.entry_number})(?![A-Za-z0-9])", re.ASCII | re.IGNORECASE
    )
    numbers: dict[str, str] = {}
    for name in names:
        for match in apart.finditer(name):
            number = issued_number([match[0]], assignment)
            if number is not None:
                numbers.setdefault(number, name)
    return numbers

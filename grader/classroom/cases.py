"""An arrival on its way to a `Submitted`: what is known of it so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from grader.classroom.layouts import Arrival, Member
from grader.classroom.roster import Person
from grader.findings import quoted
from grader.model import Assignment, Finding
from grader.stages.inspect_zip import read_entry_number


@dataclass(frozen=True, slots=True)
class Case:
    """An arrival on its way to a `Submitted`."""

    arrival: Arrival
    zip_path: Path
    zip_name: str
    people: tuple[Person, ...] = ()  # of the roster
    entry_number: str | None = None
    findings: tuple[Finding, ...] = ()
    members: tuple[Member, ...] = ()
    platform_ids: Mapping[str, str] = field(default_factory=dict)

    def noting(self, *findings: Finding) -> Case:
        """The same with more findings."""
        return replace(self, findings=(*self.findings, *findings))


def names_of(members: Iterable[Member]) -> str | None:
    """Their names with commas between them; None where nobody is named."""
    names = [member.name for member in members if member.name]
    return ", ".join(names) or None


def name_of(case: Case) -> str:
    """What the case is called in a message."""
    return case.entry_number or names_of(case.members) or quoted(case.zip_name)


def people_of(case: Case) -> frozenset[str]:
    """What tells whose it is: submissions that have any of it in common are one person's.

    The people of the roster; else the Moodle or Canvas account, whatever the file is called; else
    Gradescope's submitters, for it numbers submissions, not people; else the entry number. The file
    itself where nobody is named.
    """
    if case.people:
        return frozenset(f"line {person.line}" for person in case.people)
    for platform in ("moodle", "canvas"):
        if platform in case.arrival.platform_ids:
            numbers = case.platform_ids[platform].split()
            return frozenset(f"{platform} {number}" for number in numbers)
    members = case.arrival.members
    if told := {text for one in members for text in (one.email, one.entry_number) if text}:
        return frozenset(text.casefold() for text in told)
    if case.entry_number:
        return frozenset({case.entry_number.casefold()})
    if "gradescope" in case.platform_ids:
        return frozenset({f"gradescope {case.platform_ids['gradescope']}"})
    return frozenset({f"\0{case.zip_path}"})


def issued_number(texts: Iterable[str | None], assignment: Assignment) -> str | None:
    """The first of the texts that holds an entry number, in the capitals that the pattern has."""
    for text in texts:
        number = read_entry_number(text, assignment)[0] if text else None
        if number is not None:
            return number
    return None

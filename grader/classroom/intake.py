"""The class's door: a folder of submissions → who handed in what, and when.

Whoever the platform says logged in is who handed it in; the file's name comes second, for people
mistype it. Whatever does not fit together is a finding on the submission, and nothing is dropped:
two submissions of one person are both kept, under keys of their own.
"""

from __future__ import annotations

import filecmp
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from grader.classroom.final_marks import SUPERSEDED, UNDECIDED
from grader.classroom.fingerprint import content_hash
from grader.classroom.lateness import (
    is_cut_off,
    late_days,
    late_seconds,
    lateness_in_words,
)
from grader.classroom.layouts import Arrival, Member, read_layout
from grader.classroom.records import Submitted
from grader.classroom.roster import Person, read_roster
from grader.errors import UsageError
from grader.findings import found, listed, quoted
from grader.model import Assignment, Finding
from grader.packing.write import write_zip
from grader.readers.steady_file import SteadyFile
from grader.readers.zip_directory import read_zip_directory
from grader.stages.inspect_zip import read_entry_number

ROSTER = "roster.csv"
_KEY_CHARS = 60  # of 120 that the store allows: a suffix has room
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@+=-]")


@dataclass(frozen=True, slots=True)
class _Case:
    """An arrival on its way to a `Submitted`."""

    arrival: Arrival
    zip_path: Path
    zip_name: str
    people: tuple[Person, ...] = ()  # of the roster
    entry_number: str | None = None
    findings: tuple[Finding, ...] = ()
    members: tuple[Member, ...] = ()
    platform_ids: Mapping[str, str] = field(default_factory=dict)

    def noting(self, *findings: Finding) -> _Case:
        return replace(self, findings=(*self.findings, *findings))


def read_submissions(
    folder: Path,
    assignment: Assignment,
    roster: Path | None = None,
    *,
    packed: Path | None = None,
) -> tuple[Submitted, ...]:
    """Read the layouts that `grader.classroom.layouts` tells of, sorted by key.

    `roster` defaults to `roster.csv` in the folder, where there is one. Loose files (Gradescope
    unpacks zips) are packed again below `packed`, by default beside the folder as `<name>.packed`.
    The keys depend on what lies in the folder alone.

    Raises UsageError for a folder without submissions, a roster or metadata that cannot be read,
    and a place that cannot be written to.
    """
    arrivals = read_layout(folder)
    if not arrivals:
        raise UsageError(
            f"{folder}: holds no submission",
            hint="give the folder of the zips, or of the platform's unpacked download",
        )
    if roster is None and (folder / ROSTER).is_file():
        roster = folder / ROSTER
    people = _Roster(() if roster is None else read_roster(roster), known=roster is not None)
    place = packed or folder.absolute().with_name(f"{folder.absolute().name}.packed")
    cases = [_identified(_case(one, assignment, place), people, assignment) for one in arrivals]
    cases = _teams(cases)
    cases = list(_told_apart(cases))
    keys = _keys(cases)
    return tuple(
        sorted(
            (_submitted(case, key, assignment) for key, case in zip(keys, cases, strict=True)),
            key=lambda one: one.key,
        )
    )


# --------------------------------------------------------------------------- what arrived


def _case(arrival: Arrival, assignment: Assignment, packed: Path) -> _Case:
    if not arrival.loose:
        return _Case(arrival, arrival.path, arrival.file_name)
    number = _issued([member.entry_number for member in arrival.members], assignment)
    name = assignment.zip_names[0].format(entry=number) if number else f"{arrival.path.name}.zip"
    path = _packed(arrival.path, packed / arrival.path.name / name)
    noted = found(
        "class.loose-files", f"{quoted(arrival.path.name)} held loose files; packed as {name}"
    )
    return _Case(arrival, path, name, findings=(noted,))


def _packed(folder: Path, goal: Path) -> Path:
    """The folder's files as a zip at `goal`; one that says the same stays as it is."""
    names = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]
    fresh = goal.with_name(f".{goal.name}-new")
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        write_zip(folder, names, fresh)
        if goal.is_file() and filecmp.cmp(fresh, goal, shallow=False):
            fresh.unlink()
        else:
            fresh.replace(goal)
    except OSError as error:
        raise UsageError(
            f"{goal}: cannot be written: {error.strerror or error}",
            hint="free some space, or give yourself the right to write there",
        ) from error
    return goal


# --------------------------------------------------------------------------- whose it is


class _Roster:
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
        return tuple(found_people) if len(found_people) == 1 or what == "zip" else ()

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


def _identified(case: _Case, roster: _Roster, assignment: Assignment) -> _Case:
    """Add the people, the entry number, and what does not fit."""
    arrival = case.arrival
    from_name, _ = read_entry_number(case.zip_name, assignment)
    people = _people(case, roster, from_name)
    listed_numbers = [one.entry_number for one in (*people, *arrival.members)]
    told = _issued(listed_numbers, assignment)
    from_folder = _issued([member.name for member in arrival.members], assignment)
    case = replace(case, people=people, entry_number=told or from_name or from_folder)
    members = _members(arrival, people)
    ids = {name: number for person in people for name, number in person.platform_ids.items()}
    case = replace(case, members=members, platform_ids={**ids, **arrival.platform_ids})
    if told and from_name and all(_issued([n], assignment) != from_name for n in listed_numbers):
        case = case.noting(
            found(
                "class.entry-differs",
                f"the zip {quoted(case.zip_name)} names {from_name}, it was handed in by "
                f"{_who(members) or told} ({told})",
                path=quoted(case.zip_name, 200),
            )
        )
    if not people and roster.known:
        named = from_name or _who(members) or quoted(case.zip_name)
        case = case.noting(found("class.unknown-person", f"{named} is not on the roster"))
    elif not (people or case.entry_number or arrival.platform_ids):
        case = case.noting(
            found("class.unknown-person", f"nothing says who handed in {quoted(case.zip_name)}")
        )
    return case.noting(*_contradictions(case, from_name, assignment))


def _people(case: _Case, roster: _Roster, from_name: str | None) -> tuple[Person, ...]:
    """Who handed it in, by what says most: the platform's id, then what people have typed."""
    arrival = case.arrival
    for platform in ("moodle", "canvas", "gradescope"):
        if people := roster.find(platform, arrival.platform_ids.get(platform)):
            return people
    if people := roster.find("zip", case.zip_name):
        return people
    if arrival.members:
        each = [
            roster.find("entry", member.entry_number)
            or roster.find("email", member.email)
            or roster.by_name(member.name)
            for member in arrival.members
        ]
        if people := tuple({person.line: person for some in each for person in some}.values()):
            return people
    return roster.find("entry", from_name)


def _members(arrival: Arrival, people: Sequence[Person]) -> tuple[Member, ...]:
    if people:
        return tuple(
            Member(name=one.name or _who(arrival.members), email=one.email) for one in people
        )
    return arrival.members


def _who(members: Iterable[Member]) -> str | None:
    names = [member.name for member in members if member.name]
    return ", ".join(names) or None


def _issued(texts: Iterable[str | None], assignment: Assignment) -> str | None:
    """The first of the texts that holds an entry number, in the capitals that the pattern has."""
    for text in texts:
        number = read_entry_number(text, assignment)[0] if text else None
        if number is not None:
            return number
    return None


def _contradictions(
    case: _Case, from_name: str | None, assignment: Assignment
) -> Iterator[Finding]:
    """Entry numbers in the names inside the zip, where none of them is the expected one."""
    expected = {number for number in (from_name, case.entry_number) if number}
    inside = _numbers_inside(case.zip_path, assignment) if expected else {}
    if inside and not expected & set(inside):
        number, path = next(iter(inside.items()))
        yield found(
            "class.entry-inside",
            f"the zip is {' or '.join(sorted(expected))}'s, a name inside says {number}",
            path=quoted(path, 200),
            evidence={"inside": sorted(inside)},
        )


def _numbers_inside(path: Path, assignment: Assignment) -> dict[str, str]:
    """entry number → the first member of the zip that is named after it.

    What is wrong with a zip is told when it is graded; here it just says nothing.
    """
    apart = re.compile(
        rf"(?<![A-Za-z0-9])(?:{assignment.entry_number})(?![A-Za-z0-9])", re.ASCII | re.IGNORECASE
    )
    try:
        with SteadyFile(path) as file:
            directory = read_zip_directory(file, max_entries=assignment.zip_limits.members)
    except (OSError, UsageError):
        return {}
    numbers: dict[str, str] = {}
    for entry in directory.entries:
        name = entry.name.decode("utf-8", "replace")
        for match in apart.finditer(name):
            number = _issued([match[0]], assignment)
            if number is not None:
                numbers.setdefault(number, name)
    return numbers


# --------------------------------------------------------------------------- who shares what


def _teams(cases: Sequence[_Case]) -> list[_Case]:
    """One submission for each team: Moodle lays the same file into every member's folder.

    Equal bytes alone make no team: they are a finding, unless the platform's names begin with one
    group's name, or the roster puts the people into one team.
    """
    by_bytes: dict[tuple[int, str], list[int]] = defaultdict(list)
    sizes: dict[int, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        if case.zip_path.is_file():
            sizes[case.zip_path.stat().st_size].append(index)
    for size, indices in sizes.items():
        for index in indices if len(indices) > 1 else ():
            by_bytes[size, content_hash(cases[index].zip_path)].append(index)
    dropped: set[int] = set()
    changed = list(cases)
    for indices in by_bytes.values():
        teams: dict[str, list[int]] = defaultdict(list)
        for index in indices:
            teams[_team(cases[index]) or f"\0{index}"].append(index)
        for team in teams.values():
            changed[team[0]] = _merged([cases[index] for index in team])
            dropped.update(team[1:])
        first = [team[0] for team in teams.values()]
        persons = {_person_id(cases[index]) for index in first}
        if len(persons) > 1:
            for index in first:
                others = [_name_of(cases[other]) for other in first if other != index]
                changed[index] = changed[index].noting(
                    found(
                        "class.same-zip",
                        f"the very same bytes were handed in by {listed(others)}",
                    )
                )
    return [case for index, case in enumerate(changed) if index not in dropped]


def _team(case: _Case) -> str | None:
    teams = {person.team for person in case.people}
    if len(teams) == 1 and (team := teams.pop()) is not None:
        return team
    name = _who(case.arrival.members) or ""
    if "moodle" in case.arrival.platform_ids and "-" in name:
        return name.split("-", 1)[0].strip() or None
    return None


def _merged(team: Sequence[_Case]) -> _Case:
    """One case of several people; ids of a platform stand one after the other, with blanks."""
    if len(team) == 1:
        return team[0]
    ids = {
        name: ("\n" if name in {"moodle_folder", "moodle_prefix"} else " ").join(
            dict.fromkeys(case.platform_ids[name] for case in team if name in case.platform_ids)
        )
        for name in dict.fromkeys(name for case in team for name in case.platform_ids)
    }
    members = tuple(dict.fromkeys(member for case in team for member in case.members))
    times = [case.arrival.submitted_at for case in team if case.arrival.submitted_at is not None]
    return replace(
        team[0],
        people=tuple(person for case in team for person in case.people),
        members=members,
        platform_ids=ids,
        arrival=replace(team[0].arrival, submitted_at=min(times, default=None)),
        # A team's zip bears one member's number: no contradiction for the others.
        findings=tuple(
            dict.fromkeys(
                finding
                for case in team
                for finding in case.findings
                if finding.code not in {"class.entry-differs", "class.entry-inside"}
            )
        ),
    ).noting(found("class.team", f"handed in together by {_who(members) or 'a team'}"))


# --------------------------------------------------------------------------- several of one person


def _told_apart(cases: Sequence[_Case]) -> Iterator[_Case]:
    """Say which of a person's submissions counts: the latest, where the times are known."""
    by_person: dict[str, list[_Case]] = defaultdict(list)
    for case in _sharing_numbers(cases):
        by_person[_person_id(case)].append(case)
    for own in by_person.values():
        if len(own) == 1:
            yield own[0]
            continue
        ordered = _ordered(own)
        if ordered is None:
            for case in own:
                others = [one.zip_name for one in own if one is not case]
                yield case.noting(
                    found(
                        UNDECIDED,
                        f"{_name_of(case)} handed in {quoted(case.zip_name)} and also "
                        f"{listed(others)}; nothing says which one counts",
                    )
                )
            continue
        *older, newest = ordered
        others = [one.zip_name for one in older]
        yield newest.noting(
            found("class.resubmitted", f"the one of {len(own)} that counts, not {listed(others)}")
        )
        for case in older:
            yield case.noting(
                found(SUPERSEDED, f"of {_name_of(case)}, {quoted(newest.zip_name)} counts")
            )


def _sharing_numbers(cases: Sequence[_Case]) -> Iterator[_Case]:
    """Say it where several accounts name the same entry number."""
    by_number: dict[str, dict[str, str]] = defaultdict(dict)
    for case in cases:
        if case.entry_number:
            by_number[case.entry_number][_person_id(case)] = _who(case.members) or case.zip_name
    for case in cases:
        people = by_number.get(case.entry_number or "", {})
        others = [name for person, name in people.items() if person != _person_id(case)]
        if not others:
            yield case
            continue
        message = f"{case.entry_number} is named by the submission of {listed(others)}, too"
        yield case.noting(found("class.entry-shared", message))


def _ordered(own: Sequence[_Case]) -> list[_Case] | None:
    """A person's submissions, the one that counts last; None where nothing tells.

    The roster's word on a zip is worth more than times.
    """
    named = [case for case in own if any(p.zip_name == case.zip_name for p in case.people)]
    times = [(case.arrival.submitted_at, case) for case in own]
    known = [(at, case) for at, case in times if at is not None]
    if len(known) == len(own) and len({at for at, _ in known}) == len(own):
        ordered = [case for _, case in sorted(known, key=lambda pair: pair[0])]
    elif len(named) == 1:
        ordered = list(own)
    elif len({content_hash(case.zip_path) for case in own}) == 1:
        ordered = list(own)  # the same bytes: there is nothing to decide
    else:
        return None
    if len(named) == 1:
        ordered = [case for case in ordered if case is not named[0]] + named
    return ordered


def _person_id(case: _Case) -> str:
    """What says that two submissions are one person's; the file itself where nobody is named.

    A Moodle or Canvas account is a person, whatever the file is called; Gradescope numbers
    submissions, not people.
    """
    for platform in ("moodle", "canvas"):
        if platform in case.arrival.platform_ids:
            return f"{platform} {case.platform_ids[platform]}"
    if case.entry_number:
        return case.entry_number.casefold()
    if "gradescope" in case.platform_ids:
        return f"gradescope {case.platform_ids['gradescope']}"
    return f"\0{case.zip_path}"


def _name_of(case: _Case) -> str:
    return case.entry_number or _who(case.members) or quoted(case.zip_name)


# --------------------------------------------------------------------------- the records


def _keys(cases: Sequence[_Case]) -> list[str]:
    """A key for each: the one that counts gets the plain one, the others a number."""
    taken: dict[str, int] = {}
    keys = []
    for case in cases:
        base = _key(case)
        taken[base.casefold()] = taken.get(base.casefold(), 0) + 1
        number = taken[base.casefold()]
        key = base if number == 1 else f"{base}-{number}"
        while number > 1 and key.casefold() in taken:
            number += 1
            key = f"{base}-{number}"
        if number > 1:
            taken[key.casefold()] = 1
        keys.append(key)
    return keys


def _key(case: _Case) -> str:
    text = case.entry_number
    if text is None:
        for platform in ("moodle", "canvas", "gradescope"):
            if platform in case.platform_ids:
                text = f"{platform}-{case.platform_ids[platform].split(' ')[0]}"
                break
        else:
            text = Path(case.zip_name).stem
    safe = _UNSAFE.sub("_", text)[:_KEY_CHARS].strip(".-+=@")
    if safe != text:  # what was lost is told apart by a few digits of its hash
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        safe = f"{safe or 'zip'}-{digest}"
    return safe


def _submitted(case: _Case, key: str, assignment: Assignment) -> Submitted:
    arrival, policy = case.arrival, assignment.late
    at = next((one.submitted_at for one in case.people if one.submitted_at), arrival.submitted_at)
    late = next((one.late_seconds for one in case.people if one.late_seconds is not None), None)
    extension = next((one.deadline for one in case.people if one.deadline), None)
    if late is None and policy is not None:
        due = policy
        if extension is not None:
            zone = policy.deadline.tzinfo if policy.deadline else None
            if extension.tzinfo is None:
                extension = extension.replace(tzinfo=zone)
            due = replace(policy, deadline=extension)
        late = late_seconds(at, due)
    findings = list(case.findings)
    if late is None and arrival.marked_late:
        findings.append(found("class.late-unknown", "the platform marks it late, not by how much"))
    elif late is not None and policy is not None and late > policy.grace_seconds:
        if is_cut_off(late, policy):
            findings.append(
                found("class.too-late", f"{lateness_in_words(late)}: after the cut-off")
            )
        else:
            days = late_days(late, policy)
            charged = f"charged as {days} day{'' if days == 1 else 's'}"
            findings.append(found("class.late", f"{lateness_in_words(late)}, {charged}"))
    return Submitted(
        key=key,
        zip_path=case.zip_path,
        zip_name=case.zip_name,
        entry_number=case.entry_number,
        name=_who(case.members),
        email=", ".join(one.email for one in case.members if one.email) or None,
        submitted_at=at,
        late_seconds=late,
        platform_ids=case.platform_ids,
        findings=tuple(findings),
    )

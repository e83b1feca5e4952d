"""Several people with one submission, and one person with several: what counts, and for whom."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from grader.classroom.cases import Case, name_of, names_of, people_of
from grader.classroom.final_marks import SUPERSEDED, UNDECIDED
from grader.classroom.fingerprint import content_hash
from grader.classroom.layouts import Member
from grader.classroom.roster import Person
from grader.findings import found, listed, quoted


def join_teams(cases: Sequence[Case]) -> list[Case]:
    """One submission for each team: Moodle lays the same file into every member's folder.

    Equal bytes alone make no team: they are a finding, unless the roster puts the people into one
    team, or Moodle writes one group's name before theirs and everybody of that group has them.
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
    groups = _groups(cases)
    for indices in by_bytes.values():
        whole = {
            group
            for group, accounts in _groups([cases[index] for index in indices]).items()
            if accounts == groups[group]
        }
        teams: dict[str, list[int]] = defaultdict(list)
        for index in indices:
            group = _group(cases[index])
            shared = _team(cases[index]) or (group if group in whole else None)
            teams[shared or f"\0{index}"].append(index)
        for team in teams.values():
            changed[team[0]] = _merged([cases[index] for index in team])
            dropped.update(team[1:])
        first = [team[0] for team in teams.values()]
        for index in first:
            others = [
                name_of(cases[other])
                for other in first
                if not people_of(changed[other]) & people_of(changed[index])
            ]
            if others:
                changed[index] = changed[index].noting(
                    found(
                        "class.same-zip",
                        f"the very same bytes were handed in by {listed(others)}",
                    )
                )
    return [case for index, case in enumerate(changed) if index not in dropped]


def _team(case: Case) -> str | None:
    """The one team of all its people, by the roster."""
    teams = {person.team for person in case.people}
    return teams.pop() if len(teams) == 1 else None


def _groups(cases: Sequence[Case]) -> dict[str, set[str]]:
    """Moodle's group → the accounts of its members, of these cases."""
    accounts: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        if group := _group(case):
            accounts[group].add(case.arrival.platform_ids["moodle"])
    return accounts


def _group(case: Case) -> str | None:
    """What Moodle writes before a member's name, "Team 4-Asha Rao".

    Names have hyphens, too ("Jean-Luc"), and so have groups ("Team-4"): a group has a digit or a
    blank before its last hyphen, and no digit is left for the name.
    """
    if "moodle" not in case.arrival.platform_ids:
        return None
    words = (names_of(case.arrival.members) or "").split("-")
    for length in range(1, len(words)):
        group, name = "-".join(words[:length]).strip(), "-".join(words[length:])
        if re.search(r"[\d\s]", group) and name.strip() and not re.search(r"\d", name):
            return group
    return None


def _merged(team: Sequence[Case]) -> Case:
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
    ).noting(found("class.team", f"handed in together by {names_of(members) or 'a team'}"))


def whole_teams(cases: Sequence[Case], everybody: Sequence[Person]) -> list[Case]:
    """The members of a roster's team who handed in nothing themselves share their team's
    submission, where that is one."""
    seen = {person.line for case in cases for person in case.people}
    counting: dict[str, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        teams = {person.team for person in case.people}
        counts = SUPERSEDED not in {one.code for one in case.findings}
        if counts and len(teams) == 1 and (team := teams.pop()) is not None:
            counting[team].append(index)
    changed = list(cases)
    for team, indices in counting.items():
        mates = [one for one in everybody if one.team == team and one.line not in seen]
        if len(indices) == 1 and mates:
            changed[indices[0]] = _with_mates(cases[indices[0]], mates)
    return changed


def _with_mates(case: Case, mates: Sequence[Person]) -> Case:
    ids = dict(case.platform_ids)
    for mate in mates:
        for platform, number in mate.platform_ids.items():
            ids[platform] = f"{ids[platform]} {number}" if platform in ids else number
    members = (*case.members, *(Member(name=one.name, email=one.email) for one in mates))
    return replace(case, people=(*case.people, *mates), members=members, platform_ids=ids).noting(
        found("class.team", f"by the roster also of {names_of(members[-len(mates) :])}")
    )


def tell_apart(cases: Sequence[Case]) -> Iterator[Case]:
    """Say which of a person's submissions counts: the latest, where the times are known."""
    for own in _by_person(list(_sharing_numbers(cases))):
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
                        f"{name_of(case)} handed in {quoted(case.zip_name)} and also "
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
                found(SUPERSEDED, f"of {name_of(case)}, {quoted(newest.zip_name)} counts")
            )


def _by_person(cases: Sequence[Case]) -> list[list[Case]]:
    """The submissions that share people, together, in the order in which they came."""
    groups: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        people = people_of(case)
        near = {number for one in people for number in groups.get(one, ())}
        joined = sorted({*near, index})
        for one in {who for number in joined for who in people_of(cases[number])}:
            groups[one] = joined
    unique = {joined[0]: joined for joined in groups.values()}
    return [[cases[index] for index in unique[first]] for first in sorted(unique)]


def _sharing_numbers(cases: Sequence[Case]) -> Iterator[Case]:
    """Say it where several accounts name the same entry number."""
    by_number: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if case.entry_number:
            by_number[case.entry_number].append(case)
    for case in cases:
        others = dict.fromkeys(
            names_of(other.members) or other.zip_name
            for other in by_number.get(case.entry_number or "", [])
            if not people_of(other) & people_of(case)
        )
        if not others:
            yield case
            continue
        message = f"{case.entry_number} is named by the submission of {listed(others)}, too"
        yield case.noting(found("class.entry-shared", message))


def _ordered(own: Sequence[Case]) -> list[Case] | None:
    """A person's submissions, the one that counts last; None where nothing tells, or where it is
    not one of all who have a part in the others.

    The roster's word on a zip is worth more than times.
    """
    named = [case for case in own if _is_named(case)]
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
    everybody = frozenset[str]().union(*map(people_of, own))
    return ordered if people_of(ordered[-1]) == everybody else None


def _is_named(case: Case) -> bool:
    """Whether the roster's column `zip` names this file of its person's."""
    wanted = {person.zip_name.casefold() for person in case.people if person.zip_name}
    return case.zip_name.casefold() in wanted

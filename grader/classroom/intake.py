"""The class's door: a folder of submissions → who handed in what, and when.

Whatever does not fit together is a finding on the submission, and nothing is dropped: two
submissions of one person are both kept, under keys of their own.
"""

from __future__ import annotations

import filecmp
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from grader.classroom.cases import Case, issued_number, names_of
from grader.classroom.identify import KnownPeople, identify, names_inside
from grader.classroom.lateness import reckoned
from grader.classroom.layouts import Arrival, is_download, read_layout
from grader.classroom.records import Absent, Door, Submitted, Timing
from grader.classroom.roster import Person, read_roster
from grader.classroom.tell_apart import join_teams, tell_apart, whole_teams
from grader.classroom.tell_owners import tell_owners
from grader.errors import UsageError
from grader.findings import found, quoted
from grader.model import Assignment
from grader.packing.write import write_zip

ROSTER = "roster.csv"
_KEY_CHARS = 60  # of 120 that the store allows: a suffix has room
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@+=-]")


def read_door(
    folder: Path,
    assignment: Assignment,
    roster: Path | None = None,
    *,
    packed: Path | None = None,
) -> Door:
    """Read the layouts that `grader.classroom.layouts` tells of; submissions are sorted by key.

    `roster` defaults to `roster.csv` in the folder, where there is one. Loose files (Gradescope
    unpacks zips) are packed again below `packed`, by default beside the folder as `<name>.packed`;
    what has to be made for that is made for this user alone. The keys of submissions depend on what
    lies in the folder alone; `recognise` gives them those of earlier runs.

    Raises UsageError for a folder without submissions, a roster or metadata that cannot be read,
    and a place that cannot be written to.
    """
    arrivals = read_layout(folder)
    if not arrivals:
        raise UsageError(
            f"{folder}: holds no submission",
            hint="give the folder of the zips, or of the platform's unpacked download",
        )
    _check_unpacked(arrivals, assignment)
    if roster is None and (folder / ROSTER).is_file():
        roster = folder / ROSTER
    people, unread = ((), ()) if roster is None else read_roster(roster)
    known = KnownPeople(people, known=roster is not None)
    place = packed or folder.absolute().with_name(f"{folder.absolute().name}.packed")
    cases = identify([_case(one, assignment, place) for one in arrivals], known, assignment)
    cases = whole_teams(list(tell_apart(join_teams(cases))), people)
    here = {person.line for case in cases for person in case.people}
    missing = [person for person in people if person.line not in here]
    keys = _keys([*map(_case_key, cases), *(_person_key(one, assignment) for one in missing)])
    submitted = [_submitted(case, keys.pop(0), assignment) for case in cases]
    return Door(
        submitted=tuple(sorted(submitted, key=lambda one: one.key)),
        absent=tuple(_absent(one, key) for one, key in zip(missing, keys, strict=True)),
        unread=unread,
    )


def _check_unpacked(arrivals: Iterable[Arrival], assignment: Assignment) -> None:
    """Raise UsageError for a platform's download that lies there as it came: read as one person's
    zip it would be graded, with 0."""
    for arrival in arrivals:
        named = arrival.members or issued_number([arrival.file_name], assignment)
        if not named and is_download(names_inside(arrival.path, assignment)):
            raise UsageError(
                f"{arrival.path}: is itself a download of all submissions",
                hint="unpack it and give the folder that comes out",
            )


def _case(arrival: Arrival, assignment: Assignment, packed: Path) -> Case:
    if not arrival.loose:
        return Case(arrival, arrival.path, arrival.file_name)
    number = issued_number([member.entry_number for member in arrival.members], assignment)
    name = assignment.zip_names[0].format(entry=number) if number else f"{arrival.path.name}.zip"
    path = _packed(arrival.path, packed / arrival.path.name / name)
    noted = found(
        "class.loose-files", f"{quoted(arrival.path.name)} held loose files; packed as {name}"
    )
    return Case(arrival, path, name, findings=(noted,))


def _packed(folder: Path, goal: Path) -> Path:
    """The folder's files as a zip at `goal`; one that says the same stays as it is."""
    names = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]
    fresh = goal.with_name(f".{goal.name}-new")
    try:
        _make_private(goal.parent)
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


def _make_private(folder: Path) -> None:
    """Make the folder, and what is missing above it: the results of a class may be among that."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _keys(bases: Iterable[str]) -> list[str]:
    """A key for each: the first gets the plain one, the others a number."""
    taken: dict[str, int] = {}
    keys = []
    for base in bases:
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


def _case_key(case: Case) -> str:
    stem = Path(case.zip_name).stem
    folder = names_of(case.arrival.members)  # one a person; everybody's zip may be called alike
    name = stem if folder in (None, case.arrival.path.name) else f"{folder}-{stem}"
    return _key(case.entry_number, case.platform_ids, name)


def _person_key(person: Person, assignment: Assignment) -> str:
    number = issued_number([person.entry_number], assignment) or person.entry_number
    return _key(number, person.platform_ids, person.email or person.name or f"line {person.line}")


def _key(entry_number: str | None, platform_ids: Mapping[str, str], otherwise: str) -> str:
    text = entry_number
    if text is None:
        ids = (name for name in ("moodle", "canvas", "gradescope") if name in platform_ids)
        platform = next(ids, None)
        text = (
            otherwise if platform is None else f"{platform}-{platform_ids[platform].split(' ')[0]}"
        )
    safe = _UNSAFE.sub("_", text)[:_KEY_CHARS].strip(".-+=@")
    if safe != text:  # what was lost is told apart by a few digits of its hash
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        safe = f"{safe or 'zip'}-{digest}"
    return safe


def _absent(person: Person, key: str) -> Absent:
    return Absent(
        key=key,
        entry_number=person.entry_number,
        name=person.name,
        email=person.email,
        platform_ids=person.platform_ids,
    )


def _submitted(case: Case, key: str, assignment: Assignment) -> Submitted:
    at = next((one.submitted_at for one in case.people if one.submitted_at), None)
    told = (one.late_seconds for one in case.people if one.late_seconds is not None)
    extensions = (one.deadline for one in case.people if one.deadline)
    submitted = Submitted(
        key=key,
        zip_path=case.zip_path,
        zip_name=case.zip_name,
        entry_number=case.entry_number,
        name=names_of(case.members),
        email=", ".join(one.email for one in case.members if one.email) or None,
        submitted_at=at or case.arrival.submitted_at,
        timing=Timing(
            told_seconds=next(told, None),
            extension=next(extensions, None),
            marked_late=case.arrival.marked_late,
        ),
        platform_ids=case.platform_ids,
        findings=case.findings,
        owners=tell_owners(case, assignment),
    )
    return reckoned(submitted, assignment.late)

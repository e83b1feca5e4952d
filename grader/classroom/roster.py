"""roster.csv: who is in the class, in whatever columns the course's own list has.

A list exported by a platform is a roster, too: Moodle's grading worksheet (English headers),
Canvas's gradebook, Gradescope's scores. Columns are known by their names, in any order; unknown
ones are left alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from grader.errors import UsageError

# What a column is called, without blanks, signs and capitals → what it holds.
_COLUMNS = {
    "entrynumber": "entry_number",
    "entryno": "entry_number",
    "entry": "entry_number",
    "rollnumber": "entry_number",
    "rollno": "entry_number",
    "registrationnumber": "entry_number",
    "idnumber": "entry_number",
    "studentid": "entry_number",
    "sid": "entry_number",
    "sisuserid": "entry_number",
    "name": "name",
    "fullname": "name",
    "student": "name",
    "studentname": "name",
    "firstname": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "email": "email",
    "emailaddress": "email",
    "mail": "email",
    "identifier": "moodle",
    "moodleid": "moodle",
    "participant": "moodle",
    "id": "canvas",
    "canvasid": "canvas",
    "submissionid": "gradescope",
    "sisloginid": "login",
    "login": "login",
    "username": "login",
    "team": "team",
    "zip": "zip",
    "zipname": "zip",
    "filename": "zip",
    "submittedat": "submitted_at",
    "submissiontime": "submitted_at",
    "lastmodifiedsubmission": "submitted_at",
    "deadline": "deadline",
    "extendedto": "deadline",
    "lateness": "lateness",
    "latenesshms": "lateness",
    "lateseconds": "lateness",
}
_NOTHING = {"", "-", "–"}
_MOODLE_TIMES = ("%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %H:%M", "%A, %B %d, %Y, %I:%M %p")
_PLATFORMS = ("moodle", "canvas", "gradescope", "login")


@dataclass(frozen=True, slots=True)
class Person:
    """A row of the roster. `deadline` is an extension of this person's own."""

    line: int
    entry_number: str | None = None
    name: str | None = None
    email: str | None = None
    team: str | None = None
    zip_name: str | None = None
    submitted_at: datetime | None = None
    deadline: datetime | None = None
    late_seconds: float | None = None
    platform_ids: Mapping[str, str] = field(default_factory=dict)


class Roster(NamedTuple):
    """The people of the class in the order of the list, and the columns that say nothing here."""

    people: tuple[Person, ...]
    unread: tuple[str, ...]


def read_roster(path: Path) -> Roster:
    """The class's list.

    Raises UsageError, with the line, for a file that is no such list, a time that cannot be read,
    and an entry number or platform id that stands twice.
    """
    rows = _rows(path)
    header, first = _header(rows, path)
    people = [
        person
        for line, cells in rows[first:]
        if (person := _person(dict(zip(header, cells, strict=False)), line, path)) is not None
    ]
    _check_unique(people, path)
    names = zip(rows[0][1], header, strict=True)
    return Roster(tuple(people), tuple(cell.strip() for cell, known in names if not known))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: is not UTF-8 text (byte {error.start})", hint="save it as CSV UTF-8"
        ) from error
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: is not a CSV table: {error}") from error


def _header(rows: Sequence[tuple[int, list[str]]], path: Path) -> tuple[list[str], int]:
    names = (
        [_COLUMNS.get(re.sub(r"[^a-z]", "", cell.casefold()), "") for cell in rows[0][1]]
        if rows
        else []
    )
    if not {"entry_number", "name", "email", *_PLATFORMS} & set(names):
        raise UsageError(
            f"{path}:1: no column says who somebody is",
            hint="the first line names the columns, at least one of entry_number, name, email; "
            "docs/classes.md lists all of them",
        )
    # Canvas's second row holds the points of each assignment.
    points = len(rows) > 1 and rows[1][1][0].strip().casefold() == "points possible"
    return names, 2 if points else 1


def _person(cells: Mapping[str, str], line: int, path: Path) -> Person | None:
    known = {name: text.strip() for name, text in cells.items() if text.strip() not in _NOTHING}
    known.pop("", None)
    if not known:
        return None
    name = known.get("name") or " ".join(
        known[part] for part in ("first_name", "last_name") if part in known
    )
    ids = {platform: known[platform] for platform in _PLATFORMS if platform in known}
    if "moodle" in ids:
        number = re.search(r"(\d+)$", ids["moodle"])  # "Participant 12", in any language
        if number is None:
            raise UsageError(f"{path}:{line}: {ids['moodle']!r} is no Moodle identifier")
        ids["moodle"] = number[1]
    return Person(
        line=line,
        entry_number=known.get("entry_number"),
        name=name or None,
        email=known.get("email"),
        team=known.get("team"),
        zip_name=known.get("zip"),
        submitted_at=_time(known.get("submitted_at"), path, line),
        deadline=_time(known.get("deadline"), path, line),
        late_seconds=_seconds(known.get("lateness"), path, line),
        platform_ids=ids,
    )


def _time(text: str | None, path: Path, line: int) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass  # not ISO 8601: Moodle's own way, or Gradescope's, is tried next
    for form in (*_MOODLE_TIMES, "%Y-%m-%d %H:%M:%S %z"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise UsageError(
        f"{path}:{line}: {text!r} is not a time", hint="write 2025-03-01T23:59:00+05:30"
    )


def _seconds(text: str | None, path: Path, line: int) -> float | None:
    """Seconds, or hours, minutes and seconds with colons between them."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d)", text)
    if match:
        hours, minutes, seconds = map(int, match.groups())
        return float(hours * 3600 + minutes * 60 + seconds)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    raise UsageError(f"{path}:{line}: {text!r} is no lateness", hint="write seconds, or H:MM:SS")


def _check_unique(people: Sequence[Person], path: Path) -> None:
    seen: dict[tuple[str, str], int] = {}
    for person in people:
        for what, text in (("entry number", person.entry_number), *person.platform_ids.items()):
            if text is None:
                continue
            first = seen.setdefault((what, text.casefold()), person.line)
            if first != person.line:
                raise UsageError(
                    f"{path}:{person.line}: the {what} {text} stands already in line {first}"
                )

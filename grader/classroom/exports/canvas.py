"""Canvas's gradebook, edited in place: one column, and no header that Canvas would not know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from grader.classroom.exports.filled import Filled
from grader.classroom.exports.worksheet import Worksheet
from grader.classroom.records import Entry
from grader.errors import UsageError

_TITLE = re.compile(r"(?P<title>.*\S)\s+\((?P<id>\d+)\)")
_POINTS = "points possible"
_EXCUSED = "EX"
_PEOPLE = ("sis user id", "sis login id")


def fill_canvas(sheet: Worksheet, entries: Sequence[Entry], column: str | None = None) -> Filled:
    """Put marks into the assignment's column.

    `column` is its title, with or without the id in brackets; needed where several assignments have
    the points of this one. A person is found by Canvas's id, else by the SIS ids and logins.
    Excused rows stay. Raises UsageError for another table, a column that cannot be told and a
    maximum that is not the assignment's.
    """
    header = [name.casefold() for name in sheet.header]
    if len(header) <= 3 or "student" not in header[0] or "id" not in header[1]:
        raise UsageError(
            f"{sheet.path}: is not Canvas's gradebook: its columns begin with "
            f"{', '.join(sheet.header[:3])}",
            hint="in Canvas: Grades, Export; give the file as it was downloaded",
        )
    points = next(
        (row for row in sheet.rows if sheet.get(row, 0).strip().casefold() == _POINTS), None
    )
    most = {entry.max_marks for entry in entries}
    target = _column(sheet, points, column, most)
    if points is not None and most and _points(sheet, points, target) not in most:
        raise UsageError(
            f"{sheet.path}: {sheet.header[target]} is worth {sheet.get(points, target).strip()} "
            f"points, the assignment {max(most):f}",
            hint=f"set its points in Canvas to {max(most):f} and export the gradebook again; "
            "nothing was changed",
        )
    people = [1, *(header.index(name) for name in _PEOPLE if name in header)]
    rows = {
        (column, text.casefold()): row
        for row in sheet.rows
        for column in people
        if row != points and (text := sheet.get(row, column).strip())
    }
    unplaced, kept, filled = [], [], 0
    for entry in entries:
        own = _rows_of(entry, rows, people)
        if not own or entry.marks is None:
            unplaced.append(entry)
            continue
        for row in own:
            if sheet.get(row, target).strip().upper() == _EXCUSED:
                kept.append(f"{sheet.get(row, 0)} ({entry.submitted.key}): is excused")
                continue
            sheet.put(row, target, f"{entry.marks:f}")
            filled += 1
    return Filled(sheet.text(), filled, tuple(unplaced), tuple(kept))


def _column(sheet: Worksheet, points: int | None, wanted: str | None, most: set[Decimal]) -> int:
    titles = {
        index: match
        for index, name in enumerate(sheet.header)
        if (match := _TITLE.fullmatch(name)) is not None
    }
    if wanted is not None:
        fitting = [
            index
            for index, match in titles.items()
            if wanted.strip() in (match[0], match["title"], match["id"])
        ]
    else:
        fitting = [
            index
            for index in titles
            if len(titles) == 1 or (points is not None and _points(sheet, points, index) in most)
        ]
    if len(fitting) != 1:
        known = ", ".join(match[0] for match in titles.values()) or "none"
        raise UsageError(
            f"{sheet.path}: which column is the assignment's? There are: {known}",
            hint="name it with --column 'TITLE'",
        )
    return fitting[0]


def _points(sheet: Worksheet, row: int, column: int) -> Decimal | None:
    text = sheet.get(row, column).strip()
    return Decimal(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def _rows_of(entry: Entry, rows: dict[tuple[int, str], int], people: Sequence[int]) -> list[int]:
    submitted = entry.submitted
    ids = submitted.platform_ids.get("canvas", "").split()
    own = [rows[1, number] for number in ids if (1, number) in rows]
    if own:
        return own
    emails = [email for email in (submitted.email or "").split(", ") if email]
    names = [
        *submitted.platform_ids.get("login", "").split(),
        *([submitted.entry_number] if submitted.entry_number else []),
        *emails,
        *(email.split("@", 1)[0] for email in emails),
    ]
    found = [
        rows[column, name.casefold()]
        for name in names
        for column in people[1:]
        if (column, name.casefold()) in rows
    ]
    return list(dict.fromkeys(found))

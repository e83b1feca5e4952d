"""Canvas's gradebook, edited in place: one column, and no header that Canvas would not know."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from grader.classroom.exports.filled import Filled
from grader.classroom.exports.rows import Placed, Way, fill_rows, place
from grader.classroom.exports.worksheet import Worksheet
from grader.classroom.records import Entry
from grader.errors import UsageError

_TITLE = re.compile(r"(?P<title>.*\S)\s+\((?P<id>\d+)\)")
_POINTS = "points possible"
_EXCUSED = "EX"
_PEOPLE = ("sis user id", "sis login id")


def fill_canvas(
    sheet: Worksheet,
    entries: Sequence[Entry],
    column: str | None = None,
    others: Sequence[Entry] = (),
) -> Filled:
    """Put marks into the assignment's column.

    `column` is its title, with or without the id in brackets; needed where several assignments have
    the points of this one. A person is found by Canvas's id, else by the SIS ids and logins, else
    by what stands before the @ of the address; `others` get no marks and have rows all the same.
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
    rows: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row in sheet.rows:
        for place_of in people if row != points else ():
            if text := sheet.get(row, place_of).strip():
                rows[place_of, text.casefold()].append(row)
    placed = _place(sheet, entries, others, rows, people)

    def put(row: int, entry: Entry) -> str:
        if sheet.get(row, target).strip().upper() == _EXCUSED:
            return f"{sheet.get(row, 0)} ({entry.submitted.key}): is excused"
        sheet.put(row, target, f"{entry.marks:f}")
        return ""

    return fill_rows(sheet, entries, placed, put)


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


def _place(
    sheet: Worksheet,
    entries: Sequence[Entry],
    others: Sequence[Entry],
    rows: Mapping[tuple[int, str], Sequence[int]],
    people: Sequence[int],
) -> Placed:
    def by(columns: Sequence[int], text: str | None) -> list[int]:
        """The one row that has the text; none where several have it."""
        found = {
            row for column in columns for row in rows.get((column, (text or "").casefold()), ())
        }
        return list(found) if len(found) == 1 else []

    sis = people[1:]
    sure: tuple[Way, ...] = (
        lambda owner, _: by(people[:1], owner.platform_ids.get("canvas")),
        lambda owner, _: by(sis, owner.platform_ids.get("login")),
        lambda owner, _: by(sis, owner.entry_number),
        lambda owner, _: by(sis, owner.email),
    )
    # The same name at another university is another person.
    guess: Way = lambda owner, _: by(sis, (owner.email or "").split("@", 1)[0])  # noqa: E731
    return place(entries, others, sure, (guess,), lambda row: sheet.get(row, 0).strip())

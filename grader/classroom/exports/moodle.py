"""Moodle's grading worksheet, edited in place: the grade and the comment, and nothing else.

Its headers are in the site's language, so columns are known by where they stand and what they hold
(mod/assign/gradingtable.php writes them in one order everywhere): the identifier first
("Participant 12"), the grade left of the maximum, which is the same in every row; comments last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from grader.classroom.exports.comment import html_comment
from grader.classroom.exports.filled import Filled
from grader.classroom.exports.rows import Placed, fill_rows, place
from grader.classroom.exports.worksheet import Worksheet
from grader.classroom.records import Entry, Owner
from grader.errors import UsageError

_IDENTIFIER = re.compile(r"[^\d\s]\D*(\d+)")
_NONE = {"", "-"}
# "Grade can be changed": Moodle would skip these rows; other words are left to Moodle.
_NO = {"no", "nein", "non", "não", "hayır", "否", "nee", "nej", "нет"}


@dataclass(frozen=True, slots=True)
class _Columns:
    identifier: int
    grade: int
    maximum: int
    comments: int | None  # None where the site has none


class MoodleSheet:
    """A grading worksheet of which it is known whose row is whose.

    Raises UsageError where the columns cannot be told.
    """

    def __init__(self, sheet: Worksheet) -> None:
        self.sheet = sheet
        self.columns = _columns(sheet)
        self._numbers = {
            row: match[1]
            for row in sheet.rows
            if (match := _IDENTIFIER.fullmatch(sheet.get(row, self.columns.identifier).strip()))
        }
        identity = range(self.columns.identifier + 1, self.columns.grade)
        # Under blind marking a status stands beside the identifier, and no name.
        self._named = len(identity) > 1
        self._cells = {
            row: {sheet.get(row, column).strip().casefold() for column in identity}
            for row in sheet.rows
        }

    def participant(self, row: int) -> str:
        """The participant number of a row."""
        return self._numbers.get(row, "")

    def name(self, row: int) -> str:
        """The name in a row, "" under blind marking."""
        return self.sheet.get(row, self.columns.identifier + 1).strip() if self._named else ""

    def folder_name(self, row: int) -> str:
        """`Full Name_<number>_assignsubmission_file`: how a download calls the row's folder."""
        plain = re.sub(r'[\\/:*?"<>|_\x00-\x1f]', " ", self.name(row)).strip(" .~")
        return f"{plain or 'Participant'}_{self.participant(row)}_assignsubmission_file"

    def place(self, entries: Sequence[Entry], others: Sequence[Entry] = ()) -> Placed:
        """The rows of the entries' people; `others` get no marks and have rows all the same.

        By the participant number, where the row's name has a word in common with the entry's (the
        number of a team's folder can be the team's); else by an e-mail address or the entry number
        among the row's identity columns; else by the name of a team, which no person's name is.
        """
        sure = (
            self._by_number,
            lambda owner, _: self._by_cell(owner.email),
            lambda owner, _: self._by_cell(owner.entry_number),
        )
        return place(entries, others, sure, (self._by_team,), self.called)

    def called(self, row: int) -> str:
        """What a row is called in a message."""
        identifier = self.sheet.get(row, self.columns.identifier).strip()
        return f"{identifier} ({self.name(row)})" if self.name(row) else identifier

    def _by_number(self, owner: Owner, entry: Entry) -> list[int]:
        number = owner.platform_ids.get("moodle")
        rows = [row for row, known in self._numbers.items() if known == number]
        return [row for row in rows if self._may_be(row, entry.submitted.name)]

    def _by_cell(self, text: str | None) -> list[int]:
        """The one row that has the text; none where several have it."""
        rows = [row for row, cells in self._cells.items() if text and text.casefold() in cells]
        return rows if len(rows) == 1 else []

    def _by_team(self, _: Owner, entry: Entry) -> list[int]:
        team = (entry.submitted.name or "").casefold()
        if not team or "moodle" not in entry.submitted.platform_ids:
            return []
        return [
            row
            for row, cells in self._cells.items()
            if team in cells and team != self.name(row).casefold()
        ]

    def _may_be(self, row: int, name: str | None) -> bool:
        """Whether the row can be that person's; where either has no name, the number decides."""
        words, wanted = _words(self.name(row)), _words(name or "")
        return not words or not wanted or bool(words & wanted)


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", name.casefold()))


def fill_moodle(sheet: Worksheet, entries: Sequence[Entry], others: Sequence[Entry] = ()) -> Filled:
    """Put marks and comments into the rows of those who have them (`MoodleSheet.place`).

    Raises UsageError where the columns cannot be told, or where the worksheet's maximum is not the
    assignment's.
    """
    known = MoodleSheet(sheet)
    columns = known.columns
    comma = any("," in cell for cell in sheet.column(columns.maximum))
    placed = known.place(entries, others)

    def put(row: int, entry: Entry) -> str:
        if sheet.get(row, columns.maximum + 1).strip().casefold() in _NO:
            name = sheet.get(row, columns.identifier)
            return f"{name} ({entry.submitted.key}): the grade is locked in Moodle"
        _check_maximum(sheet, row, columns.maximum, entry)
        shown = f"{entry.marks:f}"
        sheet.put(row, columns.grade, shown.replace(".", ",") if comma else shown)
        if columns.comments is not None:
            before = sheet.get(row, columns.comments)
            sheet.put(row, columns.comments, html_comment(entry, before))
        return ""

    return fill_rows(sheet, entries, placed, put)


def _columns(sheet: Worksheet) -> _Columns:
    header = [name.casefold() for name in sheet.header]
    identifier = header.index("identifier") if "identifier" in header else 0
    if not all(_IDENTIFIER.fullmatch(cell) for cell in sheet.column(identifier)):
        raise _unknown(sheet, "the identifiers (“Participant 12”) do not stand in the first column")
    if "maximum grade" in header and "grade" in header:
        maxima = [header.index("maximum grade")]
        grade = header.index("grade")
    else:
        maxima = [
            column
            for column in range(identifier + 2, len(header))
            if _is_maximum(sheet, column) and _is_grade(sheet, column - 1)
        ]
        grade = maxima[0] - 1 if maxima else -1
    if len(maxima) != 1:
        raise _unknown(sheet, "the columns of the grade and of its maximum cannot be told")
    return _Columns(identifier, grade, maxima[0], _comments(sheet, header, maxima[0]))


def _comments(sheet: Worksheet, header: Sequence[str], maximum: int) -> int | None:
    if "feedback comments" in header:
        return header.index("feedback comments")
    if "last modified (grade)" in header:
        return None  # English headers, and no comments among them
    last = len(header) - 1
    # Locked, last modified (submission), last modified (grade), comments: a time or a dash is none.
    cells = sheet.column(last)
    is_time = any(cell == "-" or re.search(r"\d.*\d:\d\d", cell) for cell in cells)
    return last if last >= maximum + 4 and not is_time else None


def _is_maximum(sheet: Worksheet, column: int) -> bool:
    numbers = {_number(cell) for cell in sheet.column(column)}
    return len(numbers) == 1 and None not in numbers and 0 not in numbers


def _is_grade(sheet: Worksheet, column: int) -> bool:
    return all(cell in _NONE or _number(cell) is not None for cell in sheet.column(column))


def _number(text: str) -> Decimal | None:
    if not re.fullmatch(r"\d+([.,]\d+)?", text):
        return None
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None


def _check_maximum(sheet: Worksheet, row: int, maximum: int, entry: Entry) -> None:
    most = _number(sheet.get(row, maximum).strip())
    if most != entry.max_marks:
        raise UsageError(
            f"{sheet.path}: the maximum grade is {sheet.get(row, maximum).strip()}, the "
            f"assignment's is {entry.max_marks:f}",
            hint=f"set the maximum grade of the assignment in Moodle to {entry.max_marks:f} and "
            "download the worksheet again; nothing was changed",
        )


def _unknown(sheet: Worksheet, what: str) -> UsageError:
    return UsageError(
        f"{sheet.path}: is not Moodle's grading worksheet: {what}; the columns are "
        f"{', '.join(sheet.header)}",
        hint="set your language in Moodle to English and download the worksheet again; nothing "
        "was changed",
    )

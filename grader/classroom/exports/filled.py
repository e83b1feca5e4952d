"""What became of a worksheet, and who is not in what was written."""

from __future__ import annotations

from dataclasses import dataclass

from grader.classroom.records import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Who has marks, and is not in what was written.

    `unplaced`: no row is theirs. `members`: no row is theirs, though their team has others.
    `disputed`: rows that several people would have, in words.
    """

    unplaced: tuple[Entry, ...] = ()
    members: tuple[str, ...] = ()
    disputed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled(LeftOut):
    """`text` is the whole worksheet. `kept` are rows that were left as they are, and why."""

    text: str
    filled: int
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Zipped(LeftOut):
    """`submissions`: how many have a page in the zip, also where Moodle would not find it."""

    submissions: int

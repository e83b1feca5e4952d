"""What became of a worksheet."""

from __future__ import annotations

from dataclasses import dataclass

from grader.classroom.records import Entry


@dataclass(frozen=True, slots=True)
class Filled:
    """`text` is the whole worksheet. `kept` are rows that were left as they are, and why."""

    text: str
    filled: int
    unplaced: tuple[Entry, ...]  # they have marks, and no row is theirs
    kept: tuple[str, ...]

"""What an entry is worth in the end, criterion by criterion, and which entries count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from grader.classroom.records import Adjustment, Entry, State

# Findings of the intake that keep a submission out of the exports.
SUPERSEDED = "class.superseded"
UNDECIDED = "class.two-submissions"


@dataclass(frozen=True, slots=True)
class CriterionMarks:
    """Marks for one criterion after adjustments. `marks` is None where nobody has given any yet:
    the grader could not, and a person has not."""

    criterion: str
    title: str
    marks: Decimal | None
    max_marks: Decimal
    reason: str
    adjusted: Adjustment | None


def criterion_marks(entry: Entry) -> tuple[CriterionMarks, ...]:
    """In the order of the definition; empty where there is no report."""
    changed = {one.criterion: one for one in entry.adjustments}
    awards = [] if entry.report is None else entry.report["awards"]
    return tuple(
        CriterionMarks(
            criterion=award["criterion"],
            title=award["title"],
            marks=adjusted.marks
            if (adjusted := changed.get(award["criterion"])) is not None
            else (None if award["marks"] is None else Decimal(award["marks"])),
            max_marks=Decimal(award["max_marks"]),
            reason=award["reason"],
            adjusted=adjusted,
        )
        for award in awards
    )


def marks_step(entry: Entry) -> Decimal:
    """The definition's step, for display; 1 where there is no report."""
    return Decimal(1 if entry.report is None else entry.report["assignment"]["marks_step"])


@dataclass(frozen=True, slots=True)
class Counting:
    """Which entries are exported, and why the others are not. A parked one is never a zero, and
    neither is somebody who handed in nothing, unless the course says so (`zero_for_absent`)."""

    entries: tuple[Entry, ...]
    superseded: tuple[Entry, ...]
    undecided: tuple[Entry, ...]
    ungraded: tuple[Entry, ...]
    absent: tuple[Entry, ...]

    @property
    def unexported(self) -> tuple[Entry, ...]:
        """Those whose rows in a worksheet are theirs, though they get no marks. Who is superseded
        has the row of the one that counts."""
        return (*self.undecided, *self.ungraded, *self.absent)

    @property
    def incomplete(self) -> tuple[Entry, ...]:
        """Of those that are exported: some marks are still a person's to give."""
        return tuple(
            entry
            for entry in self.entries
            if any(one.marks is None for one in criterion_marks(entry))
        )


def zero_for_absent(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The same with 0 marks for those who handed in nothing."""
    return tuple(
        replace(entry, marks=Decimal(0)) if entry.state is State.ABSENT else entry
        for entry in entries
    )


def counting(entries: Sequence[Entry]) -> Counting:
    """Sort the class by whether a mark can be handed out."""
    codes = {id(entry): {one.code for one in entry.submitted.findings} for entry in entries}
    superseded = [entry for entry in entries if SUPERSEDED in codes[id(entry)]]
    # Who takes one of two away has said which counts: the one that is gone is superseded then.
    undecided = [
        entry for entry in entries if {UNDECIDED, SUPERSEDED} & codes[id(entry)] == {UNDECIDED}
    ]
    rest = [entry for entry in entries if not {SUPERSEDED, UNDECIDED} & codes[id(entry)]]
    rest, absent = _parted(rest, lambda entry: entry.state is State.ABSENT and entry.marks is None)
    final = {State.DONE, State.ABSENT}
    graded, ungraded = _parted(rest, lambda entry: entry.state not in final or entry.marks is None)
    return Counting(
        entries=tuple(graded),
        superseded=tuple(superseded),
        undecided=tuple(undecided),
        ungraded=tuple(ungraded),
        absent=tuple(absent),
    )


def _parted(
    entries: Sequence[Entry], is_out: Callable[[Entry], bool]
) -> tuple[list[Entry], list[Entry]]:
    return [one for one in entries if not is_out(one)], [one for one in entries if is_out(one)]

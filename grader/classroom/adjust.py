"""Marks that a person gives for one criterion. They stay in the record and survive regrading."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from grader.assignments.load import load_assignment
from grader.classroom.grade_class import check_reason, find, who_grades
from grader.classroom.lateness import late_penalty, reckoned
from grader.classroom.marks import maxima, total
from grader.classroom.records import Adjustment, Entry
from grader.classroom.store import open_store
from grader.errors import UsageError
from grader.model import Assignment, Criterion


def adjust(results: Path, name: str, criterion: str, marks: str, because: str) -> Entry:
    """Set the marks of one criterion of one submission; returns the submission as it stands then.

    Raises UsageError for a name, a criterion or marks that do not exist in this class, and for a
    submission that has not been graded yet by this definition of the criterion.
    """
    check_reason(because)
    with open_store(results) as store:
        assignment = load_assignment(store.info().setup.assignment)
        chosen = _criterion(assignment, criterion)
        given = _marks(marks, chosen)
        one = find(store.submitted(), name)
        result = store.latest(one.key)
        if result is None:
            raise UsageError(
                f"{one.key}: has no result yet that could be adjusted",
                hint=f"`grader status {results}` says where it stands",
            )
        if given > maxima(result.report).get(chosen.id, -1):
            raise UsageError(
                f"{one.key}: its result rests on an earlier definition of {chosen.id}",
                hint=f"run `grader class` again, or `grader regrade {results} {one.key}`",
            )
        adjustment = Adjustment(chosen.id, given, because.strip(), who_grades(), datetime.now(UTC))
        marks_then = total(store.awards()[one.key] | {chosen.id: given})
        late_seconds = reckoned(one, assignment.late).late_seconds
        late = late_penalty(marks_then, late_seconds, assignment)
        store.adjust(one.key, adjustment, late)
        return store.entry(one.key)


def _criterion(assignment: Assignment, name: str) -> Criterion:
    for criterion in assignment.criteria:
        if name in {criterion.id, criterion.title}:
            return criterion
    known = ", ".join(criterion.id for criterion in assignment.criteria)
    raise UsageError(
        f"{name}: is no criterion of {assignment.id}", hint=f"its criteria are: {known}"
    )


def _marks(text: str, criterion: Criterion) -> Decimal:
    try:
        marks = Decimal(text)
    except InvalidOperation as error:
        raise UsageError(f"{text}: is not a number", hint="write it with a dot: 2.25") from error
    if not marks.is_finite() or not 0 <= marks <= criterion.max_marks:
        raise UsageError(
            f"{text}: {criterion.id} has from 0 to {criterion.max_marks:f} marks",
            hint="give the marks of this criterion, not those of the whole submission",
        )
    return marks

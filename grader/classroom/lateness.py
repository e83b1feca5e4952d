"""What lateness costs: the definition's [late] table, in marks.

The penalty is counted in begun days after the deadline. Within the grace it is nothing; beyond the
grace the days count from the deadline itself, so that the grace is no second deadline. Beyond the
cut-off no marks are left. Rounded is once: the marks that remain, down to the definition's step;
the penalty is the difference.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal

from grader.classroom.records import Submitted
from grader.findings import found
from grader.model import Assignment, Finding, LatePolicy

_DAY_SECONDS = 86_400
_HOUR_SECONDS = 3_600
_MINUTE_SECONDS = 60
_FINDINGS = {"class.late", "class.too-late", "class.late-unknown"}


def late_seconds(submitted_at: datetime | None, policy: LatePolicy | None) -> float | None:
    """How long after the deadline it came, 0 when in time; None where either time is unknown.

    A time without a zone is taken in the deadline's zone: a course's own list rarely names it.
    """
    if submitted_at is None or policy is None or policy.deadline is None:
        return None
    if submitted_at.tzinfo is None:
        submitted_at = submitted_at.replace(tzinfo=policy.deadline.tzinfo)
    late = submitted_at.astimezone(UTC) - policy.deadline.astimezone(UTC)
    return max(0.0, late.total_seconds())


def reckoned(one: Submitted, policy: LatePolicy | None) -> Submitted:
    """How late the submission came by the deadline as it is now, and the findings that say so.

    What an earlier grader noted stays, for it kept less than it had reckoned from.
    """
    if one.timing is None:
        return one
    late = one.timing.told_seconds
    if late is None:
        late = late_seconds(one.submitted_at, _extended(policy, one.timing.extension))
    others = tuple(known for known in one.findings if known.code not in _FINDINGS)
    noted = _noted(late, policy, marked_late=one.timing.marked_late)
    return replace(one, late_seconds=late, findings=others + noted)


def _extended(policy: LatePolicy | None, extension: datetime | None) -> LatePolicy | None:
    if policy is None or extension is None:
        return policy
    if extension.tzinfo is None and policy.deadline is not None:
        extension = extension.replace(tzinfo=policy.deadline.tzinfo)
    return replace(policy, deadline=extension)


def _noted(
    late: float | None, policy: LatePolicy | None, *, marked_late: bool
) -> tuple[Finding, ...]:
    if late is None:
        told = "the platform marks it late, not by how much"
        return (found("class.late-unknown", told),) if marked_late else ()
    if policy is None or late <= policy.grace_seconds:
        return ()
    if is_cut_off(late, policy):
        return (found("class.too-late", f"{lateness_in_words(late)}: after the cut-off"),)
    days = late_days(late, policy)
    charged = f"charged as {days} day{'' if days == 1 else 's'}"
    return (found("class.late", f"{lateness_in_words(late)}, {charged}"),)


def late_days(late: float | None, policy: LatePolicy | None) -> int:
    """Days that are charged: begun days after the deadline, none within the grace."""
    if late is None or policy is None or late <= policy.grace_seconds:
        return 0
    return math.ceil(late / _DAY_SECONDS)


def is_cut_off(late: float | None, policy: LatePolicy | None) -> bool:
    """Whether it came after the definition's cut-off."""
    return (
        late is not None
        and policy is not None
        and policy.cut_off_seconds is not None
        and late > max(policy.cut_off_seconds, policy.grace_seconds)
    )


def late_penalty(marks: Decimal, late: float | None, assignment: Assignment) -> Decimal:
    """Marks that lateness takes away from `marks` (at least 0, at most all of them).

    `late` is `Submitted.late_seconds`. What remains is a multiple of `marks_step` wherever `marks`
    is one, rounded down.
    """
    policy = assignment.late
    if policy is None or marks <= 0:
        return Decimal(0)
    if is_cut_off(late, policy):
        return marks
    days = late_days(late, policy)
    if not days:
        return Decimal(0)
    share = policy.per_day_percent * days / 100
    base = assignment.max_marks if policy.of == "maximum" else marks
    left = max(Decimal(0), marks - share * base)
    step = assignment.marks_step
    left = (left / step).to_integral_value(ROUND_FLOOR) * step
    return marks - min(left, marks)


def lateness_in_words(late: float) -> str:
    """`2 days 3 h late`, `40 min late`; what is late by less than a minute is told in seconds."""
    if late < _MINUTE_SECONDS:
        return f"{math.ceil(late)} s late"
    days, rest = divmod(int(late), _DAY_SECONDS)
    hours, rest = divmod(rest, _HOUR_SECONDS)
    minutes = rest // _MINUTE_SECONDS
    parts = [f"{days} day" if days == 1 else f"{days} days"] if days else []
    parts += [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes and not days else []
    return f"{' '.join(parts)} late"

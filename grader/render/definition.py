"""A definition as text: what is asked, what is run, how it is marked."""

from __future__ import annotations

from tabulate import tabulate

from grader.model import Assignment, Criterion, LatePolicy


def definition_text(assignment: Assignment) -> str:
    """The page that `grader assignments show` prints."""
    parts = [
        f"{assignment.id}: {assignment.title}",
        assignment.course,
        "",
        f"zip: {' or '.join(assignment.zip_names)}, entry number {assignment.entry_number}",
        "",
        tabulate(
            [
                (
                    role.id,
                    role.accept[0],
                    "yes" if role.required else "no",
                    ", ".join(role.accept[1:]),
                )
                for role in assignment.roles
            ],
            headers=("role", "file", "required", "also accepted"),
            maxcolwidths=[None, None, None, 60],
        ),
        "",
        tabulate(
            [
                (
                    case.id,
                    " ".join(case.argv),
                    f"{case.limits.wall_seconds:g} s",
                    f"{case.limits.memory_bytes / 2**20:g} MiB",
                    ", ".join(output.path for output in case.outputs),
                )
                for case in assignment.cases
            ],
            headers=("case", "command", "time", "memory", "writes"),
        ),
        "",
        tabulate(
            [
                (criterion.title, criterion.measurement, _curve(criterion), criterion.max_marks)
                for criterion in assignment.criteria
            ],
            headers=("criterion", "measured by", "marks at", "max"),
            maxcolwidths=[None, None, 60, None],
            disable_numparse=True,
        ),
        "",
        f"marks are rounded down to a multiple of {assignment.marks_step}",
        *([] if assignment.late is None else [_late(assignment.late)]),
    ]
    return "\n".join(parts)


def _late(policy: LatePolicy) -> str:
    """What lateness costs, in one line."""
    deadline = "by the platform's clock" if policy.deadline is None else f"{policy.deadline}"
    of = "the maximum" if policy.of == "maximum" else "the marks given"
    parts = [f"deadline {deadline}"]
    if policy.grace_seconds:
        parts.append(f"{policy.grace_seconds / 60:g} min of grace")
    parts.append(f"then {policy.per_day_percent:f} % of {of} off for each begun day")
    if policy.cut_off_seconds is not None:
        parts.append(f"no marks after {policy.cut_off_seconds / 86_400:g} days")
    return ", ".join(parts)


def _curve(criterion: Criterion) -> str:
    if criterion.is_manual:
        return f"a person looks at: {'; '.join(criterion.look_at)}"
    return ", ".join(f"{point.at}: {point.marks}" for point in criterion.curve)

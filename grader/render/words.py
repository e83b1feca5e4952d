"""What the report's enums are called in front of people. One wording for every renderer."""

from __future__ import annotations

from collections.abc import Sequence

from grader.findings import CATALOGUE
from grader.model import CaseRun, CaseStatus, Fault, Finding, Place, Severity, Verdict
from grader.render.figures import counted

VERDICTS = {
    Verdict.GRADED: "Graded",
    Verdict.PARTLY_GRADED: "Partly graded",
    Verdict.REJECTED: "Rejected",
}
VERDICT_MEANINGS = {
    Verdict.GRADED: "every criterion was measured",
    Verdict.PARTLY_GRADED: "something could not be measured; the findings say why",
    Verdict.REJECTED: "nothing was run; the findings say why",
}
SEVERITY_MEANINGS = {
    Severity.ERROR: "something cannot be graded, or the zip is rejected",
    Severity.WARNING: "graded, but it may cost marks",
    Severity.NOTE: "forgiven, or merely observed",
}
FAULTS = {
    Fault.STUDENT: "in the submission",
    Fault.LIMIT: "a limit was reached",
    Fault.GRADER: "on the course's side: costs no marks",
}
STATUSES = {
    CaseStatus.FINISHED: "finished",
    CaseStatus.FAILED: "failed",
    CaseStatus.KILLED: "killed by a signal",
    CaseStatus.WALL_TIME: "stopped: out of time",
    CaseStatus.CPU_TIME: "stopped: out of CPU time",
    CaseStatus.MEMORY: "stopped: out of memory",
    CaseStatus.PROCESSES: "stopped: too many processes",
    CaseStatus.DISK: "stopped: wrote too much",
    CaseStatus.OUTPUT: "stopped: printed too much",
}


def finding_title(finding: Finding) -> str:
    """The catalogue's title of the finding's code."""
    entry = CATALOGUE.get(finding.code)
    return finding.code if entry is None else entry.title


def baseline_name(name: str) -> str:
    """A baseline's registered name as words: `centred-ellipse` is a centred ellipse."""
    return name.replace("-", " ")


def run_status(run: CaseRun) -> str:
    """How a run ended, with the number that says more."""
    if run.status is CaseStatus.FAILED and run.exit_code is not None:
        return f"{STATUSES[run.status]} with exit code {run.exit_code}"
    if run.status is CaseStatus.KILLED and run.signal is not None:
        return f"{STATUSES[run.status]} ({run.signal})"
    return STATUSES[run.status]


def by_severity(findings: Sequence[Finding]) -> list[tuple[Severity, list[Finding]]]:
    """The findings in groups, worst first, each in the order in which they were found."""
    groups = ((severity, [f for f in findings if f.severity is severity]) for severity in Severity)
    return [(severity, group) for severity, group in groups if group]


def severity_counts(findings: Sequence[Finding]) -> str:
    """`1 error, 3 warnings`, or that there is nothing."""
    groups = by_severity(findings)
    return ", ".join(counted(len(group), severity) for severity, group in groups) or "none"


def placed(place: Place | None, message: str) -> str:
    """`path:line: message`, as compilers write it and editors follow it."""
    # A message may begin with its file already; the line is in no message.
    begins = place is not None and message.startswith((f"{place.path} ", f"{place.path}:"))
    if place is None or (begins and place.line is None):
        return message
    return f"{place}: {message}"

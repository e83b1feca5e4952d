"""Hold an accuracy that a program printed against the one that its files give.

The hidden images lie in no class folders, so that a program cannot know its accuracy on them; a
number that it prints all the same is a person's to judge. It never decides marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.findings import found, quoted
from grader.model import Assignment, CaseRun, Finding, Measurement

_METRIC = "classification.accuracy"
_ACCURACY = re.compile(
    r"\baccuracy\b[^\n\d]{0,40}?(?P<number>\d{1,3}(?:\.\d{1,12})?|\.\d{1,12})\s*(?P<percent>%?)",
    re.IGNORECASE,
)
# Of other images than the hidden ones: nothing to compare.
_OTHER_SPLIT = re.compile(r"\b(?:train(?:ing)?|val(?:id(?:ation)?)?|best|epoch)\b", re.IGNORECASE)
# A number printed with one decimal of a percent, and an image or two judged otherwise.
_TOLERANCE = 0.02
_LONGEST_LINE = 500


def compare_printed(
    runs: Sequence[CaseRun], measurements: Sequence[Measurement], assignment: Assignment
) -> tuple[Finding, ...]:
    """A finding where the last accuracy on a program's stdout is not the one of its labels."""
    values = {measurement.id: measurement.value for measurement in measurements}
    stdout = {run.case: run.stdout for run in runs}
    findings = []
    for spec in assignment.measurements:
        measured = values.get(spec.id)
        printed = _last_accuracy(stdout.get(spec.case, ""))
        if spec.metric != _METRIC or measured is None or printed is None:
            continue
        if abs(printed[0] - measured) > _TOLERANCE:
            message = (
                f'"{quoted(printed[1], 120)}" was printed; the labels that were written give '
                f"{measured:.4f}"
            )
            evidence = {"printed": printed[0], "measured": measured}
            findings.append(found("result.printed-accuracy", message, evidence=evidence))
    return tuple(findings)


def _last_accuracy(text: str) -> tuple[float, str] | None:
    """(accuracy in [0, 1], the line that says so)"""
    for line in reversed(text.splitlines()):
        if _OTHER_SPLIT.search(line[:_LONGEST_LINE]):
            continue
        value = accuracy_in(line)
        if value is not None:
            return value, line.strip()
    return None


def accuracy_in(line: str) -> float | None:
    """The accuracy in [0, 1] that a line states, in percent or as a share; None where it states
    none."""
    match = _ACCURACY.search(line[:_LONGEST_LINE])
    if match is None:
        return None
    number = float(match["number"])
    value = number / 100 if match["percent"] or number > 1 else number
    return value if value <= 1 else None

"""The class as one plain table: a row a submission, also those that are not exported elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

from grader.classroom.final_marks import criterion_marks
from grader.classroom.records import Entry
from grader.model import Severity
from grader.render.csv_cell import csv_cell

_HEAD = (
    "key",
    "entry_number",
    "name",
    "email",
    "zip_name",
    "state",
    "verdict",
    "marks",
    "max_marks",
    "graded_marks",
    "late_penalty",
    "late_seconds",
)
_TAIL = ("adjustments", "errors", "findings", "fault", "zip_sha256")


def class_csv(entries: Sequence[Entry]) -> str:
    """The table, UTF-8 encodable, lines ended by a line feed, in the order of `entries`.

    Whatever a spreadsheet would run as a formula is neutralised by `csv_cell`.
    """
    criteria = _names(entries, "awards", "criterion")
    measurements = _names(entries, "measurements", "id")
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    head = (*_HEAD, *(f"marks {one}" for one in criteria), *measurements, *_TAIL)
    writer.writerow([csv_cell(cell) for cell in head])
    for entry in entries:
        writer.writerow([csv_cell(cell) for cell in _row(entry, criteria, measurements)])
    return stream.getvalue()


def _names(entries: Sequence[Entry], part: str, name: str) -> tuple[str, ...]:
    """Every criterion or measurement that a report has, in the order of the first."""
    reports = [entry.report for entry in entries if entry.report is not None]
    return tuple(dict.fromkeys(str(one[name]) for report in reports for one in report[part]))


def _row(
    entry: Entry, criteria: Sequence[str], measurements: Sequence[str]
) -> list[str | int | float | Decimal | None]:
    submitted, report = entry.submitted, entry.report
    marks = {one.criterion: one.marks for one in criterion_marks(entry)}
    values = {} if report is None else {one["id"]: one["value"] for one in report["measurements"]}
    findings = [] if report is None else report["findings"]
    codes = [one.code for one in submitted.findings] + [one["code"] for one in findings]
    return [
        submitted.key,
        submitted.entry_number,
        submitted.name,
        submitted.email,
        submitted.zip_name,
        str(entry.state),
        None if report is None else report["verdict"],
        entry.marks,
        entry.max_marks,
        entry.graded_marks,
        entry.late_penalty,
        submitted.late_seconds,
        *(marks.get(one) for one in criteria),
        *(values.get(one) for one in measurements),
        "; ".join(
            f"{one.criterion} {one.marks:f} by {one.who}: {one.because}"
            for one in entry.adjustments
        ),
        sum(one["severity"] == Severity.ERROR for one in findings),
        " ".join(dict.fromkeys(codes)),
        entry.fault,
        None if report is None else report["submission"]["zip_sha256"],
    ]

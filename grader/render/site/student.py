"""The page of one submission of a class: final marks, and what led to them.

For the course's staff it belongs to the site; for the student it stands alone, and is made of what
may be shown only: no evidence, no image, nothing that names anybody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grader.classroom.final_marks import criterion_marks, marks_step
from grader.classroom.lateness import lateness_in_words
from grader.classroom.records import Entry
from grader.model import Award, Measurement
from grader.render.audience import STUDENT_OUTPUT_CHARS, is_for_the_course
from grader.render.charts import CurveChart, curve_chart
from grader.render.json_report import finding_document
from grader.render.self_contained import page_policy
from grader.render.site.environment import style, template
from grader.render.site.read_awards import award_of, measurement_of

# Findings of the intake that speak of this student alone.
_FOR_STUDENTS = {"class.late", "class.too-late", "class.entry-differs"}


def student_page(entry: Entry) -> str:
    """The page that a student gets; equal entries give equal pages."""
    return _page(entry, staff=False, before=None, after=None, similar=(), full_report=False)


def staff_page(
    entry: Entry,
    *,
    before: str | None = None,
    after: str | None = None,
    similar: Sequence[str] = (),
    full_report: bool = False,
) -> str:
    """The page of the site: `before` and `after` are the keys of its neighbours in the class,
    `similar` those that are similar to it; `full_report`: `reports/<key>.html` is there."""
    return _page(
        entry, staff=True, before=before, after=after, similar=similar, full_report=full_report
    )


def _page(entry: Entry, *, staff: bool, **links: object) -> str:
    look, late = style(), entry.submitted.late_seconds
    return template("student.html.j2").render(
        entry=entry,
        report=entry.report,
        staff=staff,
        **links,
        step=marks_step(entry),
        criteria=criterion_marks(entry),
        late=lateness_in_words(late) if late else "",
        curves=list(_curves(entry)),
        findings=_findings(entry, staff=staff),
        runs=list(_runs(entry)),
        style=look,
        policy=page_policy(look, ""),
    )


def _curves(entry: Entry) -> Iterator[tuple[Award, Measurement | None, CurveChart]]:
    """Where on its curve each award lies; none for what a person gave."""
    if entry.report is None:
        return
    measured = {one["id"]: measurement_of(one) for one in entry.report["measurements"]}
    for document in entry.report["awards"]:
        if document["curve"]:
            award = award_of(document)
            measurement = measured.get(award.measurement)
            yield award, measurement, curve_chart(award, measurement)


def _findings(entry: Entry, *, staff: bool) -> list[Mapping[str, Any]]:
    severities = ("error", "warning", "note")
    found = [
        finding_document(one)
        for one in entry.submitted.findings
        if staff or one.code in _FOR_STUDENTS
    ]
    found += [
        one
        for one in ([] if entry.report is None else entry.report["findings"])
        if staff or not is_for_the_course(one["code"])
    ]
    return sorted(found, key=lambda one: severities.index(one["severity"]))


def _runs(entry: Entry) -> Iterator[dict[str, Any]]:
    if entry.report is None:
        return
    for run, cost in zip(entry.report["runs"], entry.report["volatile"]["runs"], strict=True):
        ends = {name: cost[name][-STUDENT_OUTPUT_CHARS:] for name in ("stdout", "stderr")}
        yield {**cost, **run, **ends}

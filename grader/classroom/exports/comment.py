"""What a student reads beside the marks: as HTML for Moodle's comments, as lines for the others.

Everything that comes from a submission is made printable and escaped; nothing of the truth is in
it, for findings leave their evidence with the course.
"""

from __future__ import annotations

import re
from decimal import Decimal

from markupsafe import Markup, escape

from grader.classroom.final_marks import criterion_marks, marks_step
from grader.classroom.lateness import lateness_in_words
from grader.classroom.records import Entry, State
from grader.model import Place, Severity
from grader.render import figures
from grader.render.audience import is_for_the_course
from grader.render.printable import printable
from grader.render.words import placed

_OURS = re.compile(r'<div class="vision-grader">.*?</div>', re.DOTALL)
_FINDING_CHARS = 600


def comment_lines(entry: Entry) -> tuple[str, ...]:
    """Total, criteria, lateness, then errors and warnings with what to do."""
    step = marks_step(entry)
    lines = [
        f"{_shown(entry.marks, step)} of {figures.marks(entry.max_marks, step)} marks",
        *(
            f"{one.title}: {_shown(one.marks, step)} of {figures.marks(one.max_marks, step)}"
            + (f" (given by a person: {one.adjusted.because})" if one.adjusted else "")
            for one in criterion_marks(entry)
        ),
    ]
    if entry.state is State.ABSENT:
        lines.append("Nothing was handed in.")
    late = entry.submitted.late_seconds
    if entry.late_penalty and late is not None:
        lines.append(
            f"{lateness_in_words(late)}: {figures.marks(entry.late_penalty, step)} marks off"
        )
    for finding in () if entry.report is None else entry.report["findings"]:
        if finding["severity"] != Severity.NOTE and not is_for_the_course(finding["code"]):
            hint = f" → {finding['hint']}" if finding["hint"] else ""
            place = None if finding["place"] is None else Place(**finding["place"])
            text = f"{finding['title']}: {placed(place, finding['message'])}{hint}"
            lines.append(text if len(text) <= _FINDING_CHARS else f"{text[:_FINDING_CHARS]}…")
    return tuple(printable(line) for line in lines)


def _shown(marks: Decimal | None, step: Decimal) -> str:
    return "–" if marks is None else figures.marks(marks, step)


def html_comment(entry: Entry, before: str = "") -> str:
    """The comment on one line. What a person wrote `before` stays; our own earlier one goes."""
    first, *others = comment_lines(entry)
    items = Markup("").join(Markup("<li>{}</li>").format(line) for line in others)
    ours = Markup('<div class="vision-grader"><p><strong>{}</strong></p><ul>{}</ul></div>').format(
        first, items
    )
    return f"{_OURS.sub('', before).strip()}{escape(ours)}"

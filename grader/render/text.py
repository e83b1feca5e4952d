"""The report for a terminal: marks first, then what was found, then what else was measured.

A plain string; with `ansi` it holds bold and colour, and never an escape sequence of a stranger.
"""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from grader.model import Award, CheckResult, Fault, Finding, Measurement, Report, Severity
from grader.render import figures
from grader.render.audience import Audience, seen_by
from grader.render.histogram import histogram_of
from grader.render.printable import printable, without_commands, wrapped
from grader.render.words import (
    FAULTS,
    VERDICT_MEANINGS,
    VERDICTS,
    baseline_name,
    by_severity,
    finding_title,
    run_status,
    severity_counts,
)

WIDTH_COLUMNS = 100
_LEAST_COLUMNS = 40
_TABLE_COLUMNS = 84  # below this the table of marks becomes a list
_INDENT = 9
_NAME_COLUMNS = 24

_BOLD, _DIM = "1", "2"
_COLOURS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}


def text(
    report: Report,
    *,
    audience: Audience = "ta",
    width_columns: int = WIDTH_COLUMNS,
    ansi: bool = False,
) -> str:
    """The report in lines of at most `width_columns` (at least 40), without a final newline."""
    report = seen_by(report, audience)
    page = _Page(max(width_columns, _LEAST_COLUMNS), ansi)
    page.add(f"{report.entry_number or 'no entry number'} · {report.zip_name}", style=_BOLD)
    page.add(report.assignment.title)
    page.add(f"{VERDICTS[report.verdict]}: {VERDICT_MEANINGS[report.verdict]}")
    page.gap()
    _add_marks(page, report)
    page.gap()
    _add_findings(page, report.findings)
    page.gap()
    _add_evidence(page, report)
    return page.text()


def check_text(
    result: CheckResult, *, width_columns: int = WIDTH_COLUMNS, ansi: bool = False
) -> str:
    """What `grader check` found, in lines of at most `width_columns`."""
    page = _Page(max(width_columns, _LEAST_COLUMNS), ansi)
    _add_findings(page, result.findings)
    page.gap()
    verdict = "passes the check" if result.passed else "does not pass the check"
    page.add(f"{result.zip_name} {verdict} of {result.assignment_id}", style=_BOLD)
    return page.text()


class _Page:
    """Lines that fit, in which strangers' text was made harmless before it was wrapped."""

    def __init__(self, width: int, ansi: bool) -> None:
        self.width = width
        self._ansi = ansi
        self._lines: list[str] = []

    def add(self, content: str, *, indent: int = 0, first: str = "", style: str = "") -> None:
        """One paragraph; `first` stands in the indent of its first line, `style` paints it all."""
        for number, line in enumerate(wrapped(printable(content), self.width - indent)):
            margin = first.ljust(indent) if number == 0 else " " * indent
            shown = without_commands(f"{margin}{line}")
            self._lines.append(self._painted(shown, style))

    def block(self, lines: str) -> None:
        """Lines of a finished table; its cells have to be printable already."""
        self._lines += without_commands(lines).split("\n")

    def gap(self) -> None:
        """An empty line, never two."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines).rstrip("\n")

    def _painted(self, line: str, style: str) -> str:
        return f"\x1b[{style}m{line}\x1b[0m" if self._ansi and style and line else line


# --------------------------------------------------------------------------- marks


def _add_marks(page: _Page, report: Report) -> None:
    step = report.assignment.marks_step
    given, most = figures.marks(report.marks, step), figures.marks(report.max_marks, step)
    page.add(f"Marks {given} of {most}", style=_BOLD)
    if not report.awards:
        return
    page.gap()
    measured = {measurement.id: measurement for measurement in report.measurements}
    rows = [_row(report, award, measured.get(award.measurement)) for award in report.awards]
    headers = ("criterion", "marks", "value", "interval", "baseline")
    if page.width < _TABLE_COLUMNS:
        for row, award in zip(rows, report.awards, strict=True):
            page.add(f"{row[1]}  {row[0]}")
            for header, cell in list(zip(headers, row, strict=True))[2:]:
                page.add(f"{header} {cell}", indent=4)
            _add_reason(page, award)
        return
    title_columns = page.width - max(
        sum(max(map(len, column)) for column in zip(*(row[1:] for row in rows), strict=True)) + 10,
        page.width // 2,
    )
    table = tabulate(
        rows,
        headers=headers,
        tablefmt="simple",
        maxcolwidths=[max(title_columns, 16), None, None, None, None],
        colalign=("left", "right", "right", "right", "left"),
        disable_numparse=True,
    )
    page.block(table)
    page.gap()
    for award in report.awards:
        page.add(award.title)
        _add_reason(page, award)


def _row(report: Report, award: Award, measurement: Measurement | None) -> tuple[str, ...]:
    step = report.assignment.marks_step
    baselines = {} if measurement is None else measurement.baselines
    best = max(baselines, key=lambda name: baselines[name], default=None)
    return (
        printable(award.title),
        f"{figures.marks(award.marks, step)} / {figures.marks(award.max_marks, step)}",
        figures.value(award.value),
        figures.interval(None if measurement is None else measurement.interval),
        "–"
        if best is None
        else f"{figures.value(baselines[best])} {_short(printable(baseline_name(best)))}",
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME_COLUMNS else f"{name[: _NAME_COLUMNS - 1]}…"


def _add_reason(page: _Page, award: Award) -> None:
    rounding = "" if award.value is None else f"; {award.rounding}"
    page.add(f"{award.reason}{rounding}", indent=4)


# --------------------------------------------------------------------------- findings


def _add_findings(page: _Page, findings: Sequence[Finding]) -> None:
    page.add(f"Findings: {severity_counts(findings)}", style=_BOLD)
    for severity, group in by_severity(findings):
        for finding in group:
            page.gap()
            page.add(
                f"{finding_title(finding)} [{finding.code}]",
                indent=_INDENT,
                first=severity,
                style=_COLOURS[severity],
            )
            page.add(_placed(finding), indent=_INDENT)
            if finding.fault is not Fault.STUDENT:
                page.add(FAULTS[finding.fault], indent=_INDENT)
            if finding.hint:
                page.add(finding.hint, indent=_INDENT, first=" " * (_INDENT - 2) + "→")


def _placed(finding: Finding) -> str:
    """`path:line: message`, as compilers write it and editors follow it."""
    if finding.place is None or finding.message.startswith(finding.place.path):
        return finding.message
    return f"{finding.place}: {finding.message}"


# --------------------------------------------------------------------------- evidence


def _add_evidence(page: _Page, report: Report) -> None:
    measured = [measurement for measurement in report.measurements if measurement.value is not None]
    if measured:
        page.add("Measured", style=_BOLD)
        for measurement in measured:
            page.add(_measured(measurement), indent=4)
        page.gap()
    for run in report.runs:
        limit = f": {run.limit}" if run.limit else ""
        page.add(
            f"{run.case}: {run_status(run)}{limit}, {figures.seconds(run.wall_seconds)}, "
            f"{figures.size(run.peak_memory_bytes)}, sandbox {run.backend}"
        )
    checked = report.independent
    if checked is not None:
        page.add(
            f"Independent evaluation: the checkpoint (n = {checked.shape.n}, "
            f"{checked.shape.layers} layers, {checked.shape.parameters:,} parameters) has the "
            f"accuracy {figures.value(checked.accuracy)} and agrees with the submitted labels on "
            f"{figures.percent(checked.agreement)} of the images ({checked.preprocessing})"
        )


def _measured(measurement: Measurement) -> str:
    histogram = histogram_of(measurement)
    median = "" if histogram is None else f", median {figures.value(histogram.median)}"
    images = figures.counted(measurement.count, "image")
    return f"{measurement.title}: {figures.value(measurement.value)}{median}, {images}"

"""The report for a terminal: marks first, then what was found, then what else was measured.

A plain string; with `ansi` it holds bold and colour, and never an escape sequence of a stranger.
"""

from __future__ import annotations

from tabulate import tabulate

from grader.model import (
    Award,
    EarlierComparison,
    Experiment,
    Measurement,
    ProbePass,
    Report,
)
from grader.render import figures
from grader.render.audience import Audience, seen_by
from grader.render.histogram import histogram_of
from grader.render.page import BOLD, LEAST_COLUMNS, WIDTH_COLUMNS, Page, add_findings
from grader.render.printable import printable
from grader.render.words import VERDICT_MEANINGS, VERDICTS, baseline_name, finding_title, run_status

_TABLE_COLUMNS = 84  # below this the table of marks becomes a list
_NAME_COLUMNS = 24


def text(
    report: Report,
    *,
    audience: Audience = "ta",
    width_columns: int = WIDTH_COLUMNS,
    ansi: bool = False,
) -> str:
    """The report in lines of at most `width_columns` (at least 40), without a final newline."""
    report = seen_by(report, audience)
    page = Page(max(width_columns, LEAST_COLUMNS), ansi)
    page.add(f"{report.entry_number or 'no entry number'} · {report.zip_name}", style=BOLD)
    page.add(report.assignment.title)
    page.add(f"{VERDICTS[report.verdict]}: {VERDICT_MEANINGS[report.verdict]}")
    page.gap()
    _add_marks(page, report)
    page.gap()
    add_findings(page, report.findings)
    page.gap()
    _add_evidence(page, report)
    return page.text()


# --------------------------------------------------------------------------- marks


def _add_marks(page: Page, report: Report) -> None:
    step = report.assignment.marks_step
    given, most = figures.marks(report.marks, step), figures.marks(report.max_marks, step)
    manual = figures.marks(report.manual_marks, step)
    rest = f"; {manual} of them are still a person's to give" if report.manual_marks else ""
    page.add(f"Marks {given} of {most}{rest}", style=BOLD)
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
                if not award.is_manual:
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
        f"{'–' if award.is_manual else figures.marks(award.marks, step)} / "
        f"{figures.marks(award.max_marks, step)}",
        figures.value(award.value),
        figures.interval(None if measurement is None else measurement.interval),
        "–"
        if best is None
        else f"{figures.value(baselines[best])} {_short(printable(baseline_name(best)))}",
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME_COLUMNS else f"{name[: _NAME_COLUMNS - 1]}…"


def _add_reason(page: Page, award: Award) -> None:
    rounding = "" if award.value is None else f"; {award.rounding}"
    page.add(f"{award.reason}{rounding}", indent=4)
    for place in award.look_at:
        page.add(f"look at: {place}", indent=4)


# --------------------------------------------------------------------------- evidence


def _add_evidence(page: Page, report: Report) -> None:
    measured = [measurement for measurement in report.measurements if measurement.value is not None]
    if measured:
        page.add("Measured", style=BOLD)
        for measurement in measured:
            page.add(_measured(measurement), indent=4)
        page.gap()
    for run in report.runs:
        limit = f": {run.limit}" if run.limit else ""
        page.add(
            f"{run.case}: {run_status(run)}{limit}, {figures.seconds(run.wall_seconds)}, "
            f"{figures.size(run.peak_memory_bytes)}, sandbox {run.backend}"
        )
    for experiment in report.experiments:
        page.add(_experiment(experiment))
    if report.probe is not None:
        page.add(f"Probe: {report.probe.conclusion}")
        for result in report.probe.passes:
            page.add(_pass(result), indent=4)
    if report.earlier is not None:
        _add_earlier(page, report.earlier)
    checked = report.independent
    if checked is not None:
        page.add(
            f"Independent evaluation: the checkpoint (n = {checked.shape.n}, "
            f"{checked.shape.layers} layers, {checked.shape.parameters:,} parameters) has the "
            f"accuracy {figures.value(checked.accuracy)} and agrees with the submitted labels on "
            f"{figures.percent(checked.agreement)} of the images ({checked.preprocessing.id})"
        )


def _add_earlier(page: Page, earlier: EarlierComparison) -> None:
    flagged = sum(match.flagged for match in earlier.matches)
    page.add(
        f"Earlier years: {figures.counted(earlier.compared, 'submission')} compared, "
        f"{flagged or 'none'} worth a look; evidence for a person, no marks"
    )
    for match in earlier.matches:
        look = "worth a look" if match.flagged else "below the threshold"
        page.add(f"{match.name}: {figures.value(match.score)}, {look}: {match.message}", indent=4)
    for finding in earlier.findings:
        place = "" if finding.place is None else f"{finding.place}: "
        page.add(f"{finding_title(finding)}: {place}{finding.message}", indent=4)


def _pass(result: ProbePass) -> str:
    """One line: what was done to the images, and what that changed."""
    parts = [
        f"{change.title} {figures.value(change.first)} → {figures.value(change.value)} "
        f"({change.worse} worse, {change.better} better)"
        for change in result.changes
    ]
    if result.relabelled is not None:
        parts.append(f"{result.relabelled} of {result.count} labels differ")
    return f"{result.title}: {', '.join(parts)}"


def _experiment(experiment: Experiment) -> str:
    """One line: what the checkpoint is, what it reaches, what speaks against it."""
    parts = [experiment.path or "no checkpoint"]
    if experiment.norm is not None:
        parts.append(f"normalisation {experiment.norm}")
    if experiment.layers:
        parts.append(f"{experiment.built_in} of {experiment.layers} layers ready-made")
    checked = experiment.evaluation
    if checked is not None:
        parts.append(
            f"accuracy {figures.value(checked.accuracy)}, agrees with the submitted labels on "
            f"{figures.percent(checked.agreement)} of the images"
        )
    logged = experiment.logged.get("val_accuracy")
    if logged is not None:
        parts.append(f"the log says {figures.value(logged)}")
    if experiment.void:
        parts.append(f"void: {', '.join(experiment.void)}")
    return f"{experiment.title}: {'; '.join(parts)}"


def _measured(measurement: Measurement) -> str:
    histogram = histogram_of(measurement)
    median = "" if histogram is None else f", median {figures.value(histogram.median)}"
    images = figures.counted(measurement.count, measurement.counted)
    return f"{measurement.title}: {figures.value(measurement.value)}{median}, {images}"

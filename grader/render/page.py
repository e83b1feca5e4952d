"""Lines for a terminal that fit, and findings on them; what `grader check` prints.

Apart from `grader.render.text`, because a check is run over and over and needs no tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.model import CheckResult, Fault, Finding, Severity
from grader.render.printable import printable, without_commands, wrapped
from grader.render.words import FAULTS, by_severity, finding_title, placed, severity_counts

WIDTH_COLUMNS = 100
LEAST_COLUMNS = 40
_INDENT = 9

BOLD = "1"
_COLOURS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}


def check_text(
    result: CheckResult, *, width_columns: int = WIDTH_COLUMNS, ansi: bool = False
) -> str:
    """What `grader check` found, in lines of at most `width_columns`."""
    page = Page(max(width_columns, LEAST_COLUMNS), ansi)
    add_findings(page, result.findings)
    page.gap()
    verdict = "passes the check" if result.passed else "does not pass the check"
    page.add(f"{result.zip_name} {verdict} of {result.assignment_id}", style=BOLD)
    return page.text()


def checks_text(
    results: Sequence[CheckResult], *, width_columns: int = WIDTH_COLUMNS, ansi: bool = False
) -> str:
    """What was found in every zip, each under its name where there are several, with a final
    newline."""
    shown = [check_text(one, width_columns=width_columns, ansi=ansi) for one in results]
    if len(shown) > 1:
        for number, one in enumerate(results):
            heading = Page(max(width_columns, LEAST_COLUMNS), ansi)
            heading.add(f"{one.zip_name}:", style=BOLD)
            shown[number] = f"{heading.text()}\n{shown[number]}"
    return "\n\n".join(shown) + "\n"


class Page:
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


def add_findings(page: Page, findings: Sequence[Finding]) -> None:
    page.add(f"Findings: {severity_counts(findings)}", style=BOLD)
    for severity, group in by_severity(findings):
        for finding in group:
            page.gap()
            page.add(
                f"{finding_title(finding)} [{finding.code}]",
                indent=_INDENT,
                first=severity,
                style=_COLOURS[severity],
            )
            page.add(placed(finding.place, finding.message), indent=_INDENT)
            if finding.fault is not Fault.STUDENT:
                page.add(FAULTS[finding.fault], indent=_INDENT)
            if finding.hint:
                page.add(finding.hint, indent=_INDENT, first=" " * (_INDENT - 2) + "→")

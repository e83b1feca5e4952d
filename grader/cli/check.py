"""`grader check`: what is wrong, where, and how to mend it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.assignments.load import load_assignment
from grader.check import check as check_submission
from grader.cli.options import ASSIGNMENT, EXIT_MET, EXIT_NOT_MET, FORMAT, UNSAFE
from grader.cli.output import look_of_stdout, stages
from grader.cli.streams import print_utf8
from grader.errors import UsageError
from grader.render.check import render_checks
from grader.render.page import checks_text

if TYPE_CHECKING:
    from grader.model import CheckResult


@click.command()
@click.argument(
    "zip_paths", metavar="ZIP...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@ASSIGNMENT
@click.option(
    "--smoke",
    is_flag=True,
    help="Also run the programs for a moment in the course's sandbox, on made-up images.",
)
@FORMAT
@UNSAFE
def check(
    zip_paths: tuple[Path, ...], assignment: str, smoke: bool, style: str, unsafe_no_sandbox: bool
) -> None:
    """Check a submission as the course will: what is wrong, where, and how to mend it."""

    definition = load_assignment(assignment)
    for path in zip_paths:
        if not path.exists():
            raise UsageError(
                f"{path}: there is no such file",
                hint="give the zip to check; `make submit ENTRY_NUMBER=2023AIB2080` makes "
                "2023AIB2080.zip, `make check` takes the same number",
            )
    backend = None
    if smoke:
        from grader.sandbox import choose_backend

        backend = choose_backend(allow_unsafe=unsafe_no_sandbox)
    results = []
    for path in zip_paths:
        with stages() as progress:
            results.append(check_submission(path, definition, smoke=backend, progress=progress))
    print_results(tuple(results), style)
    sys.exit(EXIT_MET if all(result.passed for result in results) else EXIT_NOT_MET)


def print_results(results: tuple[CheckResult, ...], style: str) -> None:
    """Print what was found; on a terminal as wide as it is."""
    if style == "text":
        look = look_of_stdout()
        shown = checks_text(results, width_columns=look.width_columns, ansi=look.ansi)
    else:
        print_utf8()
        shown = render_checks(results, style)
    click.echo(shown, nl=False)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if style == "github" and summary:
        from grader.render.github import summary_of_checks

        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(summary_of_checks(results))
        except OSError as error:
            # The annotations are printed, and the verdict does not hang on a summary.
            click.echo(f"grader: GITHUB_STEP_SUMMARY {summary}: {error.strerror}", err=True)

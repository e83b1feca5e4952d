"""Options that several commands share, and the exit codes."""

from __future__ import annotations

import click

EXIT_MET, EXIT_NOT_MET, EXIT_USAGE, EXIT_GRADER = 0, 1, 2, 3

DEFAULT_ASSIGNMENT = "ail721-a2"

ASSIGNMENT = click.option(
    "-a",
    "--assignment",
    default=DEFAULT_ASSIGNMENT,
    show_default=True,
    metavar="ID|PATH",
    help="The assignment: an id from `grader assignments list`, or a definition's folder or file.",
)
UNSAFE = click.option(
    "--unsafe-no-sandbox",
    is_flag=True,
    help="Run student code without isolation when no sandbox works; stamped into the report.",
)


FORMATS = ("text", "json", "junit", "github", "sarif")
FORMAT = click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How the findings are printed; `github` also writes the step's summary.",
)

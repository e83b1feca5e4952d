"""`grader assignments`: list, show, validate."""

from __future__ import annotations

import click
from tabulate import tabulate

from grader.assignments.load import builtin_ids, load_assignment
from grader.render.definition import definition_text


@click.group()
def assignments() -> None:
    """List, show and validate assignment definitions."""


@assignments.command("list")
def list_assignments() -> None:
    """The assignments that come with the grader."""

    rows = [
        (definition.id, definition.course, definition.title, str(definition.max_marks))
        for definition in map(load_assignment, builtin_ids())
    ]
    click.echo(tabulate(rows, headers=("id", "course", "title", "marks"), disable_numparse=True))


@assignments.command("show")
@click.argument("assignment", metavar="ID|PATH")
def show_assignment(assignment: str) -> None:
    """What an assignment asks for and how it is marked."""

    click.echo(definition_text(load_assignment(assignment)))


@assignments.command("validate")
@click.argument("assignment", metavar="ID|PATH")
def validate_assignment(assignment: str) -> None:
    """Check a definition and everything it names; errors name file and line."""

    definition = load_assignment(assignment)
    click.echo(f"{definition.directory}: {definition.id} is valid (sha256 {definition.sha256})")

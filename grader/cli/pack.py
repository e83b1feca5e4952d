"""`grader pack` and `grader init`: a student's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from grader.assignments.load import load_assignment
from grader.check import check as check_submission
from grader.cli.check import print_results
from grader.cli.options import ASSIGNMENT, EXIT_MET, EXIT_NOT_MET, FORMAT
from grader.packing import pack as pack_directory
from grader.render.packed import packed_text
from grader.starter import write_starter


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--entry-number", required=True, metavar="X", help="Yours, e.g. 2023AIB2080.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path(),
    show_default="here",
    help="Where the zip goes.",
)
@click.option(
    "--extra",
    "extras",
    multiple=True,
    metavar="PATH",
    help="A further file or folder of DIR to pack; may be repeated.",
)
@ASSIGNMENT
@FORMAT
def pack(
    directory: Path,
    entry_number: str,
    out: Path,
    extras: tuple[str, ...],
    assignment: str,
    style: str,
) -> None:
    """Pack a folder as ENTRY_NUMBER.zip: what the scripts need and nothing else, checked."""

    definition = load_assignment(assignment)
    packed = pack_directory(
        directory,
        entry_number,
        definition,
        out,
        extras,
        check=lambda path: check_submission(path, definition),
    )
    click.echo(packed_text(packed), err=style != "text", nl=False)
    print_results((packed.check,), style)
    sys.exit(EXIT_MET if packed.written and packed.check.passed else EXIT_NOT_MET)


@click.command()
@click.argument("assignment", metavar="ID|PATH")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def init(assignment: str, directory: Path) -> None:
    """Give a student a skeleton: the contract's command lines, empty bodies, a Makefile."""

    for name in write_starter(load_assignment(assignment), directory):
        click.echo(directory / name)

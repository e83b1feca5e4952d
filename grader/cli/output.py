"""Files that commands write, whole or not at all, and the progress that they show."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

import click

from grader.errors import UsageError
from grader.render.page import WIDTH_COLUMNS
from grader.whole_file import whole_file

if TYPE_CHECKING:
    from grader.model import Report
    from grader.render.audience import Audience


class Look(NamedTuple):
    """How wide what is printed may be, and whether it may be coloured."""

    width_columns: int
    ansi: bool


def is_terminal(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that moves its cursor and colours when it is told to."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def look_of_stdout() -> Look:
    """That of the terminal; a file and a pipe get WIDTH_COLUMNS and no colour."""
    if not sys.stdout.isatty():
        return Look(WIDTH_COLUMNS, False)
    columns = shutil.get_terminal_size((WIDTH_COLUMNS, 1)).columns
    # https://no-color.org: set and not empty
    is_coloured = is_terminal(sys.stdout) and not os.environ.get("NO_COLOR")
    return Look(min(columns, WIDTH_COLUMNS), is_coloured)


def check_out(out: Path, option: str = "--out") -> None:
    """Refuse before the work what would fail after it."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{option} {out}: is a file; a folder is needed")
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"{option} {out}: {nearest} cannot be written to", hint="choose another")


def check_out_file(path: Path, option: str) -> None:
    """The same for a file that will be written."""
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder", hint="give the name of a file in it")
    check_out(path.parent, option)


def prepare_report() -> None:
    """Load what shows a report, ahead of it."""
    from grader.render import json_report, text  # noqa: F401
    from grader.render.html import page_template

    page_template()


def write_report(report: Report, out: Path, audience: Audience) -> tuple[Path, ...]:
    """Write report.json and report.html into `out`, each whole or not at all."""
    from grader.render.html import html
    from grader.render.json_report import report_json

    contents = {
        "report.json": report_json(report, audience=audience),
        "report.html": html(report, audience=audience),
    }
    for name, content in contents.items():
        write_whole(out / name, content)
    return tuple(out / name for name in contents)


def write_whole(path: Path, content: str) -> None:
    """Write `content` in UTF-8, whole or not at all. Raises UsageError when it cannot be."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder", hint="give the name of a file in it")
    try:
        with whole_file(path) as file:
            file.write(content.encode())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another folder with --out",
        ) from error


def tell_written(path: Path, what: str) -> None:
    """Say what is in the file `path` now; on stderr where that file is stdout itself."""
    try:
        is_stdout = os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # a folder without rights, or a stdout that is no file
        is_stdout = False
    click.echo(f"{path}: {what}", err=is_stdout)


@contextlib.contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Show on a terminal which stage runs; silent elsewhere."""
    shown = is_terminal(sys.stderr)

    def progress(stage: str) -> None:
        if shown:
            # A line that wraps could not be taken away again.
            room = max(1, shutil.get_terminal_size().columns - len(" …") - 1)
            click.echo(f"\r\033[K{stage[:room]} …", nl=False, err=True)

    try:
        yield progress
    finally:
        if shown:
            click.echo("\r\033[K", nl=False, err=True)

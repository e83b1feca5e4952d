"""`grader export` and `grader report`: marks for the platforms, and a site for the staff."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.classroom.records import State
from grader.classroom.store import open_store
from grader.cli.options import EXIT_MET, EXIT_NOT_MET, PATH, RESULTS
from grader.cli.output import check_out, tell_written, write_whole
from grader.errors import UsageError
from grader.findings import listed

if TYPE_CHECKING:
    from markupsafe import Markup

    from grader.classroom.exports.filled import Filled, LeftOut
    from grader.classroom.final_marks import Counting
    from grader.classroom.records import Entry
    from grader.render.site.class_view import Cluster

_PICTURE_PAGES = 5  # so many reports are looked through for the pictures of the hardest images


@click.command("export")
@RESULTS
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "moodle", "canvas", "gradescope", "feedback-zip"]),
    required=True,
    help="What to write: a plain table, Moodle's grading worksheet, Canvas's gradebook, a "
    "results.json for each Gradescope submission, Moodle's zip of feedback files.",
)
@click.option(
    "--worksheet",
    metavar="FILE",
    type=PATH,
    help="The CSV that Moodle or Canvas gave; it is edited in place unless --out is given.",
)
@click.option(
    "--column",
    metavar="TITLE",
    help="Canvas: the assignment's column, where its title does not tell by its points.",
)
@click.option(
    "--out",
    metavar="PATH",
    type=PATH,
    help="The file or folder to write. Default: in RESULTS, or the worksheet itself.",
)
@click.option(
    "--absent-zero",
    is_flag=True,
    help="csv, moodle, canvas: 0 marks for those on the roster who handed in nothing. Without it "
    "they get none.",
)
def export(
    results: Path,
    form: str,
    worksheet: Path | None,
    column: str | None,
    out: Path | None,
    absent_zero: bool,
) -> None:
    """Write the marks of a class in a platform's own format. Whom it leaves out, it says."""
    from grader.classroom.final_marks import counting, zero_for_absent

    if absent_zero and form in ("gradescope", "feedback-zip"):
        raise UsageError(
            f"--format {form} takes no --absent-zero",
            hint="it holds what students handed in; there is nothing for those who did not",
        )
    if column is not None and form != "canvas":
        raise UsageError("--column is for --format canvas")
    if worksheet is None and form in ("moodle", "canvas"):
        raise UsageError(
            f"--format {form} needs --worksheet FILE",
            hint="Moodle: Grading, Download grading worksheet. Canvas: Grades, Export",
        )
    if worksheet is not None and form in ("csv", "gradescope"):
        raise UsageError(f"--format {form} takes no --worksheet")
    with open_store(results) as store:
        entries = store.entries()
    if absent_zero:
        entries = zero_for_absent(entries)
    chosen = counting(entries)
    if form == "csv":
        # Everybody is in it, whether it counts or not: it says so itself.
        path = out or results / "marks.csv"
        _write_csv(entries, path)
        handed_in = sum(entry.state is not State.ABSENT for entry in entries)
        tell_written(path, _submissions(handed_in))
        sys.exit(EXIT_MET)
    left_out = _FORMS[form](chosen, results, worksheet, column, out)
    sys.exit(EXIT_NOT_MET if _say_left_out(chosen, left_out, worksheet) else EXIT_MET)


def _write_csv(entries: Sequence[Entry], path: Path) -> None:
    from grader.classroom.exports.plain_csv import class_csv

    write_whole(path, class_csv(entries))


def _moodle(
    chosen: Counting, _: Path, worksheet: Path | None, __: str | None, out: Path | None
) -> LeftOut:
    from grader.classroom.exports.moodle import fill_moodle
    from grader.classroom.exports.worksheet import read_worksheet

    assert worksheet is not None
    filled = fill_moodle(read_worksheet(worksheet), chosen.entries, chosen.unexported)
    return _write_filled(filled, out or worksheet)


def _canvas(
    chosen: Counting, _: Path, worksheet: Path | None, column: str | None, out: Path | None
) -> LeftOut:
    from grader.classroom.exports.canvas import fill_canvas
    from grader.classroom.exports.worksheet import read_worksheet

    assert worksheet is not None
    sheet = read_worksheet(worksheet)
    filled = fill_canvas(sheet, chosen.entries, column, chosen.unexported)
    return _write_filled(filled, out or worksheet)


def _write_filled(filled: Filled, path: Path) -> Filled:
    write_whole(path, filled.text)
    tell_written(path, f"{filled.filled} rows filled")
    for line in filled.kept:
        click.echo(f"left as it is: {line}", err=True)
    return filled


def _gradescope(
    chosen: Counting, results: Path, _: Path | None, __: str | None, out: Path | None
) -> LeftOut:
    from grader.classroom.exports.filled import LeftOut
    from grader.classroom.exports.gradescope import gradescope_files

    folder = out or results / "gradescope"
    check_out(folder)
    files = gradescope_files(chosen.entries)
    for name, content in files.items():
        write_whole(folder / name, json.dumps(content, indent=2) + "\n")
    click.echo(f"{folder}: results.json for {_submissions(len(files))}")
    return LeftOut()


def _feedback_zip(
    chosen: Counting, results: Path, worksheet: Path | None, _: str | None, out: Path | None
) -> LeftOut:
    from grader.classroom.exports.feedback_zip import write_feedback_zip
    from grader.classroom.exports.filled import LeftOut
    from grader.classroom.exports.worksheet import read_worksheet

    path = out or results / "feedback.zip"
    sheet = None if worksheet is None else read_worksheet(worksheet)
    zipped = write_feedback_zip(chosen.entries, path, sheet, chosen.unexported)
    tell_written(path, f"a page for {_submissions(zipped.submissions)}")
    if len(zipped.unplaced) == len(chosen.entries) and sheet is None:
        return LeftOut()  # the class did not come from Moodle, and nobody said that it goes there
    return zipped


_Export = Callable[["Counting", Path, "Path | None", "str | None", "Path | None"], "LeftOut"]
_FORMS: dict[str, _Export] = {
    "moodle": _moodle,
    "canvas": _canvas,
    "gradescope": _gradescope,
    "feedback-zip": _feedback_zip,
}


def _say_left_out(chosen: Counting, left_out: LeftOut, worksheet: Path | None) -> bool:
    """Say on stderr who is not in the export, and why; whether anybody is missing."""
    nowhere = (
        "has no folder in the download: --worksheet gives Moodle's names"
        if worksheet is None
        else "has no row in the worksheet"
    )
    missing = {
        nowhere: [*_keys(left_out.unplaced), *left_out.members],
        "has no marks yet: run `grader class` again": _keys(chosen.ungraded),
        "has two submissions and nothing says which one counts (column zip of roster.csv)": _keys(
            chosen.undecided
        ),
    }
    for why, names in missing.items():
        if names:
            click.echo(f"not exported: {listed(names, 12)}: {why}", err=True)
    for row in left_out.disputed:
        click.echo(f"{row}: say in roster.csv who is who, or which zip counts", err=True)
    if chosen.superseded:
        keys = listed(_keys(chosen.superseded), 12)
        click.echo(f"not exported: {keys}: a later submission counts", err=True)
    if chosen.absent:
        keys = listed(_keys(chosen.absent), 12)
        click.echo(f"not exported: {keys}: handed in nothing", err=True)
    if chosen.incomplete:
        keys = listed(_keys(chosen.incomplete), 12)
        click.echo(
            f"exported without the marks that a person has yet to give (`grader adjust`): {keys}",
            err=True,
        )
    return bool(any(missing.values()) or left_out.disputed)


def _keys(entries: Sequence[Entry]) -> list[str]:
    return [entry.submitted.key for entry in entries]


def _submissions(number: int) -> str:
    return f"{number} submission" if number == 1 else f"{number} submissions"


@click.command()
@RESULTS
@click.option(
    "--html",
    "site",
    required=True,
    metavar="SITE/",
    type=PATH,
    help="The folder to write; open its index.html. It needs no server and nothing else.",
)
def report(results: Path, site: Path) -> None:
    """Write a site of the class for its staff: table, distributions, findings, hardest images."""
    with open_store(results) as store:
        info, entries = store.info(), store.entries()
    from grader.classroom.similar import PAGES_FOLDER, SIMILARITY_FILE

    check_out(site, "--html")
    if not entries:
        raise UsageError(f"{results}: there is no submission yet")
    clusters = _clusters(results / SIMILARITY_FILE)
    pages = results / PAGES_FOLDER
    comparison = pages if pages.is_dir() else None
    index = write_site(entries, info.title, info.course, clusters, site, comparison)
    click.echo(f"page: {index}")


def write_site(
    entries: Sequence[Entry],
    title: str,
    course: str,
    clusters: Sequence[Cluster],
    site: Path,
    comparison: Path | None = None,
) -> Path:
    """Write the site into the folder `site`; returns its index. `comparison` is the folder of the
    pages of the class's comparison. They and the reports' own pages are linked to (hard links cost
    nothing and stay as they are when a regrading writes new ones), or copied where the disks
    differ."""
    from grader.render.site.class_view import class_view
    from grader.render.site.pages import site_pages

    site.mkdir(mode=0o700, parents=True, exist_ok=True)  # marks and hidden images: one's own
    view = class_view(entries, title, course, clusters)
    reports = {
        entry.submitted.key: path
        for entry in entries
        if entry.report_folder is not None
        and (path := entry.report_folder / "report.html").is_file()
    }
    for key, path in reports.items():
        _take_over(path, site / "reports" / f"{key}.html")
    compared = _take_over_folder(comparison, site / "similar")
    pictures = _pictures([image.name for image in view.images], list(reports.values()))
    for name, text in site_pages(
        entries, view, pictures=pictures, reports=reports, compared=compared
    ):
        write_whole(site / name, text)
    return site / "index.html"


def _take_over_folder(source: Path | None, goal: Path) -> bool:
    """The files below `source` and no others; whether there are any."""
    files = [] if source is None else [path for path in source.rglob("*") if path.is_file()]
    places = {goal / path.relative_to(source or path): path for path in files}
    for earlier in goal.rglob("*"):
        if earlier.is_file() and earlier not in places:
            earlier.unlink()
    for place, path in places.items():
        _take_over(path, place)
    return bool(places)


def _take_over(source: Path, goal: Path) -> None:
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        if goal.exists() and goal.samefile(source):
            return
        fresh = goal.with_name(f".{goal.name}-new")
        fresh.unlink(missing_ok=True)
        try:
            os.link(source, fresh)
        except OSError:
            shutil.copyfile(source, fresh)
        fresh.replace(goal)
    except OSError as error:
        raise UsageError(
            f"{goal}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another folder with --html",
        ) from error


def _pictures(names: Sequence[str], pages: Sequence[Path]) -> dict[str, Markup]:
    """The pictures of those images, from the first reports that show them."""
    from grader.render.site.pictures import pictures_in

    found: dict[str, Markup] = {}
    for path in pages[:_PICTURE_PAGES]:
        missing = [name for name in names if name not in found]
        if not missing:
            break
        found |= pictures_in(path.read_text("utf-8"), missing)
    return found


def _clusters(path: Path) -> tuple[Cluster, ...]:
    """What `grader similar` wrote; nothing where there is no such file."""
    from grader.render.site.class_view import Cluster

    if not path.is_file():
        return ()
    try:
        document = json.loads(path.read_text("utf-8"))
        return tuple(
            Cluster(tuple(map(str, one["members"])), str(one["why"]))
            for one in document["clusters"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: cannot be read as clusters: {error}",
            hint="compare the class again, or take the file away",
        ) from error

"""`grader class` and what belongs to it: status, regrade, diff, adjust."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.classroom.progress import Progress, counted, running_lines, summary
from grader.classroom.records import Setup, State
from grader.classroom.run_lock import who_runs
from grader.classroom.store import FILE_NAME, REPORTS_FOLDER, open_store
from grader.cli.options import (
    ARCHIVE,
    ASSIGNMENT,
    BASE,
    CLASSES,
    EXIT_GRADER,
    EXIT_MET,
    EXIT_NOT_MET,
    EXIT_STOPPED,
    IMAGES,
    LABELS,
    MASKS,
    NO_INDEPENDENT,
    PATH,
    PROBE,
    RESULTS,
    UNSAFE,
)
from grader.cli.output import is_terminal, stages
from grader.cli.similar import check_given
from grader.errors import GraderError, UsageError
from grader.findings import listed

if TYPE_CHECKING:
    from grader.classroom.grade_class import Standing, Workers
    from grader.classroom.marks import Misfit
    from grader.classroom.records import Absent, Submitted

_QUIET_SECONDS = 60.0
WORKERS = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many submissions are graded at the same time on this machine. Default: one for each "
    "GPU, else for each core, as far as memory goes.",
)
SCHEDULER = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="A Dask scheduler whose workers grade, e.g. tcp://head:8786 (Slurm, PBS, Kubernetes), or "
    "the file that its --scheduler-file names.",
)
BECAUSE = click.option(
    "--because", required=True, metavar="TEXT", help="The reason; it stays in the record."
)


@click.command("class")
@click.argument("submissions", metavar="SUBMISSIONS/", type=PATH)
@MASKS
@IMAGES
@LABELS
@CLASSES
@ASSIGNMENT
@click.option(
    "--out",
    "results",
    metavar="RESULTS",
    type=PATH,
    default=Path("results"),
    show_default=True,
    help="Where the class is kept: class.sqlite, and a report for each submission.",
)
@click.option(
    "--roster",
    metavar="CSV",
    type=PATH,
    help="Names, ids and times of the class; beside what the platform's download says.",
)
@WORKERS
@SCHEDULER
@click.option("--force", is_flag=True, help="Grade everything again, also what has not changed.")
@NO_INDEPENDENT
@PROBE
@click.option(
    "--no-similar",
    is_flag=True,
    help="Do not compare the submissions with each other when all are graded.",
)
@BASE
@ARCHIVE
@UNSAFE
def class_(
    submissions: Path,
    masks: Path | None,
    images: Path | None,
    labels: Path | None,
    classes: Path | None,
    assignment: str,
    results: Path,
    roster: Path | None,
    workers: int | None,
    scheduler: str | None,
    force: bool,
    no_independent: bool,
    probed: bool,
    no_similar: bool,
    base: tuple[Path, ...],
    archive: tuple[Path, ...],
    unsafe_no_sandbox: bool,
) -> None:
    """Grade a whole class. Stop it, kill it, repeat it: what is done is kept and not done again.

    SUBMISSIONS/ is a folder of zips, or what Moodle, Gradescope or Canvas gives as the download of
    all submissions.
    """
    from grader.assignments.load import load_assignment
    from grader.classroom.grade_class import alone_in, grade_class
    from grader.classroom.intake import read_door

    setup = Setup(
        submissions=submissions.absolute(),
        masks=_absolute(masks),
        images=_absolute(images),
        labels=_absolute(labels),
        classes=_absolute(classes),
        roster=_absolute(roster),
        assignment=assignment
        if not Path(assignment).exists()
        else str(Path(assignment).absolute()),
        independent=not no_independent,
        probed=probed,
        unsafe_no_sandbox=unsafe_no_sandbox,
        similar=not no_similar,
        base=tuple(path.absolute() for path in base),
        archive=tuple(path.absolute() for path in archive),
    )
    check_given(base, archive)
    chosen = _workers(workers, scheduler)
    if results.resolve() == submissions.resolve():
        raise UsageError(
            f"--out {results}: is the folder of the submissions", hint="give results their own"
        )
    definition = load_assignment(assignment)
    with alone_in(results, setup, definition):
        door = read_door(setup.submissions, definition, setup.roster, packed=results / "packed")
    if door.unread:
        click.echo(f"columns of the roster that are not used: {listed(door.unread, 12)}")
    _say_teams(door.submitted)
    _say_roster(results, setup)
    with _shown(results) as display:
        outcome = grade_class(results, setup, door, chosen, display.tell, force=force)
        is_compared = _compare(results, display)
    _end(results, outcome, is_compared)


@click.command()
@RESULTS
def status(results: Path) -> None:
    """Say how far a class is: done, running, parked, and when it will be through."""
    now = datetime.now(UTC)
    with open_store(results) as store:
        info = store.info()
        states = list(store.states().values())
        running = {one.key: one for one in store.running()}
        progress = Progress(
            total=len(states),
            done=states.count(State.DONE),
            parked=states.count(State.PARKED),
            running=running,
            seconds=list(store.seconds()),
        )
        faults = store.faults()
        absent = store.absent()
        misfits = store.misfits()
        _, compared = store.compared()
    at_work = who_runs(results)
    if not at_work:
        progress.running = {}
    click.echo(f"{info.title} ({info.assignment_id}), {info.setup.submissions}")
    click.echo(summary(progress, now))
    for line in running_lines(progress, now):
        click.echo(f"  {line}")
    for key, fault in faults.items():
        click.echo(f"  {key} is parked, not marked: {fault}")
    _say_absent(absent)
    _say_misfits(misfits)
    if compared:
        click.echo(f"  {compared}")
    complete = progress.done == progress.total
    if at_work:
        click.echo(f"at work: {at_work}")
    elif not complete:
        click.echo("nobody is at work: run the same `grader class` command again to go on")
    sys.exit(EXIT_MET if complete else EXIT_NOT_MET)


@click.command()
@RESULTS
@click.argument("entries", metavar="[ENTRY]...", nargs=-1)
@BECAUSE
@WORKERS
@SCHEDULER
def regrade(
    results: Path,
    entries: Sequence[str],
    because: str,
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Grade submissions again; without ENTRY, those whose zip, truth, definition or grader changed.

    The results so far stay in the history, with who, when and why; adjustments stay in force.
    """
    from grader.classroom import grade_class

    chosen = _workers(workers, scheduler)
    with _shown(results) as display:
        outcome = grade_class.regrade(results, entries, because, chosen, display.tell)
        is_compared = _compare(results, display)
    _end(results, outcome, is_compared)


@click.command()
@click.argument("before", metavar="RESULTS", type=PATH)
@click.argument("after", metavar="[RESULTS]", type=PATH, required=False)
def diff(before: Path, after: Path | None) -> None:
    """Show whose marks changed and why, between two results folders.

    With one folder: between each submission's current result and the one before it. Exits with 1
    when marks changed.
    """
    from grader.classroom.compare import compare, compare_with_past

    with open_store(before) as old:
        if after is None:
            changes = compare_with_past(old)
        else:
            with open_store(after) as new:
                changes = compare(old, new)
    for change in changes:
        name = f" ({change.name})" if change.name else ""
        marks = ["none" if one is None else f"{one:f}" for one in (change.before, change.after)]
        click.echo(f"{change.key}{name}: {marks[0]} → {marks[1]}")
        for reason in change.reasons:
            click.echo(f"  {reason}")
    click.echo(f"{len(changes)} changed" if changes else "no marks changed")
    sys.exit(EXIT_NOT_MET if changes else EXIT_MET)


@click.command()
@RESULTS
@click.argument("entry", metavar="ENTRY")
@click.argument("criterion", metavar="CRITERION")
@click.argument("marks", metavar="MARKS")
@BECAUSE
def adjust(results: Path, entry: str, criterion: str, marks: str, because: str) -> None:
    """Set the marks of one criterion of one submission by hand. Regrading leaves them alone."""
    from grader.classroom import adjust as by_hand

    adjusted = by_hand.adjust(results, entry, criterion, marks, because)
    click.echo(
        f"{adjusted.submitted.key}: {criterion} is {marks} now; "
        f"{adjusted.marks or 0:f} of {adjusted.max_marks:f} in all"
    )


# ------------------------------------------------------------------- what is shown


class _Display:
    """Lines for a log, and on a terminal below them what runs at this moment."""

    def __init__(self) -> None:
        self._live = is_terminal(sys.stdout)
        self._drawn = 0
        self._summed_at = time.monotonic()

    def tell(self, line: str, progress: Progress) -> None:
        """Show an outcome; "" only keeps the clock going."""
        self.clear()
        now = datetime.now(UTC)
        if line:
            click.echo(f"{counted(progress.done + progress.parked, progress.total)} {line}")
        head = summary(progress, now)
        if not progress.slots:
            head += " · no worker is there at this moment"
        if self._live:
            self._draw([head, *running_lines(progress, now)])
        elif time.monotonic() - self._summed_at >= _QUIET_SECONDS:
            self._summed_at = time.monotonic()
            click.echo(head)

    def clear(self) -> None:
        """Take the live lines away."""
        if self._drawn:
            click.echo(f"\033[{self._drawn}F\033[J", nl=False)
            self._drawn = 0

    def _draw(self, lines: Sequence[str]) -> None:
        columns, rows = shutil.get_terminal_size()
        shown = [line[: max(1, columns - 1)] for line in lines[: max(1, rows - 1)]]
        click.echo("\n".join(shown))
        self._drawn = len(shown)


@contextmanager
def _shown(results: Path) -> Iterator[_Display]:
    """A display that goes away in the end. Ctrl-C stops the run cleanly: what is done is kept, and
    the way to go on is told."""
    display = _Display()
    try:
        yield display
    except KeyboardInterrupt:
        display.clear()
        click.echo(f"stopped; what is done is kept in {results}", err=True)
        click.echo(f"  → go on with: {shlex.join(['grader', *sys.argv[1:]])}", err=True)
        sys.exit(EXIT_STOPPED)
    finally:
        display.clear()


def _compare(results: Path, display: _Display) -> bool:
    """Compare the class with itself, where that is wanted; False when that failed, which costs
    nobody a mark."""
    with open_store(results) as store:
        if not store.info().setup.similar:
            return True
    from grader.classroom.similar import PAGES_FOLDER, compare_class_apart

    display.clear()
    try:
        with stages() as progress:
            summary = compare_class_apart(results, progress)
    except GraderError as error:
        click.echo(f"the submissions were not compared: {error.message}", err=True)
        if error.hint:
            click.echo(f"  → {error.hint}", err=True)
    else:
        if summary:
            click.echo(f"{summary}: {results / PAGES_FOLDER / 'index.html'}")
        return True
    click.echo("  marks and reports are complete; the same command compares again", err=True)
    return False


def _end(results: Path, outcome: Standing, is_compared: bool) -> None:
    """Say what the run has done, and exit: 3 when something could not be graded."""
    if outcome.due == 0:
        which = "every result whose zip is there" if outcome.gone else "every result"
        click.echo(f"nothing to do: {which} is up to date")
    click.echo(f"{outcome.done} done, reports in {results / REPORTS_FOLDER}/")
    if outcome.recharged:
        click.echo(f"  lateness is charged anew: {listed(outcome.recharged, 12)}")
    for key in outcome.gone:
        click.echo(f"  {key} is no longer among the submissions; its results are kept")
    _say_absent(outcome.absent)
    _say_misfits(outcome.misfits)
    if outcome.stale:
        click.echo(
            f"  {len(outcome.stale)} more rest on what has changed since: "
            "`grader regrade` without ENTRY grades them again"
        )
    for key, fault in outcome.parked.items():
        click.echo(f"  {key} is parked, not marked: {fault}")
    if outcome.parked:
        click.echo("  run the same command again once that is mended", err=True)
    sys.exit(EXIT_GRADER if outcome.parked or not is_compared else EXIT_MET)


def _say_roster(results: Path, now: Setup) -> None:
    """Say it where names and lateness came from a roster that is not given any more."""
    if now.roster is None and (results / FILE_NAME).is_file():
        with open_store(results) as store:
            before = None if store.is_new() else store.info().setup.roster
        if before is not None and before.is_file():
            click.echo(
                f"the roster of before is not given: names and lateness are without {before}",
                err=True,
            )


def _say_teams(submitted: Sequence[Submitted]) -> None:
    """Say who shares a submission: a roster that joins the wrong people is seen here."""
    teams = [
        f"{one.name} ({one.zip_name})"
        for one in submitted
        if "class.team" in {finding.code for finding in one.findings}
    ]
    if teams:
        click.echo(f"handed in by several people together: {listed(teams, 12)}")


def _say_absent(absent: Sequence[Absent]) -> None:
    if absent:
        names = listed([f"{one.name} ({one.key})" if one.name else one.key for one in absent], 12)
        click.echo(f"  {len(absent)} on the roster handed in nothing: {names}")


def _say_misfits(misfits: Sequence[Misfit]) -> None:
    """Name what was adjusted by hand before the definition changed, and what it counts now."""
    for one in misfits:
        adjusted, criterion = one.adjustment, one.adjustment.criterion
        now = (
            f"not counted: the definition has no {criterion} any more"
            if one.most is None
            else f"counted as {one.most:f}: {criterion} has {one.most:f} marks at most now"
        )
        click.echo(
            f"  {one.key}: the {adjusted.marks:f} that {adjusted.who} gave for {criterion} "
            f"({adjusted.because}) is {now}; `grader adjust` sets marks anew"
        )


def _workers(number: int | None, scheduler: str | None) -> Workers:
    from grader.classroom.grade_class import Workers

    if number is not None and scheduler is not None:
        raise UsageError(
            "--workers and --scheduler exclude each other",
            hint="a scheduler has workers of its own",
        )
    return Workers(number, scheduler)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()

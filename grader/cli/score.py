"""`grader score`: marks and evidence for one zip."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.assignments.load import load_assignment
from grader.cli.options import (
    ARCHIVE,
    ASSIGNMENT,
    CLASSES,
    EXIT_MET,
    EXIT_NOT_MET,
    IMAGES,
    LABELS,
    MASKS,
    NO_INDEPENDENT,
    PATH,
    PROBE,
    UNSAFE,
)
from grader.cli.output import check_out, look_of_stdout, prepare_report, stages, write_report
from grader.cli.similar import check_given
from grader.errors import GraderError, UsageError
from grader.model import Severity, Verdict
from grader.sandbox import choose_backend
from grader.score import score as score_submission
from grader.stages.load_truth import load_truth, require_truth
from grader.stages.read_classes import read_classes

if TYPE_CHECKING:
    from grader.model import Report
    from grader.render.audience import Audience


@click.command()
@click.argument("zip_path", metavar="ZIP", type=PATH)
@MASKS
@IMAGES
@LABELS
@CLASSES
@click.option(
    "--train",
    "train_images",
    metavar="DIR",
    type=PATH,
    help="Class folders to train on first when the zip holds no checkpoint.",
)
@ASSIGNMENT
@click.option(
    "--out",
    metavar="DIR",
    type=PATH,
    help="Where report.json and report.html go. Default: reports/<zip's name>.",
)
@click.option(
    "--for",
    "audience",
    type=click.Choice(["ta", "student"]),
    default="ta",
    show_default=True,
    help="`student` leaves out the truth and the hidden images.",
)
@NO_INDEPENDENT
@PROBE
@ARCHIVE
@UNSAFE
def score(
    zip_path: Path,
    masks: Path | None,
    images: Path | None,
    labels: Path | None,
    classes: Path | None,
    train_images: Path | None,
    assignment: str,
    out: Path | None,
    audience: Audience,
    no_independent: bool,
    probed: bool,
    archive: tuple[Path, ...],
    unsafe_no_sandbox: bool,
) -> None:
    """Score one submission: marks, and the evidence for each mark."""

    definition = load_assignment(assignment)
    if not zip_path.exists():
        raise UsageError(f"{zip_path}: there is no such file", hint="give the student's zip")
    out = out or Path("reports") / zip_path.stem
    check_out(out)
    require_truth(masks, images, definition)
    if train_images is not None and not train_images.is_dir():
        raise UsageError(f"--train {train_images}: is not a folder of class folders")
    check_given((), archive)
    with ThreadPoolExecutor(1) as thread:  # trying the sandbox is waiting, mostly
        choice = thread.submit(choose_backend, allow_unsafe=unsafe_no_sandbox)
        truth = load_truth(
            masks,
            images,
            labels,
            read_classes(classes) if classes is not None else None,
            definition,
        )
        backend = choice.result()
    with stages() as progress:
        report = score_submission(
            zip_path,
            truth,
            definition,
            backend,
            train_images=train_images,
            independent=not no_independent,
            probed=probed,
            progress=progress,
            meanwhile=prepare_report,
        )
        fault: GraderError | None = None
        if archive:
            from grader.classroom.similar import compare_with_earlier

            progress("comparing with earlier years")
            try:
                earlier = compare_with_earlier(
                    zip_path, definition, archive, unsafe_no_sandbox=unsafe_no_sandbox
                )
                report = replace(report, earlier=earlier)
            except GraderError as error:
                fault = error  # told in the end: the marks are there, and are written first
    from grader.render.text import text  # by now `prepare_report` has loaded it

    written: tuple[Path, ...] = ()
    try:
        written = write_report(report, out, audience)
    except GraderError as error:
        fault = error  # the marks are shown all the same: they may be the work of an hour
    look = look_of_stdout()
    click.echo(text(report, audience=audience, width_columns=look.width_columns, ansi=look.ansi))
    for path in written:
        click.echo(f"{'page' if path.suffix == '.html' else 'data'}: {path}")
    if fault is not None:
        raise fault
    sys.exit(_exit_code(report))


def _exit_code(report: Report) -> int:

    unmet = report.verdict is not Verdict.GRADED or any(
        finding.severity is Severity.ERROR for finding in report.findings
    )
    return EXIT_NOT_MET if unmet else EXIT_MET

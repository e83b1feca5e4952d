"""`grader score`: marks and evidence for one zip."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.assignments.load import load_assignment
from grader.cli.options import ASSIGNMENT, EXIT_MET, EXIT_NOT_MET, UNSAFE
from grader.cli.output import check_out, stages, write_report
from grader.errors import UsageError
from grader.model import Severity, Verdict
from grader.render.text import text
from grader.sandbox import choose_backend
from grader.score import score as score_submission
from grader.stages.load_truth import load_truth, wants_masks
from grader.stages.read_classes import read_classes

if TYPE_CHECKING:
    from grader.model import Report
    from grader.render.audience import Audience


@click.command()
@click.argument("zip_path", metavar="ZIP", type=click.Path(path_type=Path))
@click.option(
    "--gt",
    "masks",
    metavar="MASKS/",
    type=click.Path(path_type=Path),
    help="Ground-truth masks, e.g. MASKS/test; needed where the assignment measures masks.",
)
@click.option(
    "--images",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The hidden images. Default: the sibling tree with the masks' relative names; needed "
    "without --gt.",
)
@click.option(
    "--labels",
    metavar="CSV",
    type=click.Path(path_type=Path),
    help="Labels, columns image_name,label. Default: the class folders' names.",
)
@click.option(
    "--classes",
    metavar="DIR|FILE",
    type=click.Path(path_type=Path),
    help="All class names in the order of the network's outputs: class folders or a list, "
    "one a line. Default: the definition's, where it covers the truth.",
)
@click.option(
    "--train",
    "train_images",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Class folders to train on first when the zip holds no checkpoint.",
)
@ASSIGNMENT
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
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
@click.option("--no-independent", is_flag=True, help="Skip the checkpoint's own evaluation.")
@click.option(
    "--probe",
    "probed",
    is_flag=True,
    help="Run the program again on renamed, re-encoded and mirrored images, and show what that "
    "changes. Costs two to four more runs, and no marks.",
)
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
    unsafe_no_sandbox: bool,
) -> None:
    """Score one submission: marks, and the evidence for each mark."""

    definition = load_assignment(assignment)
    if not zip_path.exists():
        raise UsageError(f"{zip_path}: there is no such file", hint="give the student's zip")
    out = out or Path("reports") / zip_path.stem
    check_out(out)
    if masks is None and wants_masks(definition):
        raise UsageError(
            f"{definition.id} measures masks, and the course's own are not given",
            hint="give --gt MASKS/, e.g. --gt MASKS/test",
        )
    if masks is None and images is None:
        raise UsageError(
            f"{definition.id} needs the hidden images",
            hint="give --images DIR, a folder of class folders (or --labels CSV beside it)",
        )
    truth = load_truth(
        masks,
        images,
        labels,
        read_classes(classes) if classes is not None else None,
        definition,
    )
    if train_images is not None and not train_images.is_dir():
        raise UsageError(f"--train {train_images}: is not a folder of class folders")
    backend = choose_backend(allow_unsafe=unsafe_no_sandbox)
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
        )
    written = write_report(report, out, audience)
    click.echo(
        text(report, audience=audience, ansi=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    )
    for path in written:
        click.echo(f"{'page' if path.suffix == '.html' else 'data'}: {path}")
    sys.exit(_exit_code(report))


def _exit_code(report: Report) -> int:

    unmet = report.verdict is not Verdict.GRADED or any(
        finding.severity is Severity.ERROR for finding in report.findings
    )
    return EXIT_NOT_MET if unmet else EXIT_MET

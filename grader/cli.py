"""The command line: parse → call → render. The only module that prints, prompts or exits.

Every import below the standard library, click and the exception tree happens inside the command
that needs it, so that `grader --help` starts in no time and `grader check` without torch.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from grader import __version__
from grader.errors import GraderError, UsageError

if TYPE_CHECKING:
    from grader.model import Assignment, Report

EXIT_MET, EXIT_NOT_MET, EXIT_USAGE, EXIT_GRADER = 0, 1, 2, 3

DEFAULT_ASSIGNMENT = "ail721-a2"


class _Commands(click.Group):
    """Turns every exception into a message for a person and one of the four exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GraderError as error:
            click.echo(f"grader: {error.message}", err=True)
            if error.hint:
                click.echo(f"  → {error.hint}", err=True)
            ctx.exit(error.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # The reader of our output has gone (`grader … | head`); there is nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(EXIT_MET)
        except Exception as error:  # noqa: BLE001 - the one edge where a defect becomes a message
            _report_defect(ctx, error)


def _report_defect(ctx: click.Context, error: Exception) -> NoReturn:
    """A defect of the grader: say so, keep the traceback in a file, blame no student."""
    handle, name = tempfile.mkstemp(prefix="grader-defect-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    click.echo(f"grader: a defect of the grader itself: {type(error).__name__}: {error}", err=True)
    click.echo(
        f"  → the submission lost nothing and the run can be repeated; details: {name}", err=True
    )
    ctx.exit(EXIT_GRADER)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="grader")
def main() -> None:
    """Grade deep-learning vision assignments: a zip goes in, marks and evidence come out.

    Exit codes: 0 everything met, 1 something not met or rejected, 2 wrong usage, 3 the grader's
    own fault (never a student's).
    """


# --------------------------------------------------------------------------- score

_ASSIGNMENT = click.option(
    "-a",
    "--assignment",
    default=DEFAULT_ASSIGNMENT,
    show_default=True,
    metavar="ID|PATH",
    help="The assignment: an id from `grader assignments list`, or a definition's folder or file.",
)
_UNSAFE = click.option(
    "--unsafe-no-sandbox",
    is_flag=True,
    help="Run student code without isolation when no sandbox works; stamped into the report.",
)


@main.command()
@click.argument("zip_path", metavar="ZIP", type=click.Path(path_type=Path))
@click.option(
    "--gt",
    "masks",
    required=True,
    metavar="MASKS/",
    type=click.Path(path_type=Path),
    help="Ground-truth masks, e.g. MASKS/test.",
)
@click.option(
    "--images",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The hidden images. Default: the sibling tree with the masks' relative names.",
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
@_ASSIGNMENT
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
@_UNSAFE
def score(
    zip_path: Path,
    masks: Path,
    images: Path | None,
    labels: Path | None,
    classes: Path | None,
    train_images: Path | None,
    assignment: str,
    out: Path | None,
    audience: str,
    no_independent: bool,
    unsafe_no_sandbox: bool,
) -> None:
    """Score one submission: marks, and the evidence for each mark."""
    from grader.assignments.load import load_assignment
    from grader.render.text import text
    from grader.sandbox import choose_backend
    from grader.score import score as score_submission
    from grader.stages.load_truth import load_truth, read_classes

    definition = load_assignment(assignment)
    if not zip_path.exists():
        raise UsageError(f"{zip_path}: there is no such file", hint="give the student's zip")
    out = out or Path("reports") / zip_path.stem
    _check_out(out)
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
    with _stages() as progress:
        report = score_submission(
            zip_path,
            truth,
            definition,
            backend,
            train_images=train_images,
            independent=not no_independent,
            progress=progress,
        )
    written = write_report(report, out, audience)
    click.echo(text(report))
    for path in written:
        click.echo(f"{'page' if path.suffix == '.html' else 'data'}: {path}")
    sys.exit(_exit_code(report))


def _exit_code(report: Report) -> int:
    from grader.model import Severity, Verdict

    unmet = report.verdict is not Verdict.GRADED or any(
        finding.severity is Severity.ERROR for finding in report.findings
    )
    return EXIT_NOT_MET if unmet else EXIT_MET


def _check_out(out: Path) -> None:
    """Refuse before the work what would fail after it."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; a folder is needed")
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"--out {out}: {nearest} cannot be written to", hint="choose another")


def write_report(report: Report, out: Path, audience: str) -> tuple[Path, ...]:
    """Write report.json and report.html into `out`, each whole or not at all.

    An earlier report stays until its successor is complete.
    """
    from grader.render.html import html
    from grader.render.json_report import report_json

    contents = {
        "report.json": report_json(report, audience=audience),
        "report.html": html(report, audience=audience),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            handle, temporary = tempfile.mkstemp(dir=out, prefix=f".{name}-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                    file.write(content)
                Path(temporary).chmod(0o644)
                Path(temporary).replace(out / name)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageError(
            f"{out}: the report cannot be written: {error.strerror or error}",
            hint="free some space or choose another folder with --out",
        ) from error
    return tuple(out / name for name in contents)


@contextlib.contextmanager
def _stages() -> Iterator[Callable[[str], None]]:
    """Show on a terminal which stage runs; silent elsewhere."""
    shown = sys.stderr.isatty()

    def progress(stage: str) -> None:
        if shown:
            click.echo(f"\r\033[K{stage} …", nl=False, err=True)

    try:
        yield progress
    finally:
        if shown:
            click.echo("\r\033[K", nl=False, err=True)


# --------------------------------------------------------------------------- assignments


@main.group()
def assignments() -> None:
    """List, show and validate assignment definitions."""


@assignments.command("list")
def list_assignments() -> None:
    """The assignments that come with the grader."""
    from tabulate import tabulate

    from grader.assignments.load import builtin_ids, load_assignment

    rows = [
        (definition.id, definition.course, definition.title, str(definition.max_marks))
        for definition in map(load_assignment, builtin_ids())
    ]
    click.echo(tabulate(rows, headers=("id", "course", "title", "marks"), disable_numparse=True))


@assignments.command("show")
@click.argument("assignment", metavar="ID|PATH")
def show_assignment(assignment: str) -> None:
    """What an assignment asks for and how it is marked."""
    from grader.assignments.load import load_assignment
    from grader.render.definition import definition_text

    click.echo(definition_text(load_assignment(assignment)))


@assignments.command("validate")
@click.argument("assignment", metavar="ID|PATH")
def validate_assignment(assignment: str) -> None:
    """Check a definition and everything it names; errors name file and line."""
    from grader.assignments.load import load_assignment

    definition: Assignment = load_assignment(assignment)
    click.echo(f"{definition.directory}: {definition.id} is valid (sha256 {definition.sha256})")


# --------------------------------------------------------------------------- doctor


@main.command()
def doctor() -> None:
    """Say which sandbox works here, why others do not, and what to install."""
    from grader.render.doctor import doctor_text
    from grader.sandbox import probe_backends, probe_gpu

    backends = probe_backends()
    click.echo(doctor_text(backends, probe_gpu()))
    sys.exit(EXIT_MET if any(b.works and b.isolation == "full" for b in backends) else EXIT_NOT_MET)

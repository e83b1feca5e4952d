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
    from grader.model import Assignment, CheckResult, Report
    from grader.render.audience import Audience

EXIT_MET, EXIT_NOT_MET, EXIT_USAGE, EXIT_GRADER = 0, 1, 2, 3

DEFAULT_ASSIGNMENT = "ail721-a2"

# The extra "score" of pyproject.toml, by module name: a check alone goes without them.
_SCORE_PACKAGES = {"cv2", "numpy", "PIL", "safetensors", "torch", "torchvision"}


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
        except ModuleNotFoundError as error:
            if error.name not in _SCORE_PACKAGES:
                _report_defect(ctx, error)
            click.echo(f"grader: the package {error.name} is not installed", err=True)
            click.echo("  → scoring and --smoke need: pip install 'vision-grader[score]'", err=True)
            ctx.exit(EXIT_USAGE)
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
    audience: Audience,
    no_independent: bool,
    unsafe_no_sandbox: bool,
) -> None:
    """Score one submission: marks, and the evidence for each mark."""
    from grader.assignments.load import load_assignment
    from grader.render.text import text
    from grader.sandbox import choose_backend
    from grader.score import score as score_submission
    from grader.stages.load_truth import load_truth
    from grader.stages.read_classes import read_classes

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
    click.echo(
        text(report, audience=audience, ansi=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    )
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


def write_report(report: Report, out: Path, audience: Audience) -> tuple[Path, ...]:
    """Write report.json and report.html into `out`, each whole or not at all."""
    from grader.render.html import html
    from grader.render.json_report import report_json

    contents = {
        "report.json": report_json(report, audience=audience),
        "report.html": html(report, audience=audience),
    }
    for name, content in contents.items():
        _write_whole(out / name, content)
    return tuple(out / name for name in contents)


def _write_whole(path: Path, content: str) -> None:
    """Write a file whole or not at all; an earlier one stays until its successor is complete."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(content)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another folder with --out",
        ) from error


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


# --------------------------------------------------------------------------- check and pack

_FORMATS = ("text", "json", "junit", "github", "sarif")
_FORMAT = click.option(
    "--format",
    "style",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="How the findings are printed; `github` also writes the step's summary.",
)


@main.command()
@click.argument(
    "zip_paths", metavar="ZIP...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@_ASSIGNMENT
@click.option(
    "--smoke",
    is_flag=True,
    help="Also run the programs for a moment in the course's sandbox, on made-up images.",
)
@_FORMAT
@_UNSAFE
def check(
    zip_paths: tuple[Path, ...], assignment: str, smoke: bool, style: str, unsafe_no_sandbox: bool
) -> None:
    """Check a submission as the course will: what is wrong, where, and how to mend it."""
    from grader.assignments.load import load_assignment
    from grader.check import check as check_submission

    definition = load_assignment(assignment)
    for path in zip_paths:
        if not path.exists():
            raise UsageError(f"{path}: there is no such file", hint="give the zip to check")
    backend = None
    if smoke:
        from grader.sandbox import choose_backend

        backend = choose_backend(allow_unsafe=unsafe_no_sandbox)
    results = []
    for path in zip_paths:
        with _stages() as progress:
            results.append(check_submission(path, definition, smoke=backend, progress=progress))
    _print_results(tuple(results), style)
    sys.exit(EXIT_MET if all(result.passed for result in results) else EXIT_NOT_MET)


def _print_results(results: tuple[CheckResult, ...], style: str) -> None:
    from grader.render.check import render_checks

    click.echo(render_checks(results, style), nl=False)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if style == "github" and summary:
        from grader.render.github import summary_of_checks

        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(summary_of_checks(results))


@main.command()
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
@_ASSIGNMENT
@_FORMAT
def pack(
    directory: Path,
    entry_number: str,
    out: Path,
    extras: tuple[str, ...],
    assignment: str,
    style: str,
) -> None:
    """Pack a folder as ENTRY_NUMBER.zip: what the scripts need and nothing else, checked."""
    from grader.assignments.load import load_assignment
    from grader.check import check as check_submission
    from grader.packing import pack as pack_directory
    from grader.render.packed import packed_text

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
    _print_results((packed.check,), style)
    sys.exit(EXIT_MET if packed.written and packed.check.passed else EXIT_NOT_MET)


@main.command()
@click.argument("assignment", metavar="ID|PATH")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def init(assignment: str, directory: Path) -> None:
    """Give a student a skeleton: the contract's command lines, empty bodies, a Makefile."""
    from grader.assignments.load import load_assignment
    from grader.starter import write_starter

    for name in write_starter(load_assignment(assignment), directory):
        click.echo(directory / name)


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


# --------------------------------------------------------------------------- findings


@main.command()
@click.argument("code", required=False)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="`markdown` is the page docs/findings.md.",
)
def findings(code: str | None, style: str) -> None:
    """Explain a finding's code, or list all of them."""
    from grader.findings import CATALOGUE
    from grader.render.catalogue import catalogue_markdown, catalogue_text, entry_text

    if code is None:
        click.echo(catalogue_markdown() if style == "markdown" else catalogue_text())
    elif code in CATALOGUE:
        click.echo(entry_text(code, CATALOGUE[code]))
    else:
        raise UsageError(f"there is no finding {code!r}", hint="`grader findings` lists all codes")


# --------------------------------------------------------------------------- integrations


@main.group()
def integrations() -> None:
    """Files for the platforms that courses use."""


@integrations.command("gradescope")
@_ASSIGNMENT
@click.option(
    "--out",
    required=True,
    metavar="ZIP",
    type=click.Path(path_type=Path),
    help="The autograder zip to write.",
)
@click.option(
    "--gt",
    "masks",
    metavar="MASKS/",
    type=click.Path(path_type=Path),
    help="Put these masks into the autograder and score; without them the format is checked.",
)
@click.option("--images", metavar="DIR", type=click.Path(path_type=Path), help="Their images.")
def build_gradescope(assignment: str, out: Path, masks: Path | None, images: Path | None) -> None:
    """Build Gradescope's autograder zip."""
    from grader.assignments.load import load_assignment
    from grader.integrations.gradescope import build_autograder

    names = build_autograder(load_assignment(assignment), out, masks=masks, images=images)
    click.echo(f"{out}: {len(names)} files; upload it as the assignment's autograder")


@integrations.command("gradescope-run", hidden=True)
@click.option("--root", required=True, type=click.Path(path_type=Path), help="/autograder")
@_ASSIGNMENT
@click.option("--gt", "masks", type=click.Path(path_type=Path))
@click.option("--images", type=click.Path(path_type=Path))
def run_gradescope(root: Path, assignment: str, masks: Path | None, images: Path | None) -> None:
    """Grade Gradescope's `submission/` and write `results/results.json` (run_autograder)."""
    import json

    from grader.assignments.load import load_assignment
    from grader.integrations.gradescope import submitted_zip
    from grader.render.gradescope import check_results, gradescope_results

    definition = load_assignment(assignment)
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        zip_path = submitted_zip(root, definition, Path(scratch))
        if masks is None:
            from grader.check import check as check_submission

            results = check_results(check_submission(zip_path, definition))
        else:
            from grader.sandbox import choose_backend
            from grader.score import score as score_submission
            from grader.stages.load_truth import load_truth

            truth = load_truth(masks, images, None, None, definition)
            results = gradescope_results(
                score_submission(zip_path, truth, definition, choose_backend())
            )
    _write_whole(root / "results" / "results.json", json.dumps(results, indent=2) + "\n")

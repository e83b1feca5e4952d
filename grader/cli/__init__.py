"""The command line: parse → call → render. The only room that prints, prompts or exits.

A command's module is imported when the command is called, so that `grader --help` starts in no
time and `grader check` without torch.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` takes a millisecond
import atexit
import errno
import gc
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from grader import __version__
from grader.cli.options import EXIT_GRADER, EXIT_MET, EXIT_STOPPED, EXIT_USAGE
from grader.cli.streams import let_streams_print_anything
from grader.errors import GraderError

# Start-up makes many objects and no garbage: looking for it is a twentieth of `grader check`.
gc.set_threshold(20_000)
# At the end all of it goes with the process: looking through it once more is another twentieth.
atexit.register(gc.freeze)

# The extra "score" of pyproject.toml, by module name: a check alone goes without them.
_SCORE_PACKAGES = {"cryptography", "cv2", "dask", "distributed", "numpy", "PIL", "safetensors"}
_SCORE_PACKAGES |= {"torch", "torchvision", "yaml"}

# name → (module:attribute, what `grader --help` says of it)
COMMANDS = {
    "score": ("score:score", "Score one submission: marks, and the evidence for each mark."),
    "class": ("classroom:class_", "Grade a whole class; stop, resume and repeat it at will."),
    "status": ("classroom:status", "Say how far a class is, also from another shell."),
    "regrade": ("classroom:regrade", "Grade submissions of a class again, with a reason."),
    "diff": ("classroom:diff", "Show whose marks changed and why."),
    "adjust": ("classroom:adjust", "Set the marks of one criterion by hand, with a reason."),
    "export": ("exports:export", "Write a class's marks for Moodle, Canvas, Gradescope or as CSV."),
    "report": ("exports:report", "Write a site of the class: table, distributions, findings."),
    "check": (
        "check:check",
        "Check a submission as the course will: what is wrong, where, and how.",
    ),
    "similar": (
        "similar:similar",
        "Say which submissions of a class are similar, and in which lines.",
    ),
    "fingerprint": (
        "fingerprint:fingerprint",
        "Make a fingerprint of published weights, for grader similar --public.",
    ),
    "pack": ("pack:pack", "Pack a folder as ENTRY_NUMBER.zip: what the scripts need, checked."),
    "init": ("pack:init", "Give a student a skeleton: command lines, empty bodies, a Makefile."),
    "assignments": ("assignments:assignments", "List, show and validate assignment definitions."),
    "findings": ("findings:findings", "Explain a finding's code, or list all of them."),
    "integrations": ("integrations:integrations", "Files for the platforms that courses use."),
    "doctor": (
        "doctor:doctor",
        "Say which sandbox works here, why others do not, what to install.",
    ),
}


class _Commands(click.Group):
    """Imports commands when they are called, and turns every exception into a message for a
    person and one of the four exit codes."""

    def main(self, *args: Any, **extra: Any) -> Any:
        let_streams_print_anything()
        return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(f"grader.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        # A batch system, a container or CI may end a run: tidy up as after Ctrl-C.
        before = _signal.signal(_signal.SIGTERM, _signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\ngrader: stopped", err=True)
            ctx.exit(EXIT_STOPPED)
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
            hint = "pip install '.[score]' in a copy of the grader's repository"
            click.echo(f"  → scoring and --smoke need: {hint}", err=True)
            ctx.exit(EXIT_USAGE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                _report_defect(ctx, error)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered
            click.echo(f"grader: {error.strerror}: {error.filename or 'where it writes'}", err=True)
            click.echo("  → free some space and run the command again", err=True)
            ctx.exit(EXIT_USAGE)
        except Exception as error:  # noqa: BLE001 - the one edge where a defect becomes a message
            _report_defect(ctx, error)
        finally:
            _signal.signal(_signal.SIGTERM, before)


def _report_defect(ctx: click.Context, error: Exception) -> NoReturn:
    """A defect of the grader: say so, keep the traceback in a file, blame no student."""
    import tempfile
    import traceback

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
    own fault (never a student's), 130 stopped.
    """

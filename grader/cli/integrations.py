"""`grader integrations`: files for the platforms that courses use."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from grader.assignments.load import load_assignment
from grader.check import check as check_submission
from grader.cli.options import ASSIGNMENT, PATH
from grader.cli.output import write_whole
from grader.integrations.gradescope import build_autograder, submitted_zip
from grader.render.gradescope import check_results, gradescope_results
from grader.sandbox import choose_backend


@click.group()
def integrations() -> None:
    """Files for the platforms that courses use."""


@integrations.command("gradescope")
@ASSIGNMENT
@click.option(
    "--out",
    required=True,
    metavar="ZIP",
    type=PATH,
    help="The autograder zip to write.",
)
@click.option(
    "--gt",
    "masks",
    metavar="MASKS/",
    type=PATH,
    help="The true masks, to score with; needed where the assignment measures masks.",
)
@click.option(
    "--images",
    metavar="DIR",
    type=PATH,
    help="The hidden images; without them the format alone is checked.",
)
def build_gradescope(assignment: str, out: Path, masks: Path | None, images: Path | None) -> None:
    """Build Gradescope's autograder zip."""

    definition = load_assignment(assignment)
    if images is not None:
        from grader.stages.load_truth import load_truth, require_truth

        require_truth(masks, images, definition)
        load_truth(masks, images, None, None, definition)  # now, not for every submission
    names = build_autograder(definition, out, masks=masks, images=images)
    click.echo(f"{out}: {len(names)} files; upload it as the assignment's autograder")


@integrations.command("gradescope-run", hidden=True)
@click.option("--root", required=True, type=PATH, help="/autograder")
@ASSIGNMENT
@click.option("--gt", "masks", type=PATH)
@click.option("--images", type=PATH)
def run_gradescope(root: Path, assignment: str, masks: Path | None, images: Path | None) -> None:
    """Grade Gradescope's `submission/` and write `results/results.json` (run_autograder)."""

    definition = load_assignment(assignment)
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        zip_path = submitted_zip(root, definition, Path(scratch))
        if images is None:
            results = check_results(check_submission(zip_path, definition))
        else:
            from grader.score import score as score_submission
            from grader.stages.load_truth import load_truth

            truth = load_truth(masks, images, None, None, definition)
            results = gradescope_results(
                score_submission(zip_path, truth, definition, choose_backend())
            )
    write_whole(root / "results" / "results.json", json.dumps(results, indent=2) + "\n")

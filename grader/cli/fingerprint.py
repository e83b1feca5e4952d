"""`grader fingerprint`: make a small fingerprint of public weights, to recognise what derives."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import click

from grader.assignments.load import load_assignment
from grader.cli.options import ASSIGNMENT, UNSAFE
from grader.cli.output import write_whole
from grader.errors import UsageError


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--name",
    required=True,
    metavar="TEXT",
    help="What the weights are called where they are known.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where it is written: a name that ends in .weights.json, in a folder for --public.",
)
@ASSIGNMENT
@UNSAFE
def fingerprint(
    checkpoint: Path, name: str, out: Path, assignment: str, unsafe_no_sandbox: bool
) -> None:
    """Make a fingerprint of published weights for `grader similar --public`.

    CHECKPOINT is opened in the sandbox, with the limits of the assignment. The fingerprint takes
    some kilobytes; the weights cannot be made again from it.
    """
    from grader.render.plain_json import json_text
    from grader.sandbox import choose_backend
    from grader.similarity.checkpoints.public import fingerprint as document_of
    from grader.similarity.source.read_sources import find_base
    from grader.similarity.submission.compare import checkpoint_spec
    from grader.similarity.submission.open_weights import OpenedWeights
    from grader.similarity.submission.read_material import read_material

    if not out.name.endswith(".weights.json"):
        raise UsageError(f"--out {out}: the name has to end in .weights.json")
    if not checkpoint.exists():
        raise UsageError(
            f"{checkpoint}: there is no such file", hint="give a .pth, .pt or .safetensors file"
        )
    definition = load_assignment(assignment)
    spec = checkpoint_spec(definition)
    if spec is None:
        raise UsageError(
            f"{assignment}: the definition names no checkpoint, so that no limits are known",
            hint="choose an assignment with a checkpoint: --assignment ail721-a2",
        )
    with tempfile.TemporaryDirectory(prefix="grader-fingerprint-") as scratch:
        folder = Path(scratch)
        weights = OpenedWeights(folder, spec.limits.file_bytes)
        material = read_material(find_base(checkpoint), definition, folder / "tree")
        backend = cache(lambda: choose_backend(allow_unsafe=unsafe_no_sandbox))
        traces = weights.open(material, spec, backend).traces
    if not traces or not traces[0].weights:
        raise UsageError(
            f"{checkpoint}: no weights could be read",
            hint="give a .pth, .pt or .safetensors file with a state_dict of at most "
            f"{spec.limits.file_bytes >> 20} MiB",
        )
    write_whole(out, json_text(document_of(name, traces[0])))
    click.echo(f"{out}: {len(traces[0].weights)} weights of {name}")

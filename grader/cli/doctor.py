"""`grader doctor`: which sandbox works here."""

from __future__ import annotations

import sys

import click

from grader.cli.options import EXIT_MET, EXIT_NOT_MET
from grader.render.doctor import doctor_text
from grader.sandbox import probe_backends, probe_gpu


@click.command()
def doctor() -> None:
    """Say which sandbox works here, why others do not, and what to install."""

    backends = probe_backends()
    click.echo(doctor_text(backends, probe_gpu()))
    sys.exit(EXIT_MET if any(b.works and b.isolation == "full" for b in backends) else EXIT_NOT_MET)

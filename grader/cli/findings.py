"""`grader findings`: the catalogue, for people."""

from __future__ import annotations

import click

from grader.cli.streams import print_utf8
from grader.errors import UsageError
from grader.findings import CATALOGUE
from grader.render.catalogue import catalogue_markdown, catalogue_text, entry_text


@click.command()
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

    if code is None and style == "markdown":
        print_utf8()
        click.echo(catalogue_markdown())
    elif code is None:
        click.echo(catalogue_text())
    elif code in CATALOGUE:
        click.echo(entry_text(code, CATALOGUE[code]))
    else:
        raise UsageError(f"there is no finding {code!r}", hint="`grader findings` lists all codes")

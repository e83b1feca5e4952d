"""What every page of the grader has in common: it needs nothing but itself and runs nothing else,
and says the same things in the same words.

- Every text goes through Jinja's autoescaping and, before that, through `printable`: no place in a
  template can forget it.
- A Content-Security-Policy allows the page's own style and script by their hashes, pictures inside
  the page, and nothing else: what slipped through the escaping would still not run.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from grader.render import figures, words
from grader.render.printable import printable, shortened

TEMPLATES = Path(__file__).with_name("templates")
OUTPUT_CHARS = 65_536  # of what a program printed to one stream


def page_environment(*folders: Path) -> Environment:
    """An environment for templates of `folders` with the figures and words of every page; what is
    missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        value=figures.value,
        percent=figures.percent,
        interval=figures.interval,
        level=figures.level,
        marks=figures.marks,
        seconds=figures.seconds,
        size=figures.size,
        counted=figures.counted,
        output=_output,
        baseline_name=words.baseline_name,
        title=words.finding_title,
    )
    environment.globals.update(
        verdicts=words.VERDICTS,
        verdict_meanings=words.VERDICT_MEANINGS,
        severity_meanings=words.SEVERITY_MEANINGS,
    )
    return environment


def _shown(content: Any) -> str:
    """Whatever a template prints, made visible; only what the templates built stays as it is."""
    return content if isinstance(content, Markup) else printable(str(content))


def _output(text: str) -> Markup:
    """What a program printed: bounded, on its own lines, escaped."""
    bounded, _ = shortened(text, OUTPUT_CHARS)
    return escape(printable(bounded, lines=True))


@cache
def page_source(*paths: Path) -> Markup:
    """Styles or scripts of a page, one after the other, as they stand in their files."""
    text = "".join(path.read_text("utf-8") for path in paths)
    assert "</" not in text, "would end its element early"
    return Markup(text)


def page_policy(style: str, script: str) -> str:
    """The Content-Security-Policy of a page (W3C CSP 3): own style and script, data: pictures."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src 'sha256-{_digest(style)}'",
            f"script-src 'sha256-{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

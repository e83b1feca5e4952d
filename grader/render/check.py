"""What `grader check` prints, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import cast

from grader.model import CheckResult


def render_checks(results: Sequence[CheckResult], style: str) -> str:
    """All results in one document, with a final newline. Raises KeyError for another style."""
    # Each format imports what it needs, and a check is to start in no time.
    module, _, function = RENDERERS[style].partition(":")
    render = cast(
        "Callable[[Sequence[CheckResult]], str]", getattr(import_module(module), function)
    )
    return render(results)


RENDERERS: Mapping[str, str] = {
    "text": "grader.render.page:checks_text",
    "json": "grader.render.check_json:checks_json",
    "junit": "grader.render.junit:junit_of_checks",
    "github": "grader.render.github:github_annotations",
    "sarif": "grader.render.sarif:sarif_text",
}

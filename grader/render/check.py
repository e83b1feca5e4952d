"""What `grader check` prints, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grader.model import CheckResult, Json
from grader.render.github import github_annotations
from grader.render.json_report import finding_document
from grader.render.junit import junit_of_checks
from grader.render.plain_json import json_text, plain_object
from grader.render.sarif import sarif
from grader.render.text import check_text

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).with_name("check.schema.json")


def render_checks(results: Sequence[CheckResult], style: str) -> str:
    """All results in one document, with a final newline. Raises KeyError for another style."""
    return RENDERERS[style](results)


def checks_document(results: Sequence[CheckResult]) -> dict[str, Json]:
    """The results as plain JSON values, valid by check.schema.json."""
    return plain_object(
        {
            "schema_version": SCHEMA_VERSION,
            "checks": [
                {
                    "assignment": result.assignment_id,
                    "zip_name": result.zip_name,
                    "zip_sha256": result.zip_sha256,
                    "entry_number": result.entry_number,
                    "passed": result.passed,
                    "findings": [finding_document(finding) for finding in result.findings],
                }
                for result in results
            ],
        }
    )


def _text(results: Sequence[CheckResult]) -> str:
    return "\n\n".join(map(check_text, results)) + "\n"


RENDERERS: Mapping[str, Callable[[Sequence[CheckResult]], str]] = {
    "text": _text,
    "json": lambda results: json_text(checks_document(results)),
    "junit": junit_of_checks,
    "github": github_annotations,
    "sarif": lambda results: json_text(sarif(results)),
}

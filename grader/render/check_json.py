"""What `grader check --format json` prints, described by check.schema.json (2020-12)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grader.model import CheckResult, Json
from grader.render.json_report import finding_document
from grader.render.plain_json import json_text, plain_object

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).with_name("check.schema.json")


def checks_json(results: Sequence[CheckResult]) -> str:
    """The document as text, with a final newline."""
    return json_text(checks_document(results))


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

"""SARIF 2.1.0 (OASIS) for static findings, as code-scanning services read it.

Only what reading the files tells is in it: how a program ran is no property of a line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import grader
from grader.findings import CATALOGUE
from grader.model import CheckResult, Finding, Json, Severity
from grader.render.plain_json import json_text, plain_object
from grader.render.printable import printable
from grader.render.words import finding_title

SCHEMA_URI = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_STATIC_AREAS = ("zip", "layout", "source", "checkpoint")
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif_text(results: Sequence[CheckResult]) -> str:
    """The log as text, with a final newline."""
    return json_text(sarif(results))


def sarif(results: Sequence[CheckResult]) -> dict[str, Json]:
    """One run with a result per static finding; rule ids are the findings' stable codes."""
    findings = [
        (result, finding)
        for result in results
        for finding in result.findings
        if finding.code.partition(".")[0] in _STATIC_AREAS
    ]
    codes = sorted({finding.code for _, finding in findings})
    rules = {code: index for index, code in enumerate(codes)}
    examples = {finding.code: finding for _, finding in findings}
    return plain_object(
        {
            "$schema": SCHEMA_URI,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "vision-grader",
                            "version": grader.__version__,
                            "rules": [_rule(examples[code]) for code in codes],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "results": [
                        _result(finding, rules[finding.code], result.zip_name)
                        for result, finding in findings
                    ],
                }
            ],
        }
    )


def _rule(finding: Finding) -> dict[str, Any]:
    entry = CATALOGUE.get(finding.code)
    severity = finding.severity if entry is None else entry.severity
    hint = (finding.hint if entry is None else entry.hint) or "nothing has to be done"
    return {
        "id": finding.code,
        "shortDescription": {"text": finding_title(finding)},
        "help": {"text": hint},
        "defaultConfiguration": {"level": _LEVELS[severity]},
    }


def _result(finding: Finding, rule_index: int, zip_name: str) -> dict[str, Any]:
    hint = f"\n→ {finding.hint}" if finding.hint else ""
    place = "" if finding.place is None else finding.place.path
    identity = "\0".join((zip_name, finding.code, place, finding.message))
    digest = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": printable(f"{finding.message}{hint}", lines=True)},
        "partialFingerprints": {"findingHash/v1": digest},
    }
    location = _location(finding)
    return result if location is None else {**result, "locations": [location]}


def _location(finding: Finding) -> dict[str, Any] | None:
    """None for a place that no relative URI can name: outside the submission, or nowhere."""
    if finding.place is None:
        return None
    path = PurePosixPath(finding.place.path)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in str(path):
        return None
    location: dict[str, Any] = {
        "artifactLocation": {
            "uri": quote(str(path), safe="/", errors="replace"),
            "uriBaseId": "%SRCROOT%",
        }
    }
    if finding.place.line is not None:
        region = {"startLine": finding.place.line}
        if finding.place.column is not None:
            region["startColumn"] = finding.place.column
        location["region"] = region
    return {"physicalLocation": location}

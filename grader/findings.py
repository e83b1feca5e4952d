"""The catalogue of finding codes: every observation the grader can make, in one place.

A code is stable: it appears in reports, in CI annotations and in docs/findings.md, and a course
may refer to it years later. `found` is the only way to make a `Finding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.model import Fault, Finding, Place, Severity


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue knows of a code: title for a table, severity, fault, what to do next."""

    title: str
    severity: Severity
    hint: str
    fault: Fault = Fault.STUDENT


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

CATALOGUE: dict[str, Entry] = {
    # ---- zip: the archive itself (stages/inspect_zip.py, stages/unpack.py)
    # ---- layout: which files there are (stages/check_layout.py)
    # ---- source: what the code says (stages/check_source.py)
    # ---- run: how a command behaved (stages/run_cases.py)
    # ---- labels: submission.csv (readers/labels_csv.py, stages/collect.py)
    # ---- mask: seg_maps/ (readers/mask_image.py, stages/collect.py)
    # ---- checkpoint: the weights (stages/load_checkpoint.py, networks/)
    # ---- result: what the numbers say together (stages/measure.py)
    # ---- grader: the grader's own faults
}


def found(
    code: str,
    message: str,
    *,
    path: str | None = None,
    line: int | None = None,
    hint: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Finding:
    """Make the finding `code`: `message` says what was found and what was expected.

    The hint comes from the catalogue unless this place knows better. Raises KeyError for a code
    that the catalogue lacks: a programming error, caught by the tests.
    """
    entry = CATALOGUE[code]
    return Finding(
        code=code,
        severity=entry.severity,
        fault=entry.fault,
        message=message,
        hint=entry.hint if hint is None else hint,
        place=None if path is None else Place(path, line),
        evidence=dict(evidence or {}),
    )

"""A `Submitted` as a row of the store, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.classroom.records import Owner, Submitted, Timing
from grader.errors import InternalFault
from grader.model import Fault, Finding, Place, Severity
from grader.render.json_report import finding_document

# A key is a folder's name and a part of a URL: one component, and nothing that a shell, a browser
# or another file system reads otherwise.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=-]{0,119}")


def values_of(submitted: Submitted) -> dict[str, Any]:
    """Column → value. Raises InternalFault for a key that cannot name a folder."""
    if not _KEY.fullmatch(submitted.key) or submitted.key.endswith("."):
        raise InternalFault(f"the submission's key {submitted.key!r} cannot name a folder")
    at = submitted.submitted_at
    return {
        "key": submitted.key,
        "zip_path": str(submitted.zip_path),
        "zip_name": submitted.zip_name,
        "entry_number": submitted.entry_number,
        "name": submitted.name,
        "email": submitted.email,
        "submitted_at": None if at is None else at.isoformat(),
        "late_seconds": submitted.late_seconds,
        "timing": None if submitted.timing is None else _timing_text(submitted.timing),
        "platform_ids": json.dumps(dict(submitted.platform_ids)),
        "findings": json.dumps([finding_document(one) for one in submitted.findings]),
        "owners": json.dumps([asdict(one) for one in submitted.owners]),
    }


def submitted_of(row: Mapping[str, Any]) -> Submitted:
    """The submission that `values_of` was given."""
    at = row["submitted_at"]
    return Submitted(
        key=row["key"],
        zip_path=Path(row["zip_path"]),
        zip_name=row["zip_name"],
        entry_number=row["entry_number"],
        name=row["name"],
        email=row["email"],
        submitted_at=None if at is None else datetime.fromisoformat(at),
        late_seconds=row["late_seconds"],
        timing=None if row["timing"] is None else _timing(json.loads(row["timing"])),
        platform_ids=json.loads(row["platform_ids"]),
        findings=tuple(_finding(one) for one in json.loads(row["findings"])),
        owners=tuple(Owner(**one) for one in json.loads(row["owners"])),
    )


def _timing_text(timing: Timing) -> str:
    extension = None if timing.extension is None else timing.extension.isoformat()
    return json.dumps(asdict(timing) | {"extension": extension})


def _timing(document: Mapping[str, Any]) -> Timing:
    extension = document["extension"]
    at = None if extension is None else datetime.fromisoformat(extension)
    return Timing(**{**document, "extension": at})


def _finding(document: Mapping[str, Any]) -> Finding:
    place = document["place"]
    return Finding(
        code=document["code"],
        severity=Severity(document["severity"]),
        fault=Fault(document["fault"]),
        message=document["message"],
        hint=document["hint"],
        place=None if place is None else Place(**place),
        evidence=document["evidence"],
    )

"""What is known of each submission of a class, from the door to the export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from grader.model import Finding


@dataclass(frozen=True, slots=True)
class Owner:
    """One of the people whose submission it is: what an export needs to find that person's row.

    `platform_ids` are this person's own: a Moodle participant number, a Canvas user id, a login.
    """

    name: str | None = None
    entry_number: str | None = None
    email: str | None = None
    platform_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timing:
    """What lateness is reckoned from, beside the time of submission and the deadline.

    `told_seconds`: how late a list says that it came, whatever the deadline is. `extension`: a
    deadline of this person's own. `marked_late`: the platform calls it late.
    """

    told_seconds: float | None = None
    extension: datetime | None = None
    marked_late: bool = False


@dataclass(frozen=True, slots=True)
class Submitted:
    """One submission as it was found at the door.

    `key` names it in the store, in file names and in URLs: the entry number where there is one,
    else the platform's id, else the zip's stem; unique within a class.
    `late_seconds` is how long after the deadline it came; None where no time is known. It is
    reckoned anew from `timing` when the deadline moves; earlier graders kept none.
    `platform_ids` are what the exports need to find the person again (a Moodle participant
    number, a Canvas user id, a Gradescope submission id). `owners` are the people one by one,
    whose names, addresses and ids stand together in the other fields; `owners_of` gives them also
    where none are kept.
    """

    key: str
    zip_path: Path
    zip_name: str  # the student's own name of it
    entry_number: str | None = None
    name: str | None = None
    email: str | None = None
    submitted_at: datetime | None = None
    late_seconds: float | None = None
    timing: Timing | None = None
    platform_ids: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    owners: tuple[Owner, ...] = ()


@dataclass(frozen=True, slots=True)
class Absent:
    """Somebody on the roster of whom nothing came in; with what lists ask of a `Submitted`."""

    key: str
    entry_number: str | None = None
    name: str | None = None
    email: str | None = None
    platform_ids: Mapping[str, str] = field(default_factory=dict)
    zip_name: str = ""
    submitted_at: None = None
    late_seconds: None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Door:
    """What was found at the door: submissions by key, who of the roster is missing, and the
    columns of the roster that were not understood."""

    submitted: tuple[Submitted, ...]
    absent: tuple[Absent, ...] = ()
    unread: tuple[str, ...] = ()


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    PARKED = "parked"  # the grader's own fault, again and again; never a zero
    ABSENT = "no-submission"  # of an `Absent`: there is nothing to grade


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Marks that a person gave for one criterion, with the reason."""

    criterion: str
    marks: Decimal
    because: str
    who: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the class: what came in, where it stands, and what came out.

    `report` is the parsed report.json of `grader score` (its schema: grader/render), None until
    there is one. `marks` counts the adjustments and the late penalty; `graded_marks` does not.
    """

    submitted: Submitted | Absent
    state: State
    report: Mapping[str, Any] | None
    report_folder: Path | None  # holds report.json and report.html
    marks: Decimal | None
    graded_marks: Decimal | None
    max_marks: Decimal
    late_penalty: Decimal
    adjustments: tuple[Adjustment, ...]
    attempts: int
    fault: str | None  # the grader's own, when parked


@dataclass(frozen=True, slots=True)
class Setup:
    """What a class was graded with, so that it can be repeated: the words of the command, as
    absolute paths. `assignment` is an id or the path of a definition; `similar`: whether the class
    is compared with itself in the end, without the code in `base`, and with the fingerprints of
    earlier years in `archive`."""

    submissions: Path
    masks: Path | None
    images: Path | None = None
    labels: Path | None = None
    classes: Path | None = None
    roster: Path | None = None
    assignment: str = ""
    independent: bool = True
    probed: bool = False
    unsafe_no_sandbox: bool = False
    similar: bool = True
    base: tuple[Path, ...] = ()
    archive: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """What the store knows of the class as a whole. The hashes are those of the latest run."""

    assignment_id: str
    title: str
    course: str
    max_marks: Decimal
    definition_sha256: str
    truth_sha256: str
    setup: Setup
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a result rests on: the same four give the same marks."""

    zip_sha256: str
    truth_sha256: str
    definition_sha256: str
    grader: str

    def differences(self, other: Fingerprint) -> tuple[str, ...]:
        """What differs, in words: "the zip", "the truth", …"""
        names = {
            "zip_sha256": "the zip",
            "truth_sha256": "the truth",
            "definition_sha256": "the definition",
            "grader": "the grader",
        }
        return tuple(
            name for part, name in names.items() if getattr(self, part) != getattr(other, part)
        )


@dataclass(frozen=True, slots=True)
class PastResult:
    """One result of one submission, the current one or an earlier one, and why it was made."""

    number: int  # rises with time, over the whole class
    key: str
    graded_at: datetime
    who: str
    why: str
    fingerprint: Fingerprint
    seconds: float
    verdict: str
    marks: Decimal
    awards: Mapping[str, Decimal]  # criterion → marks
    report: Mapping[str, Any]

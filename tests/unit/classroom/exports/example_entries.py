"""Five people of whom each is exported in another way; every number is written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from grader.classroom.records import Absent, Adjustment, Entry, State, Submitted
from grader.findings import found

HOSTILE = "<script>alert('x')</script>\u202e"
_CURVE = [{"value": 0.1, "marks": "0"}, {"value": 0.9, "marks": "2.5"}]


def report_of(
    classification: str | None, segmentation: str | None, message: str = ""
) -> dict[str, Any]:
    """A report.json with as much in it as exports and pages read."""
    findings = [
        {
            "code": "mask.inverted",
            "title": "Foreground and background look exchanged",
            "severity": "warning",
            "fault": "student",
            "message": message,
            "hint": "write 255 where the object is",
            "place": {"path": "seg_maps", "line": None, "column": None},
            "evidence": {"images": ["SECRET-IMAGE-NAME"]},
        }
    ]
    return {
        "assignment": {
            "id": "a2",
            "title": "Butterflies",
            "course": "AIL721",
            "max_marks": "5.0",
            "marks_step": "0.01",
        },
        "submission": {"zip_name": "a.zip", "zip_sha256": "ab" * 32, "entry_number": None},
        "verdict": "graded" if segmentation is not None else "partly-graded",
        "awards": [
            _award("classification", "1 Classification", "accuracy", classification),
            _award("segmentation", "2 Segmentation", "iou", segmentation),
        ],
        "measurements": [
            _measurement("accuracy", "Accuracy", None if classification is None else 0.75),
            _measurement("iou", "IoU", None if segmentation is None else 0.5),
        ],
        "findings": findings if message else [],
        "independent": None,
        "runs": [{"case": "evaluate", "argv": ["python"], "status": "finished"}],
        "images": [
            {"name": "SECRET-IMAGE-NAME", "label": "ADONIS", "predicted": "CLEOPATRA", "iou": 0.25}
        ],
        "volatile": {
            "runs": [
                {
                    "limit": "",
                    "wall_seconds": 9.41,
                    "peak_memory_bytes": 1_203_765_248,
                    "stdout": "",
                    "stderr": message,
                }
            ]
        },
    }


def _award(criterion: str, title: str, measurement: str, marks: str | None) -> dict[str, Any]:
    return {
        "criterion": criterion,
        "title": title,
        "measurement": measurement,
        "value": None if marks is None else 0.5,
        "marks": marks,
        "look_at": [],
        "max_marks": "2.5",
        "exact_marks": marks or "0",
        "curve": _CURVE,
        "rounding": "rounded down to a multiple of 0.01",
        "reason": "a person has to look" if marks is None else "lies on the curve",
    }


def _measurement(name: str, title: str, value: float | None) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "value": value,
        "count": 4,
        "interval": None,
        "baselines": {"majority-class": 0.25},
        "convention": "",
        "histogram": None,
        "per_item": {},
        "details": {},
    }


def entry(
    key: str,
    marks: str | None,
    *,
    report: Mapping[str, Any] | None = None,
    name: str | None = None,
    email: str | None = None,
    ids: Mapping[str, str] | None = None,
    late: str = "0",
    late_seconds: float | None = None,
    adjustments: tuple[Adjustment, ...] = (),
    codes: tuple[str, ...] = (),
    state: State = State.DONE,
    fault: str | None = None,
    zip_name: str | None = None,
) -> Entry:
    """An entry out of its final marks; what is not said is as in the calmest case."""
    graded = None if report is None else sum(Decimal(a["marks"] or 0) for a in report["awards"])
    return Entry(
        submitted=Submitted(
            key=key,
            zip_path=Path("in") / f"{key}.zip",
            zip_name=zip_name or f"{key}.zip",
            entry_number=key.split("-", maxsplit=1)[0],
            name=name,
            email=email,
            late_seconds=late_seconds,
            platform_ids=ids or {},
            findings=tuple(found(code, f"said by {code}") for code in codes),
        ),
        state=state,
        report=report,
        report_folder=None,
        marks=None if marks is None else Decimal(marks),
        graded_marks=None if graded is None else Decimal(graded),
        max_marks=Decimal("5.0"),
        late_penalty=Decimal(late),
        adjustments=adjustments,
        attempts=1,
        fault=fault,
    )


def example_entries() -> tuple[Entry, ...]:
    """Asha is plain, Ben late and hostile, Chen and Divya a team, Emeka adjusted, Farah parked."""
    given = Adjustment(
        "segmentation",
        Decimal("2.40"),
        "masks were shown in the viva",
        "ta",
        datetime(2025, 3, 20, tzinfo=UTC),
    )
    return (
        entry(
            "2022AIZ8170",
            "3.10",
            report=report_of("1.62", "1.48"),
            name="Asha Rao",
            email="asha@example.org",
            ids={"moodle": "101", "moodle_folder": "Asha Rao_101_assignsubmission_file"}
            | {"canvas": "4711", "gradescope": "11"},
        ),
        entry(
            "2022AIZ8171",
            "1.849",
            report=report_of("1.349", "1.00", f"=1+1 {HOSTILE}"),
            name="=HYPERLINK(0)",
            email="ben@example.org",
            zip_name="-2022AIZ8171.zip",
            ids={"moodle": "102", "moodle_folder": "Ben Ito_102_assignsubmission_file"}
            | {"canvas": "4712", "gradescope": "12"},
            late="0.50",
            late_seconds=3_660.0,
            codes=("class.late",),
        ),
        entry(
            "2022AIZ8172",
            "0",
            report=report_of("0", None),
            name="Chen Li, Divya Nair",
            email="chen@example.org, divya@example.org",
            ids={
                "moodle": "103 104",
                "moodle_folder": "T-Chen Li_103_assignsubmission_file\n"
                "T-Divya Nair_104_assignsubmission_file",
                "canvas": "4713 4714",
                "gradescope": "13",
            },
            codes=("class.team",),
        ),
        entry(
            "2022AIZ8173",
            "4.02",
            report=report_of("1.62", "0.10"),
            name="Emeka Okafor",
            email="emeka@example.org",
            adjustments=(given,),
        ),
        entry(
            "2022AIZ8174",
            None,
            name="Farah Ali",
            state=State.PARKED,
            fault="SandboxError: no space is left",
            ids={"moodle": "105", "canvas": "4715"},
        ),
        entry("2022AIZ8170-2", "0.5", report=report_of("0.5", "0"), codes=("class.superseded",)),
    )


def absent_entry() -> Entry:
    """Somebody on the roster who handed in nothing; both worksheets have a row for him."""
    calm = entry("", None)
    return replace(
        calm,
        submitted=Absent(
            key="2022AIZ8190",
            entry_number="2022AIZ8190",
            name="Nobody Atall",
            email="nobody@example.org",
            platform_ids={"moodle": "107", "canvas": "9999"},
        ),
        state=State.ABSENT,
        attempts=0,
    )

"""A class of any size in a real store, with reports that differ as students do.

The reports are varied copies of `example_report()`: students have a skill, images a difficulty, and
what commonly goes wrong goes wrong in realistic shares. Some are late, some were adjusted by hand, some
are not graded yet. Nothing is run, so that three hundred take seconds.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from grader.assignments.load import load_assignment
from grader.classroom.final_marks import SUPERSEDED
from grader.classroom.lateness import late_penalty, lateness_in_words
from grader.classroom.records import (
    Absent,
    Adjustment,
    ClassInfo,
    Door,
    Fingerprint,
    PastResult,
    Setup,
    Submitted,
)
from grader.classroom.store import REPORTS_FOLDER, Store, make_store
from grader.findings import found
from grader.model import LatePolicy
from grader.render.html import html
from grader.render.json_report import finding_document, report_document
from tests.unit.render.example_report import CLASSES, example_report

A2 = replace(
    load_assignment("ail721-a2"),
    late=LatePolicy(datetime(2025, 3, 1, 18, 29, tzinfo=UTC), 900.0, Decimal(10), "maximum", None),
)
_FIRST = ("Asha", "Ben", "Chen", "Divya", "Emeka", "Farah", "Gita", "Hiro", "Ines", "Jörg", "आरव")
_LAST = ("Rao", "Ito", "Li", "Nair", "Okafor", "Ali", "Sharma", "Sato", "Silva", "Müller", "शर्मा")
_NOW = datetime(2025, 3, 17, 9, 41, tzinfo=UTC)
# What goes wrong, how often, and what it costs: everything, some, or nothing.
_MISHAPS = (
    (0.10, "run.missing-file", "evaluate.py opens class_labels.json, which is not in the zip", 0.0),
    (0.05, "run.wall-time", "evaluate was stopped after 900 s; 12 of 24 masks were written", 0.5),
    (0.03, "layout.wrapping-folder", "everything lies in the folder submission/", 1.0),
    (0.20, "zip.name", "the zip is called {key}_final.zip; it should be {key}.zip", 1.0),
    (0.08, "mask.inverted", "21 of 24 masks fit better when they are inverted", 0.6),
    (0.12, "layout.no-checkpoint", "no checkpoint is in the zip", 1.0),
)


def make_class(
    results: Path,
    students: int,
    *,
    seed: int = 7,
    pages: bool = True,
    absent: tuple[Absent, ...] = (),
) -> Store:
    """Fill the new results folder; the store is open when it comes back."""
    rng = random.Random(seed)
    info = ClassInfo(
        assignment_id=A2.id,
        title=A2.title,
        course=A2.course,
        max_marks=A2.max_marks,
        definition_sha256=A2.sha256,
        truth_sha256="7" * 64,
        setup=Setup(submissions=results.parent, masks=None, assignment=A2.id),
        created_at=_NOW,
    )
    store = make_store(results, info)
    hardness = [rng.betavariate(2, 3) for _ in _base()["images"]]
    everybody = [_submitted(number, rng, results.parent) for number in range(students)]
    store.enrol(Door(tuple(everybody), absent), "ta")
    for number, one in enumerate(everybody):
        if number % 41 == 17:  # the grader's own fault, three times
            for _ in range(3):
                store.start(one.key, "worker", _NOW)
                store.fail(
                    one.key, "SandboxError: no space is left", "worker", _NOW, most_attempts=3
                )
            continue
        if number % 53 == 29:
            continue  # still waits
        _finish(store, one, rng, hardness, pages=pages)
        if number % 37 == 11:
            store.adjust(
                one.key,
                Adjustment(
                    "segmentation", Decimal("2.40"), "masks were shown in the viva", "ta", _NOW
                ),
                Decimal(0),
            )
    return store


def _submitted(number: int, rng: random.Random, folder: Path) -> Submitted:
    key = f"20{rng.choice((21, 22, 23))}AIB{1000 + number}"
    late = rng.choice((0.0, 0.0, 0.0, 0.0, 3_700.0, 100_000.0)) if number else 0.0
    findings = [found("class.late", lateness_in_words(late))] if late > 900 else []
    if number % 59 == 43:
        key = f"{key}-2"
        findings.append(found(SUPERSEDED, "a later one was handed in"))
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    return Submitted(
        key=key,
        zip_path=folder / f"{key}.zip",
        zip_name=f"{key}.zip",
        entry_number=key.removesuffix("-2"),
        name=name,
        email=f"{key.lower()}@example.org",
        submitted_at=datetime(2025, 3, 1, 18, 29, tzinfo=UTC) + timedelta(seconds=late),
        late_seconds=late,
        platform_ids={"moodle": str(500 + number), "canvas": str(90_000 + number)},
        findings=tuple(findings),
    )


@cache
def _base() -> Mapping[str, Any]:
    return report_document(example_report())


@cache
def _page() -> str:
    return html(example_report())


def _finish(
    store: Store, one: Submitted, rng: random.Random, hardness: list[float], *, pages: bool
) -> None:
    report = _report(one, rng, hardness)
    awards = {award["criterion"]: Decimal(award["marks"]) for award in report["awards"]}
    marks = sum(awards.values(), Decimal(0))
    text = json.dumps(report, ensure_ascii=False)
    folder = store.results / REPORTS_FOLDER / one.key
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(text, "utf-8")
    if pages:
        first = store.results.parent / "page.html"
        if not first.exists():
            first.write_text(_page(), "utf-8")
        os.link(first, folder / "report.html")
    store.start(one.key, "worker", _NOW)
    result = PastResult(
        number=0,
        key=one.key,
        graded_at=_NOW,
        who="",
        why="",
        fingerprint=Fingerprint("9" * 64, "7" * 64, A2.sha256, "0.1.0"),
        seconds=10.0,
        verdict=report["verdict"],
        marks=marks,
        awards=awards,
        report={},
    )
    store.finish(result, text, "stamp", late_penalty(marks, one.late_seconds, A2))


def _report(one: Submitted, rng: random.Random, hardness: list[float]) -> dict[str, Any]:
    report: dict[str, Any] = copy.deepcopy(dict(_base()))
    skill = rng.betavariate(5, 2)
    happened = [
        (code, message.format(key=one.key), left)
        for chance, code, message, left in _MISHAPS
        if rng.random() < chance
    ]
    left = min((share for _, _, share in happened), default=1.0)
    report["submission"] |= {"zip_name": one.zip_name, "entry_number": one.entry_number}
    for shot, hard in zip(report["images"], hardness, strict=True):
        right = rng.random() < left * min(1.0, skill * 1.45 * (1.05 - hard))
        shot["predicted"] = shot["label"] if right else rng.choice(CLASSES)
        shot["iou"] = left * max(0.0, min(1.0, rng.gauss(0.55 + 0.4 * skill - 0.45 * hard, 0.08)))
    values = {
        "accuracy": fmean(shot["predicted"] == shot["label"] for shot in report["images"]),
        "iou": fmean(shot["iou"] for shot in report["images"]),
    }
    values |= {"macro_f1": values["accuracy"] * 0.97}
    values |= {"dice": 2 * values["iou"] / (1 + values["iou"])}
    for measurement in report["measurements"]:
        value = values.get(measurement["id"], measurement["value"])
        measurement["value"] = None if left == 0 else value
        measurement["interval"] = None
    for award in report["awards"]:
        value = 0.0 if left == 0 else values[award["measurement"]]
        award["value"] = None if left == 0 else value
        award["marks"] = str(_on_curve(value, award["curve"]))
        award["reason"] = "could not be measured" if left == 0 else f"{value:.4f} on the curve"
    report["verdict"] = "partly-graded" if left == 0 else "graded"
    report["findings"] = [finding_document(found(code, text)) for code, text, _ in happened]
    return report


def _on_curve(value: float, curve: list[dict[str, Any]]) -> Decimal:
    points = [(float(point["value"]), float(point["marks"])) for point in curve]
    if value <= points[0][0]:
        return Decimal(points[0][1])
    for (low, less), (high, more) in itertools.pairwise(points):
        if value <= high:
            exact = less + (value - low) / (high - low) * (more - less)
            return Decimal(str(exact)).quantize(Decimal("0.01"), ROUND_FLOOR)
    return Decimal(str(points[-1][1]))

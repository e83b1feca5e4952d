"""What the overview of a class says, counted from its entries. Pure; knows no files."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, median
from typing import Any

from grader.classroom.final_marks import criterion_marks
from grader.classroom.lateness import lateness_in_words
from grader.classroom.records import Entry, State
from grader.findings import CATALOGUE
from grader.model import Severity
from grader.render.charts import BarChart
from grader.render.site.class_charts import spread_chart

_TABLE_METRICS = 6  # more columns do not fit; all of them have their distribution
_HARDEST = 24
_MESSAGES = 3
_SEVERITIES = list(Severity)


@dataclass(frozen=True, slots=True)
class Row:
    """One submission, or somebody without one, in the table.

    `criteria` and `values` follow the columns of `ClassView`.
    """

    key: str
    name: str
    entry_number: str
    zip_name: str
    state: str  # a verdict where there is one, else the state
    marks: Decimal | None
    criteria: tuple[Decimal | None, ...]
    values: tuple[float | None, ...]
    late_seconds: float
    late: str
    penalty: Decimal
    errors: int
    warnings: int
    codes: tuple[str, ...]
    similar: bool
    adjusted: bool
    fault: str | None


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """A finding and who has it; `messages` are the most frequent wordings with their counts."""

    code: str
    title: str
    severity: str
    hint: str
    keys: tuple[str, ...]
    messages: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ClassImage:
    """How the class fared on one image: `right` of `labelled` labels, mean `iou` of `masks`."""

    name: str
    label: str | None
    labelled: int
    right: int
    masks: int
    iou: float | None
    mistaken_for: tuple[tuple[str, int], ...]

    @property
    def ease(self) -> float:
        """0 where nobody got it, 1 where everybody did: share right and mean IoU, averaged."""
        known = [self.right / self.labelled] if self.labelled else []
        known += [] if self.iou is None else [self.iou]
        return fmean(known) if known else 1.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How one number spreads over the class."""

    id: str
    title: str
    values: tuple[float, ...]
    chart: BarChart

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def median(self) -> float:
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Submissions that a person should look at together, and why."""

    members: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class ClassView:
    """Everything on the overview page."""

    title: str
    course: str
    max_marks: Decimal
    step: Decimal
    criteria: tuple[str, ...]  # titles of the columns
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    marks: Spread | None
    spreads: tuple[Spread, ...]
    findings: tuple[FindingGroup, ...]
    images: tuple[ClassImage, ...]
    clusters: tuple[Cluster, ...]

    @property
    def submissions(self) -> int:
        return len(self.rows) - self.absent

    @property
    def absent(self) -> int:
        """How many of the roster handed in nothing."""
        return sum(row.state == State.ABSENT for row in self.rows)

    @property
    def graded(self) -> int:
        return sum(row.marks is not None for row in self.rows)

    @property
    def open(self) -> tuple[Row, ...]:
        """Parked through the grader's own fault, then what is not graded yet."""
        return tuple(
            sorted((row for row in self.rows if row.state in _OPEN), key=lambda row: row.state)
        )

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(sorted({row.state for row in self.rows}))


_OPEN = {State.WAITING, State.RUNNING, State.PARKED}


def class_view(
    entries: Sequence[Entry], title: str, course: str, clusters: Sequence[Cluster] = ()
) -> ClassView:
    """Count the class. Order of rows: as the entries come."""
    reports = [entry.report for entry in entries if entry.report is not None]
    criteria = {one["criterion"]: one["title"] for report in reports for one in report["awards"]}
    metrics = {one["id"]: one["title"] for report in reports for one in report["measurements"]}
    deciding = [one["measurement"] for report in reports for one in report["awards"]]
    shown = list(dict.fromkeys([*(name for name in deciding if name in metrics), *metrics]))
    shown = shown[:_TABLE_METRICS]
    similar = {key for cluster in clusters for key in cluster.members}
    max_marks = max((entry.max_marks for entry in entries), default=Decimal(0))
    rows = tuple(_row(entry, list(criteria), shown, similar) for entry in entries)
    return ClassView(
        title=title,
        course=course,
        max_marks=max_marks,
        step=max(
            (Decimal(report["assignment"]["marks_step"]) for report in reports), default=Decimal(1)
        ),
        criteria=tuple(criteria.values()),
        metrics=tuple(metrics[name] for name in shown),
        rows=rows,
        marks=_spread(
            "marks",
            "Marks",
            [float(row.marks) for row in rows if row.marks is not None],
            (0.0, float(max_marks)),
        ),
        spreads=tuple(_spreads(reports, metrics)),
        findings=tuple(_groups(entries)),
        images=tuple(_images(reports)),
        clusters=tuple(clusters),
    )


def _row(entry: Entry, criteria: Sequence[str], metrics: Sequence[str], similar: set[str]) -> Row:
    submitted, report = entry.submitted, entry.report
    given = {one.criterion: one.marks for one in criterion_marks(entry)}
    values = {} if report is None else {one["id"]: one["value"] for one in report["measurements"]}
    found = list(_findings(entry))
    late = submitted.late_seconds or 0.0
    done = report is not None and entry.state is State.DONE
    return Row(
        key=submitted.key,
        name=submitted.name or "",
        entry_number=submitted.entry_number or "",
        zip_name=submitted.zip_name,
        state=str(report["verdict"]) if report is not None and done else str(entry.state),
        marks=entry.marks if done else None,
        criteria=tuple(given.get(name) for name in criteria),
        values=tuple(values.get(name) for name in metrics),
        late_seconds=late,
        late=lateness_in_words(late).removesuffix(" late") if late else "",
        penalty=entry.late_penalty,
        errors=sum(one["severity"] == Severity.ERROR for one in found),
        warnings=sum(one["severity"] == Severity.WARNING for one in found),
        codes=tuple(dict.fromkeys(one["code"] for one in found)),
        similar=submitted.key in similar,
        adjusted=bool(entry.adjustments),
        fault=entry.fault,
    )


def _findings(entry: Entry) -> Iterator[Mapping[str, Any]]:
    """The intake's and the report's, in one form."""
    for one in entry.submitted.findings:
        title = CATALOGUE[one.code].title if one.code in CATALOGUE else one.code
        yield {
            "code": one.code,
            "title": title,
            "severity": one.severity,
            "message": one.message,
            "hint": one.hint,
        }
    if entry.report is not None:
        yield from entry.report["findings"]


def _groups(entries: Sequence[Entry]) -> list[FindingGroup]:
    """By severity, then by how many have it."""
    keys: dict[str, dict[str, None]] = defaultdict(dict)
    messages: dict[str, Counter[str]] = defaultdict(Counter)
    first: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        for one in _findings(entry):
            code = one["code"]
            first.setdefault(code, one)
            if entry.submitted.key not in keys[code]:
                messages[code][one["message"]] += 1
            keys[code][entry.submitted.key] = None
    groups = [
        FindingGroup(
            code=code,
            title=one["title"],
            severity=str(one["severity"]),
            hint=one["hint"],
            keys=tuple(keys[code]),
            messages=_frequent(messages[code]),
        )
        for code, one in first.items()
    ]
    return sorted(
        groups,
        key=lambda one: (_SEVERITIES.index(Severity(one.severity)), -len(one.keys), one.code),
    )


def _frequent(messages: Counter[str]) -> tuple[tuple[str, int], ...]:
    """What several have word for word; where everybody's differs, one of them as an example."""
    common = [one for one in messages.most_common(_MESSAGES) if one[1] > 1]
    return tuple(common or messages.most_common(1))


def _spreads(reports: Sequence[Mapping[str, Any]], metrics: Mapping[str, str]) -> Iterator[Spread]:
    values: dict[str, list[float]] = defaultdict(list)
    for report in reports:
        for one in report["measurements"]:
            if one["value"] is not None and math.isfinite(one["value"]):
                values[one["id"]].append(one["value"])
    for name, title in metrics.items():
        found = values[name]
        inside = all(0 <= value <= 1 for value in found)
        ends = (0.0, 1.0) if inside else (min(found), max(found))
        spread = _spread(name, title, found, ends)
        if spread is not None:
            yield spread


def _spread(
    name: str, title: str, values: Sequence[float], ends: tuple[float, float]
) -> Spread | None:
    if not values:
        return None
    low, high = ends if ends[0] < ends[1] else (ends[0] - 0.5, ends[0] + 0.5)
    return Spread(name, title, tuple(values), spread_chart(values, low, high, "submission"))


def _images(reports: Sequence[Mapping[str, Any]]) -> list[ClassImage]:
    """The hardest first. What was not written counts as wrong, as it does in the marks."""
    shots: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for report in reports:
        for shot in report["images"]:
            shots[shot["name"]].append(shot)
    images = [_image(name, seen) for name, seen in shots.items()]
    return sorted(images, key=lambda one: (one.ease, one.name))[:_HARDEST]


def _image(name: str, seen: Sequence[Mapping[str, Any]]) -> ClassImage:
    label = next((one["label"] for one in seen if one["label"] is not None), None)
    labelled = [one for one in seen if one["label"] is not None]
    right = sum(one["predicted"] == one["label"] for one in labelled)
    ious = [one["iou"] for one in seen if one["iou"] is not None]
    mistaken = Counter(
        one["predicted"]
        for one in labelled
        if one["predicted"] is not None and one["predicted"] != one["label"]
    )
    return ClassImage(
        name=name,
        label=label,
        labelled=len(labelled),
        right=right,
        masks=len(ious),
        iou=fmean(ious) if ious else None,
        mistaken_for=tuple(mistaken.most_common(2)),
    )

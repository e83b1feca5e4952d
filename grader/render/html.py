"""report.html: the whole report as one page that needs nothing but itself.

See `grader.render.self_contained` for what keeps it harmless. The page reads without JavaScript;
the script only sorts and filters the gallery.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from grader.model import Award, Gallery, Measurement, Report
from grader.render import words
from grader.render.audience import Audience, seen_by
from grader.render.charts import (
    BarChart,
    CurveChart,
    HeatMap,
    bar_chart,
    curve_chart,
    heat_map,
)
from grader.render.confusion import Confusion, confusion_of
from grader.render.histogram import Histogram, histogram_of
from grader.render.self_contained import TEMPLATES, page_environment, page_policy, page_source

# Pictures in one page, as bytes before base64 makes four of three: together below 15 MB.
PICTURES_BYTES = 10_500_000
_SAMPLE_SHARE = (
    0.25  # of the pictures, when not all fit: an even sample of those not among the worst
)
_MISTAKES = 12


@dataclass(frozen=True, slots=True)
class _Criterion:
    award: Award
    measurement: Measurement | None
    chart: CurveChart | None


@dataclass(frozen=True, slots=True)
class _Distribution:
    measurement: Measurement
    histogram: Histogram
    chart: BarChart


@dataclass(frozen=True, slots=True)
class _ConfusionView:
    matrix: Confusion
    chart: HeatMap
    mistakes: Sequence[tuple[int, int, int]]
    left_out: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    preprocessing: str
    title: str
    form: str
    images: int | None
    accuracy: float | None
    agreement: float | None
    is_chosen: bool = False

    @property
    def fit(self) -> float:
        """What the candidates are compared by: agreement, without labels the accuracy."""
        known = self.accuracy if self.agreement is None else self.agreement
        return 0.0 if known is None else known


def html(report: Report, *, audience: Audience = "ta") -> str:
    """The page as text, to be written as UTF-8. Equal reports give equal pages."""
    report = seen_by(report, audience)
    measured = {measurement.id: measurement for measurement in report.measurements}
    style, script = page_source(TEMPLATES / "report.css"), page_source(TEMPLATES / "report.js")
    shots, left_out = choose_shots(report.gallery)
    return page_template().render(
        report=report,
        audience=audience,
        style=style,
        script=script,
        policy=page_policy(style, script),
        criteria=[
            _Criterion(
                award,
                measured.get(award.measurement),
                None if award.is_manual else curve_chart(award, measured.get(award.measurement)),
            )
            for award in report.awards
        ],
        groups=words.by_severity(report.findings),
        shots=shots,
        left_out=left_out,
        distributions=list(_distributions(report)),
        confusion=_confusion(report),
        candidates=_candidates(report),
        sandbox=_isolation(report.provenance),
        provenance=list(_flattened(report.provenance)),
        volatile=list(_flattened(report.volatile)),
    )


def choose_shots(
    gallery: Sequence[Gallery], *, pictures_bytes: int = PICTURES_BYTES
) -> tuple[list[Gallery], int]:
    """The images that the page shows, worst first, and how many were left out.

    Worst is the lowest IoU, then a wrong label, then the name. When the pictures take more than
    `pictures_bytes`, three quarters of the room go to the worst and the rest to an even sample
    of the others.
    """
    ranked = sorted(gallery, key=_badness)
    sizes = list(map(_picture_bytes, ranked))
    if sum(sizes) <= pictures_bytes:
        return ranked, 0
    worst, used = 0, 0
    while used + sizes[worst] <= pictures_bytes * (1 - _SAMPLE_SHARE):
        used += sizes[worst]
        worst += 1
    others = len(ranked) - worst
    wanted = int((pictures_bytes - used) / (sum(sizes[worst:]) / others))
    sample: list[Gallery] = []
    for number in range(wanted):
        index = worst + number * (others - 1) // max(wanted - 1, 1)
        if used + sizes[index] <= pictures_bytes:
            used += sizes[index]
            sample.append(ranked[index])
    return ranked[:worst] + sample, others - len(sample)


def _badness(image: Gallery) -> tuple[float, bool, str, str]:
    iou = 1.0 if image.iou is None else image.iou
    return iou, image.predicted == image.label, image.name, image.staged_name


def _picture_bytes(image: Gallery) -> int:
    pictures = (image.image, image.truth, image.predicted_mask, image.overlap)
    return sum(len(picture) for picture in pictures if picture is not None)


def _distributions(report: Report) -> Iterator[_Distribution]:
    for measurement in report.measurements:
        histogram = histogram_of(measurement)
        if histogram is not None:
            yield _Distribution(measurement, histogram, bar_chart(histogram, measurement))


def _confusion(report: Report) -> _ConfusionView | None:
    matrix = confusion_of(report)
    if matrix is None or not matrix.total:
        return None
    mistakes = matrix.mistakes()
    left_out = max(0, len(mistakes) - _MISTAKES)
    return _ConfusionView(matrix, heat_map(matrix), mistakes[:_MISTAKES], left_out)


def _candidates(report: Report) -> list[_Candidate]:
    """Every way in which the checkpoint was run, the one that explains the labels best first."""
    if report.independent is None:
        return []
    rows = [
        _Candidate(
            preprocessing=str(row.get("preprocessing", "")),
            title=str(row.get("title", row.get("preprocessing", ""))),
            form=str(row.get("form", "")),
            images=row.get("images"),
            accuracy=row.get("accuracy"),
            agreement=row.get("agreement"),
        )
        for row in report.independent.candidates
    ]
    chosen = report.independent.preprocessing.id
    rows.sort(key=lambda row: (-row.fit, row.preprocessing != chosen))
    best = next((index for index, row in enumerate(rows) if row.preprocessing == chosen), None)
    return [replace(row, is_chosen=index == best) for index, row in enumerate(rows)]


def _isolation(provenance: Mapping[str, Any]) -> str:
    """`full`, `reduced`, `none`, or nothing where the report does not say."""
    sandbox = provenance.get("sandbox")
    return str(sandbox.get("isolation", "")) if isinstance(sandbox, Mapping) else ""


def _flattened(mapping: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(words, content) per leaf of nested mappings: `versions · torch`."""
    for name, content in mapping.items():
        words_of_name = str(name).replace("_", " ")
        path = f"{above} · {words_of_name}" if above else words_of_name
        if isinstance(content, Mapping):
            yield from _flattened(content, path)
        else:
            yield path, "–" if content is None else str(content)


# --------------------------------------------------------------------------- the template


@cache
def page_template() -> Template:
    """The page without a report, compiled once a process."""
    environment = page_environment(TEMPLATES)
    environment.filters.update(
        data_uri=_data_uri, run_status=words.run_status, severity_counts=words.severity_counts
    )
    environment.globals.update(faults=words.FAULTS)
    return environment.get_template("report.html.j2")


def _data_uri(picture: bytes) -> Markup:
    """A `data:` URI; raises ValueError for bytes that are neither PNG nor JPEG."""
    if picture.startswith(b"\x89PNG"):
        kind = "png"
    elif picture.startswith(b"\xff\xd8\xff"):
        kind = "jpeg"
    else:
        raise ValueError("a picture of the gallery is neither PNG nor JPEG")
    # Only the base64 alphabet: nothing in it needs escaping.
    return Markup(f"data:image/{kind};base64,{base64.b64encode(picture).decode()}")

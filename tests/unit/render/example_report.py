"""A report with everything in it, made of synthetic pictures: what renderers are tried on.

`example_report()` is calm and realistic (it is also what one looks at); `hostile=` puts a string
of the test's choice wherever text of a student can come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean, median

import numpy as np
import numpy.typing as npt

from grader.assignments.load import load_assignment
from grader.findings import found
from grader.metrics.segmentation import dice, foreground_iou
from grader.model import (
    Assignment,
    Award,
    CaseRun,
    CaseStatus,
    CheckResult,
    Fault,
    Finding,
    Gallery,
    IndependentEvaluation,
    Interval,
    Measurement,
    Preprocessing,
    Probe,
    ProbeChange,
    ProbePass,
    Report,
    ResNetShape,
    Severity,
    Verdict,
)
from grader.render.gallery import mask_png, overlap_jpeg, photo_jpeg
from grader.stages.award import award

CLASSES = (
    "ADONIS",
    "AFRICAN GIANT SWALLOWTAIL",
    "ARCIGERA FLOWER MOTH",
    "BECKERS WHITE",
    "BROOKES BIRDWING",
    "CLEOPATRA",
    "GREAT EGGFLY",
    "MILBERTS TORTOISESHELL",
    "PAINTED LADY",
    "SLEEPY ORANGE",
    "TROPICAL LEAFWING",
    "ZEBRA LONG WING",
)
# Two of these names are as wide as an Indic or a Chinese name can be, one runs right to left.
IMAGE_NAMES = ("तितली_००१.jpg", "蝴蝶与蛾的长长的名字_第二张图片.jpg", "فراشة_003.jpg")
SIDE_PX = 224

# A truth that must not reach a student: unlike anything else in the report.
SECRET_SEED = 8_602_461_353_117
SECRET_HOST = "grading-host-7"
SECRET_EVIDENCE = "evidence-for-the-course-only"
SECRET_CONCLUSION = "what-the-probe-says-to-the-course"


@dataclass(frozen=True)
class _Picture:
    name: str
    staged_name: str
    label: str
    predicted: str | None
    image: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.bool_]
    guess: npt.NDArray[np.bool_] | None

    @property
    def iou(self) -> float:
        return 0.0 if self.guess is None else float(foreground_iou([self.guess], [self.truth])[0])

    @property
    def dice(self) -> float:
        return 0.0 if self.guess is None else float(dice([self.guess], [self.truth])[0])


def _butterfly(
    rng: np.random.Generator, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Four wings and a body around the middle; x, y in [-1, 1]."""
    span, drop = rng.uniform(0.32, 0.45), rng.uniform(0.2, 0.3)
    upper = ((np.abs(x) - span * 0.8) / span) ** 2 + ((y + drop) / (span * 0.75)) ** 2 < 1
    lower = ((np.abs(x) - span * 0.6) / (span * 0.7)) ** 2 + ((y - drop) / (span * 0.6)) ** 2 < 1
    body = (x / 0.07) ** 2 + (y / 0.5) ** 2 < 1
    return np.asarray(upper | lower | body)


def _picture(index: int, rng: np.random.Generator, classes: tuple[str, ...]) -> _Picture:
    axis = np.linspace(-1, 1, SIDE_PX)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    truth = _butterfly(rng, x - rng.uniform(-0.2, 0.2), y - rng.uniform(-0.15, 0.15))
    leaf = np.array([rng.uniform(50, 90), rng.uniform(90, 140), rng.uniform(45, 80)])
    wing = rng.uniform(60, 255, 3)
    waves = np.sin(x * rng.uniform(4, 12) + y * rng.uniform(-9, 9)) * 22
    veins = np.sin(np.hypot(x, y) * rng.uniform(22, 40)) * 26
    pixels = leaf + waves[..., None] + rng.normal(0, 7, (SIDE_PX, SIDE_PX, 3))
    pixels[truth] = (wing + veins[..., None] + rng.normal(0, 5, (SIDE_PX, SIDE_PX, 3)))[truth]
    shift = rng.integers(0, 6 + index * 2, 2)
    guess = np.roll(truth, (int(shift[0]), -int(shift[1])), axis=(0, 1))
    guess[: int(rng.integers(0, 60))] = False
    guess |= (x - 0.7) ** 2 + (y - 0.75) ** 2 < rng.uniform(0, 0.12) if index % 3 == 0 else False
    label = classes[index % len(classes)]
    wrong = classes[int(rng.integers(0, len(classes)))]
    predicted = label if rng.random() < 0.78 else wrong
    name = IMAGE_NAMES[index] if index < len(IMAGE_NAMES) else f"img_{index:03}_zq9a.jpg"
    return _Picture(
        name=f"{label}/{name}",
        staged_name=f"k{index:03}w7x2.png",
        label=label,
        predicted=None if index == 7 else predicted,
        image=np.clip(pixels, 0, 255).astype(np.uint8),
        truth=truth,
        guess=None if index == 11 else guess,
    )


@cache
def _pictures(count: int, classes: tuple[str, ...]) -> tuple[_Picture, ...]:
    rng = np.random.default_rng(20250317)
    return tuple(_picture(index, rng, classes) for index in range(count))


def _gallery(picture: _Picture) -> Gallery:
    return Gallery(
        name=picture.name,
        staged_name=picture.staged_name,
        label=picture.label,
        predicted=picture.predicted,
        iou=picture.iou,
        image=photo_jpeg(picture.image),
        truth=mask_png(picture.truth),
        predicted_mask=None if picture.guess is None else mask_png(picture.guess),
        overlap=overlap_jpeg(picture.image, picture.truth, picture.guess),
    )


@cache
def _galleries(count: int, classes: tuple[str, ...]) -> tuple[Gallery, ...]:
    return tuple(map(_gallery, _pictures(count, classes)))


@cache
def _measurements(count: int, classes: tuple[str, ...]) -> tuple[Measurement, ...]:
    pictures = _pictures(count, classes)
    right = {p.staged_name: float(p.predicted == p.label) for p in pictures}
    matrix = [[0] * (len(classes) + 1) for _ in classes]
    for picture in pictures:
        column = len(classes) if picture.predicted is None else classes.index(picture.predicted)
        matrix[classes.index(picture.label)][column] += 1
    ious = {p.staged_name: p.iou for p in pictures}
    dices = {p.staged_name: p.dice for p in pictures}
    accuracy, iou = fmean(right.values()), fmean(ious.values())
    bootstrap = "percentile bootstrap over images, 2000 resamples"
    return (
        Measurement(
            id="accuracy",
            title="Accuracy",
            value=accuracy,
            count=len(pictures),
            interval=Interval(accuracy - 0.166, min(1.0, accuracy + 0.125), 0.95, bootstrap),
            baselines={"majority-class": 1 / len(classes)},
            per_item=right,
            details={"confusion": {"classes": list(classes), "counts": matrix}},
            convention="the share of all images whose label is right",
        ),
        Measurement(
            id="macro_f1",
            title="Macro F1",
            value=accuracy - 0.031,
            count=len(pictures),
            baselines={"majority-class": 0.013},
            convention="the mean of F1 over the classes",
        ),
        Measurement(
            id="iou",
            title="IoU of the foreground, mean over images",
            value=iou,
            count=len(pictures),
            interval=Interval(iou - 0.061, iou + 0.058, 0.95, bootstrap),
            baselines={"everything-foreground": 0.2951, "centred-ellipse": 0.4873},
            per_item=ious,
            details={"median": median(ious.values())},
            convention="1 when both masks are empty, 0 when only one is; a missing mask counts 0",
        ),
        Measurement(
            id="dice",
            title="Dice of the foreground, mean over images",
            value=fmean(dices.values()),
            count=len(pictures),
            baselines={"everything-foreground": 0.4472, "centred-ellipse": 0.6401},
            per_item=dices,
            details={"median": median(dices.values())},
            convention="1 when both masks are empty, 0 when only one is",
        ),
    )


def _findings() -> tuple[Finding, ...]:
    return (
        found(
            "mask.missing",
            "1 of 24 images has no mask in seg_maps: k011w7x2.png",
            path="seg_maps",
            evidence={"images": [SECRET_EVIDENCE]},
        ),
        found(
            "labels.missing-rows",
            "1 of 24 images has no row in submission.csv: k007w7x2.png",
            path="submission.csv",
        ),
        found(
            "labels.contradicting-rows",
            "2 images have rows with different labels; the first row was taken",
            path="submission.csv",
            line=19,
        ),
        found(
            "mask.not-binary",
            "24 of 24 masks hold more than two grey levels; above 127 was taken as foreground",
            path="seg_maps",
        ),
        found(
            "mask.other-suffix",
            "23 masks end in .png, their images in .jpg",
            path="seg_maps",
        ),
        found(
            "mask.decoder-stopped",
            "seg_maps/k019w7x2.png: decoding stopped at 64 MiB of memory",
            path="seg_maps/k019w7x2.png",
        ),
    )


_STDOUT = """\
Loading checkpoint resnet_model.pth
\x1b[32mdevice: cpu\x1b[0m
  0%|          | 0/24\r 50%|█████     | 12/24\r100%|██████████| 24/24 [00:07<00:00, 3.21it/s]
Wrote submission.csv (23 rows) and seg_maps/ (23 files)
"""
_STDERR = """\
evaluate.py:61: FutureWarning: You are using `torch.load` with `weights_only=False`
  state = torch.load(path, map_location="cpu")
Skipping k007w7x2.png: cannot identify image file
"""


def _run(**changes: object) -> CaseRun:
    run = CaseRun(
        case="evaluate",
        argv=("python", "evaluate.py", "resnet_model.pth", "images"),
        variant=0,
        status=CaseStatus.FINISHED,
        exit_code=0,
        signal=None,
        limit="",
        wall_seconds=9.41,
        cpu_seconds=17.2,
        peak_memory_bytes=1_203_765_248,
        stdout=_STDOUT,
        stderr=_STDERR,
        stdout_truncated=False,
        stderr_truncated=False,
        outputs=Path("/nowhere/outputs"),
        backend="bubblewrap",
    )
    return replace(run, **changes)  # type: ignore[arg-type]


def _independent(pictures: tuple[_Picture, ...]) -> IndependentEvaluation:
    return IndependentEvaluation(
        shape=ResNetShape(
            n=2,
            num_classes=12,
            widths=(32, 64, 128),
            kernel_px=3,
            in_channels=3,
            shortcut="projection",
            norm="batch",
            layers=14,
            parameters=699_131,
        ),
        preprocessing=Preprocessing(
            id="stretch-imagenet",
            title="resize to 224 × 224, ImageNet mean and std",
            resize="stretch",
            size_px=224,
            resize_px=224,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        ),
        accuracy=0.7916,
        agreement=0.9583,
        labels={picture.staged_name: picture.label for picture in pictures},
        candidates=(
            {
                "preprocessing": "stretch-imagenet",
                "title": "resize to 224 × 224, ImageNet mean and std",
                "form": "batch, projection",
                "images": 24,
                "accuracy": 0.7916,
                "agreement": 0.9583,
            },
            {
                "preprocessing": "crop-imagenet",
                "title": "resize to 256, centre crop 224, ImageNet mean and std",
                "form": "batch, projection",
                "images": 24,
                "accuracy": 0.75,
                "agreement": 0.875,
            },
            {
                "preprocessing": "stretch-half",
                "title": "resize to 224 × 224, mean and std 0.5",
                "form": "batch, projection",
                "images": 24,
                "accuracy": 0.5416,
                "agreement": 0.5833,
            },
            {
                "preprocessing": "stretch-raw",
                "title": "resize to 224 × 224, no normalisation",
                "form": "batch, projection",
                "images": 24,
                "accuracy": 0.125,
                "agreement": 0.1666,
            },
        ),
        class_order="alphabetical",
        images_per_second=41.7,
    )


@cache
def _definition() -> Assignment:
    return load_assignment("ail721-a2")


def _probe() -> Probe:
    """What `--probe` adds for the course: a program that knows its images by their bytes."""
    changes = [
        ProbeChange("accuracy", "Accuracy", 0.79, value, 0, worse, chance, suspicious)
        for value, worse, chance, suspicious in ((0.21, 14, 2**-14, True), (0.79, 0, 1.0, False))
    ]
    finished = ("finished",)
    return Probe(
        passes=(
            ProbePass("varied", "renamed, re-encoded", finished, 16, 24, (changes[0],)),
            ProbePass("same", "the very same images", finished, 0, 24, (changes[1],)),
        ),
        conclusion=SECRET_CONCLUSION,
    )


def example_report(
    *, images: int = 24, classes: tuple[str, ...] = CLASSES, hostile: str = ""
) -> Report:
    """A graded submission. `hostile` is put into everything that a student can write."""
    assignment = replace(_definition(), classes=classes)
    pictures = _pictures(images, classes)
    measurements = _measurements(images, classes)
    report = Report(
        assignment=assignment,
        zip_name="2023AIB2080_A2.zip",
        zip_sha256="9f2c" * 16,
        entry_number="2023AIB2080",
        verdict=Verdict.GRADED,
        findings=_findings(),
        runs=(_run(),),
        measurements=measurements,
        awards=award(assignment, measurements),
        independent=_independent(pictures),
        gallery=_galleries(images, classes),
        probe=_probe(),
        provenance={
            "zip_sha256": "9f2c" * 16,
            "truth_sha256": "41d7" * 16,
            "definition_sha256": assignment.sha256,
            "assignment": assignment.id,
            "classes_from": "class folders below /srv/truth",
            "staging_seed": SECRET_SEED,
            "versions": {
                "grader": "0.1.0",
                "python": "3.11.2",
                "torch": "2.12.1",
                "numpy": "2.4.6",
            },
            "sandbox": {"backend": "bubblewrap", "isolation": "full"},
            "device": "cpu",
        },
        volatile={
            "started_at": "2025-03-17T09:41:03+00:00",
            "host": SECRET_HOST,
            "platform": "Linux-6.18-x86_64-with-glibc2.36",
            "durations_seconds": {"inspect_zip": 0.0124, "case evaluate": 9.46, "gallery": 0.31},
        },
    )
    return _poisoned(report, hostile) if hostile else report


def rejected_report() -> Report:
    """A zip that was refused: nothing was run, nothing measured."""
    report = example_report()
    return replace(
        report,
        entry_number=None,
        zip_name="homework final (2).zip",
        verdict=Verdict.REJECTED,
        findings=(
            Finding(
                code="zip.not-a-zip",
                severity=Severity.ERROR,
                fault=Fault.STUDENT,
                message="homework final (2).zip is a RAR archive, not a zip",
                hint="pack it again, with `make submit`",
            ),
        ),
        runs=(),
        measurements=tuple(
            Measurement(id=m.id, title=m.title, value=None, count=0) for m in report.measurements
        ),
        awards=award(report.assignment, ()),
        independent=None,
        gallery=(),
    )


def failed_report() -> Report:
    """A program that ran out of time: nothing could be measured, a limit is named."""
    report = example_report()
    return replace(
        report,
        verdict=Verdict.PARTLY_GRADED,
        runs=(
            _run(
                status=CaseStatus.WALL_TIME,
                exit_code=None,
                signal=9,
                limit="stopped after 900 s, the limit of wall time",
                wall_seconds=900.3,
            ),
        ),
        measurements=tuple(
            Measurement(id=m.id, title=m.title, value=None, count=0) for m in report.measurements
        ),
        awards=award(report.assignment, ()),
        gallery=tuple(
            replace(image, predicted=None, predicted_mask=None, iou=None)
            for image in report.gallery
        ),
    )


def example_check(*, hostile: str = "") -> CheckResult:
    """What `grader check` found in the example's zip."""
    report = example_report(hostile=hostile)
    return CheckResult(
        zip_name=report.zip_name,
        zip_sha256=report.zip_sha256,
        entry_number=report.entry_number,
        assignment_id=report.assignment.id,
        findings=report.findings,
        passed=True,
    )


def _poisoned(report: Report, text: str) -> Report:
    """`text` in every place that a student's zip, program or output can fill."""

    def words(candidate: Mapping[str, object]) -> dict[str, object]:
        return {
            name: text if isinstance(content, str) else content
            for name, content in candidate.items()
        } | {text: text}

    def poisoned_finding(finding: Finding) -> Finding:
        place = finding.place and replace(finding.place, path=text)
        return replace(finding, message=text, hint=text, place=place, evidence={text: text})

    def poisoned_award(given: Award) -> Award:
        return replace(given, reason=text)

    assert report.independent is not None
    shape = replace(report.independent.shape, shortcut=text, norm=text)
    return replace(
        report,
        zip_name=text,
        entry_number=text,
        findings=tuple(map(poisoned_finding, report.findings)),
        runs=tuple(
            replace(run, argv=(text, *run.argv), limit=text, stdout=text, stderr=f"x\n{text}")
            for run in report.runs
        ),
        awards=tuple(map(poisoned_award, report.awards)),
        measurements=tuple(
            replace(
                measurement,
                baselines={**measurement.baselines, text: 0.1},
                per_item={**measurement.per_item, text: 0.5},
                convention=text,
            )
            for measurement in report.measurements
        ),
        independent=replace(
            report.independent,
            shape=shape,
            preprocessing=replace(report.independent.preprocessing, id=text, title=text),
            class_order=text,
            labels={text: text},
            candidates=tuple(map(words, report.independent.candidates)),
        ),
        gallery=tuple(
            replace(image, name=text, staged_name=text, label=text, predicted=text)
            for image in report.gallery
        ),
        provenance={**report.provenance, "device": text, text: {text: [text]}},
        volatile={**report.volatile, text: text},
    )

"""What `grader class` has found out already: answers, scores and masks, from its reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from grader.errors import UsageError
from grader.readers.json_file import parse_json
from grader.readers.regular_file import RefusedFileError, read_regular_file
from grader.similarity.masks import Signatures, read_signatures
from grader.similarity.model import MASKS_FILE
from grader.similarity.predictions import majority

_REPORTS = "reports"
_REPORT = "report.json"
_MAX_BYTES = 64 << 20
_Document = TypeVar("_Document")


@dataclass(frozen=True, slots=True)
class ClassResults:
    """`answers`: submission → image → label; `truth`: image → label; `scores`: submission → image →
    IoU; `accuracies`: submission → what its checkpoint gives on the hidden images, in [0, 1];
    `masks`: submission → image → the signature of its mask, of those whose signatures were kept."""

    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    truth: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    accuracies: Mapping[str, float] = field(default_factory=dict)
    masks: Mapping[str, Signatures] = field(default_factory=dict)


def read_class_results(results: Path, names: Iterable[str]) -> ClassResults:
    """The reports of those of `names` that have one, `reports/<name>/report.json`, and what lies
    beside them in MASKS_FILE. Raises UsageError when there is no class, or one of them is damaged.
    """
    folder = results / _REPORTS
    if not folder.is_dir():
        raise UsageError(
            f"{results}: there is no folder {_REPORTS} in it",
            hint="name the folder that `grader class --out` has written",
        )
    answers: dict[str, dict[str, str]] = {}
    truth: dict[str, str] = {}
    scores: dict[str, dict[str, float]] = {}
    accuracies: dict[str, float] = {}
    masks: dict[str, Signatures] = {}
    for name in names:
        path = folder / name / _REPORT
        if not path.is_file():
            continue
        report = _read(path, _parsed)
        if path.with_name(MASKS_FILE).is_file():
            masks[name] = _read(path.with_name(MASKS_FILE), read_signatures)
        images = [image for image in report.get("images", ()) if isinstance(image, dict)]
        answers[name] = {
            str(image["name"]): str(image["predicted"])
            for image in images
            if image.get("predicted")
        }
        truth |= {str(image["name"]): str(image["label"]) for image in images if image.get("label")}
        scores[name] = {
            str(image["name"]): float(image["iou"])
            for image in images
            if isinstance(image.get("iou"), (int, float))
        }
        accuracy = _accuracy(report, answers[name], truth)
        if accuracy is not None:
            accuracies[name] = accuracy
    return ClassResults(
        answers, truth or majority(list(answers.values())), scores, accuracies, masks
    )


def _read(path: Path, reader: Callable[[Path], _Document]) -> _Document:
    try:
        return reader(path)
    except (RefusedFileError, ValueError) as error:
        raise UsageError(
            f"{path}: {error}", hint="grade this submission again with `grader regrade`"
        ) from error


def _parsed(path: Path) -> Mapping[str, Any]:
    report = parse_json(read_regular_file(path, _MAX_BYTES))
    return report if isinstance(report, dict) else {}


def _accuracy(
    report: Mapping[str, Any], answers: Mapping[str, str], truth: Mapping[str, str]
) -> float | None:
    """The checkpoint's own, where it was evaluated, else that of the program's answers."""
    independent = report.get("independent")
    if isinstance(independent, dict) and isinstance(independent.get("accuracy"), (int, float)):
        return float(independent["accuracy"])
    known = [item for item in answers if item in truth]
    return sum(answers[item] == truth[item] for item in known) / len(known) if known else None

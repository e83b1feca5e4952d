"""Turn what was collected into numbers, each with its evidence, its baselines and its interval.

An image without a usable prediction counts as wrong (labels) or as 0 (masks), and the measurement
says how many there were. An output that is missing altogether gives no number at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.findings import found
from grader.metrics.baselines import centred_ellipse, everything_foreground, majority_class
from grader.metrics.bootstrap import Statistic, bootstrap_interval
from grader.metrics.classification import confusion_matrix, recall_per_class
from grader.metrics.counts import (
    NO_ANSWER,
    BoolArray,
    FloatArray,
    LabelMetric,
    MaskCounts,
    MaskMetric,
    count_classes,
    count_masks,
)
from grader.metrics.evidence import HeatmapMetric, LayerMetric
from grader.metrics.load import load_metric
from grader.model import (
    VOID_BECAUSE,
    Assignment,
    Collected,
    Finding,
    Interval,
    Measurement,
    MeasurementSpec,
    ReadMask,
    Truth,
    TruthItem,
)
from grader.stages.diagnose_labels import diagnose_labels
from grader.stages.diagnose_masks import diagnose_masks
from grader.stages.load_truth import truth_masks


def measure(
    collected: Collected | Sequence[Collected],
    truth: Truth,
    assignment: Assignment,
    gathered: Mapping[str, Measurement] = MappingProxyType({}),
    void: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> tuple[tuple[Measurement, ...], tuple[Finding, ...]]:
    """One measurement per spec of the definition, in its order, and what the numbers say together.

    `collected`: the outputs of one case, or of several; `gathered`: what stages of their own have
    measured, by measurement; `void`: experiment → the finding codes because of which none of its
    numbers counts. Raises UsageError for a metric that is not registered.
    """
    parts = [collected] if isinstance(collected, Collected) else list(collected)
    outputs = {(part.case, name): value for part in parts for name, value in part.outputs.items()}
    measurements: list[Measurement] = []
    findings: list[Finding] = []
    seen: set[tuple[str, str]] = set()
    for spec in assignment.measurements:
        place = (spec.case, spec.output)
        metric = load_metric(spec.metric)
        if isinstance(metric, LayerMetric | HeatmapMetric):
            nothing = Measurement(spec.id, spec.title, None, 0, convention=metric.convention)
            measurements.append(gathered.get(spec.id, nothing))
            continue
        measurement, noted = _measure(
            spec, metric, outputs.get(place), truth, is_first=place not in seen
        )
        seen.add(place)
        because = void.get(spec.of_experiment, ())
        if because:
            # The number stays to be seen, but it is not this experiment's: it earns nothing.
            details = {**measurement.details, VOID_BECAUSE: list(because)}
            measurement = replace(measurement, details=details)
        measurements.append(measurement)
        findings += noted
    return tuple(measurements), tuple(findings)


def _measure(
    spec: MeasurementSpec,
    metric: LabelMetric | MaskMetric,
    output: Any,
    truth: Truth,
    *,
    is_first: bool,
) -> tuple[Measurement, list[Finding]]:
    """`is_first`: whether no earlier spec measures this output; evidence is then given in full."""
    is_labels = isinstance(metric, LabelMetric)
    items = [item for item in truth.items if (item.label if is_labels else item.mask) is not None]
    nothing = Measurement(
        id=spec.id,
        title=spec.title,
        value=None,
        count=len(items),
        convention=metric.convention,
    )
    if not items:
        message = f"{spec.title}: the truth has no {'labels' if is_labels else 'masks'}"
        return nothing, [found("result.not-measured", message)]
    if output is None:
        return nothing, []
    if isinstance(metric, LabelMetric):
        measurement, findings = _measure_labels(spec, metric, output, items, truth, is_first)
    else:
        measurement, findings = _measure_masks(spec, metric, output, items, truth, is_first)
    return measurement, [*(_below_baseline(measurement) if is_first else []), *findings]


def _below_baseline(measurement: Measurement) -> list[Finding]:
    best = max(measurement.baselines, key=lambda name: measurement.baselines[name])
    level = measurement.baselines[best]
    if measurement.value is None or measurement.value > level:
        return []
    message = (
        f"{measurement.title} is {measurement.value:.4f}; without looking at the images, "
        f"{best.replace('-', ' ')} reaches {level:.4f}"
    )
    return [found("result.below-baseline", message)]


def _interval(spec: MeasurementSpec, truth: Truth, count: int, statistic: Statistic) -> Interval:
    """The seed depends on truth and measurement only: all students meet the same resamples."""
    seed = hashlib.sha256(f"bootstrap {truth.sha256} {spec.id}".encode()).digest()
    interval = bootstrap_interval(statistic, count, seed=int.from_bytes(seed[:8], "big"))
    method = f"bootstrap over images, {interval.resamples} resamples, {interval.method}"
    return Interval(interval.low, interval.high, interval.level, method)


# --------------------------------------------------------------------------- labels


def _measure_labels(
    spec: MeasurementSpec,
    metric: LabelMetric,
    labels: Mapping[str, str],
    items: Sequence[TruthItem],
    truth: Truth,
    is_first: bool,
) -> tuple[Measurement, list[Finding]]:
    index = {name: number for number, name in enumerate(truth.classes)}
    num_classes = len(truth.classes)
    targets = np.array([index[str(item.label)] for item in items], dtype=np.int64)
    preds = np.array(
        [index.get(labels.get(item.staged_name, ""), NO_ANSWER) for item in items], dtype=np.int64
    )

    def resampled(indices: npt.NDArray[np.int64]) -> FloatArray:
        return metric(preds[indices], targets[indices], num_classes)

    majority = majority_class(targets)
    unanswered = int((preds == NO_ANSWER).sum())
    details: dict[str, Any] = {"unanswered": unanswered, "majority": truth.classes[majority]}
    per_item: dict[str, float] = {}
    findings: list[Finding] = []
    if is_first:
        details |= _label_details(preds, targets, truth.classes)
        per_item = {
            item.staged_name: float(right)
            for item, right in zip(items, preds == targets, strict=True)
        }
        findings = diagnose_labels(preds, targets, truth.classes, _by_staged_name(items))
    measurement = Measurement(
        id=spec.id,
        title=spec.title,
        value=float(metric(preds, targets, num_classes)),
        count=len(items),
        interval=_interval(spec, truth, len(items), resampled),
        baselines={
            "majority-class": float(metric(np.full_like(targets, majority), targets, num_classes))
        },
        per_item=per_item,
        details=details,
        convention=metric.convention,
    )
    return measurement, findings


def _by_staged_name(items: Sequence[TruthItem]) -> list[int]:
    """The items' numbers in the order in which a student's program lists them."""
    return sorted(range(len(items)), key=lambda number: items[number].staged_name)


def _label_details(
    preds: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], classes: Sequence[str]
) -> dict[str, Any]:
    """Confusion matrix and recall of the classes that occur in the truth or in the predictions."""
    matrix = confusion_matrix(preds, targets, len(classes))
    counts = count_classes(preds, targets, len(classes))
    present: list[int] = np.flatnonzero(counts.actual + counts.predicted).tolist()
    recall = recall_per_class(counts)
    return {
        "right": int(counts.true_positives.sum()),
        "confusion": {
            "classes": [classes[number] for number in present],
            "counts": matrix[np.ix_(present, [*present, len(classes)])].tolist(),
        },
        "recall": {
            classes[number]: float(recall[number]) for number in present if counts.actual[number]
        },
    }


# --------------------------------------------------------------------------- masks


@dataclass(frozen=True, slots=True)
class _MaskEvidence:
    """Counts of all images that have a true mask; `is_missing` (N,) where no mask was read."""

    counts: MaskCounts
    is_missing: BoolArray


def _measure_masks(
    spec: MeasurementSpec,
    metric: MaskMetric,
    masks: Mapping[str, ReadMask],
    items: Sequence[TruthItem],
    truth: Truth,
    is_first: bool,
) -> tuple[Measurement, list[Finding]]:
    evidence = _count(masks, items, truth)
    # A missing mask is no empty mask: it is 0 even where the truth is empty.
    scores = np.where(evidence.is_missing, 0.0, metric.of_counts(evidence.counts))
    details: dict[str, Any] = {
        "median": float(np.median(scores)),
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
        "missing": int(evidence.is_missing.sum()),
    }
    findings: list[Finding] = []
    if is_first:
        details["rules"] = _tally(masks[item.stem].rule for item in items if item.stem in masks)
        true_masks = truth_masks(truth)
        findings = diagnose_masks(
            {item.stem: masks[item.stem].mask for item in items if item.stem in masks}, true_masks
        )
    measurement = Measurement(
        id=spec.id,
        title=spec.title,
        value=float(scores.mean()),
        count=len(items),
        interval=_interval(spec, truth, len(items), lambda indices: scores[indices].mean(axis=-1)),
        baselines={
            name: float(metric.of_counts(counts).mean())
            for name, counts in _baseline_counts(truth).items()
        },
        per_item={
            item.staged_name: float(score) for item, score in zip(items, scores, strict=True)
        },
        details=details,
        convention=f"{metric.convention}; an image without a readable mask counts as 0",
    )
    return measurement, findings


def _count(
    masks: Mapping[str, ReadMask], items: Sequence[TruthItem], truth: Truth
) -> _MaskEvidence:
    true_masks = truth_masks(truth)
    targets = [true_masks[item.stem] for item in items]
    is_missing = np.array([item.stem not in masks for item in items])
    preds = [
        masks[item.stem].mask if item.stem in masks else np.zeros_like(target)
        for item, target in zip(items, targets, strict=True)
    ]
    return _MaskEvidence(count_masks(preds, targets), is_missing)


@lru_cache(maxsize=2)
def _baseline_counts(truth: Truth) -> Mapping[str, MaskCounts]:
    """The counts of the trivial answers: the same for every submission, so counted once."""
    targets = list(truth_masks(truth).values())
    return {
        "everything-foreground": count_masks(
            [everything_foreground(*target.shape) for target in targets], targets
        ),
        "centred-ellipse": count_masks(
            [centred_ellipse(*target.shape) for target in targets], targets
        ),
    }


def _tally(rules: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rule in sorted(rules):
        counts[rule] = counts.get(rule, 0) + 1
    return counts

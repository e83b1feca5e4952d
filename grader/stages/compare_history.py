"""Hold a student's training log against itself, and against what its checkpoint gives.

A log is the student's word: nothing here decides marks, it says where a person has to look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from grader.findings import found, listed, quoted
from grader.metrics.classification import macro_f1
from grader.metrics.counts import NO_ANSWER
from grader.metrics.wilson import wilson_interval
from grader.model import CheckedLayout, Finding, IndependentEvaluation, Truth
from grader.readers.history import MAX_BYTES, SHARES, SPLITS, History, parse_history
from grader.readers.regular_file import RefusedFileError, read_regular_file

# Rounding in a log, and an image or two judged otherwise.
_TOLERANCE = 0.05
# Micro F1 is the accuracy; logs round both.
_IDENTITY_TOLERANCE = 0.006
_LEAST_EPOCHS_ALIKE = 3


@dataclass(frozen=True, slots=True)
class ReadLog:
    """`history` is None where there is no log or none that can be read."""

    path: str | None = None
    history: History | None = None
    findings: tuple[Finding, ...] = field(default=())


def read_log(layout: CheckedLayout, role: str) -> ReadLog:
    """The log that plays `role`, with what is odd about its numbers."""
    path = layout.roles.get(role)
    if path is None:
        return ReadLog()
    try:
        history = parse_history(read_regular_file(layout.top / path, MAX_BYTES))
    except (RefusedFileError, ValueError) as error:
        message = f"it was not read: {quoted(str(error), 200)}"
        return ReadLog(path, None, (found("result.log-unreadable", message, path=path),))
    return ReadLog(path, history, tuple(_oddities(history, path)))


def compare_log(
    log: ReadLog, evaluation: IndependentEvaluation, truth: Truth
) -> tuple[Mapping[str, float], tuple[Finding, ...]]:
    """What the log says of the epoch whose weights were kept, and where the checkpoint differs.

    The kept epoch is the one whose accuracy on the validation images is nearest to the
    checkpoint's, of the best one and the last one: students keep either.
    """
    history = log.history
    given = _measured(evaluation, truth)
    if history is None or not history.has("val_accuracy") or not given:
        return {}, ()
    accuracies = history.columns["val_accuracy"]
    known = [epoch for epoch, value in enumerate(accuracies) if math.isfinite(value)]
    best = max(known, key=lambda epoch: accuracies[epoch])
    kept = min((best, known[-1]), key=lambda epoch: abs(accuracies[epoch] - given["accuracy"]))
    logged = {
        name: values[kept]
        for name, values in history.columns.items()
        if math.isfinite(values[kept])
    }
    count = sum(item.label is not None for item in truth.items)
    told = []
    for quantity, value in given.items():
        said = logged.get(f"val_{quantity}")
        if said is None:
            continue
        low, high = wilson_interval(round(value * count), count)
        if not low - _TOLERANCE <= said <= high + _TOLERANCE:
            told.append(
                f"{quantity.replace('_', ' ')} {said:.4f}, the checkpoint gives {value:.4f}"
            )
    if not told:
        return logged, ()
    message = (
        f"epoch {kept + 1} of {history.epochs} on the validation images: {'; '.join(told)} on the "
        f"course's {count} images"
    )
    return logged, (found("result.log-differs", message, path=log.path),)


def same_logs(logs: Mapping[str, ReadLog]) -> tuple[Finding, ...]:
    """One finding for each set of experiments (id → log) with equal curves."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for name, log in logs.items():
        if log.history is not None and log.history.epochs >= _LEAST_EPOCHS_ALIKE:
            key = tuple(sorted(log.history.columns.items()))
            groups.setdefault(key, []).append(name)
    return tuple(
        found(
            "result.log-shared",
            f"the logs of {len(names)} experiments ({listed(names, 6)}) hold the same numbers in "
            "every epoch",
            path=logs[names[0]].path,
        )
        for names in groups.values()
        if len(names) > 1
    )


# --------------------------------------------------------------------------- one log


def _oddities(history: History, path: str) -> list[Finding]:
    findings = []
    missing = [
        f"{split}_{share}"
        for split in SPLITS
        for share in SHARES
        if not history.has(f"{split}_{share}")
    ]
    if missing:
        message = f"it has no {listed(missing, 6)}"
        findings.append(found("result.log-missing-numbers", message, path=path))
    impossible = [*_outside(history), *_broken_identity(history)]
    if impossible:
        message = "; ".join(impossible)
        findings.append(found("result.log-impossible", message, path=path))
    return findings


def _outside(history: History) -> list[str]:
    """Shares that are none."""
    told = []
    for name, values in history.columns.items():
        wrong = [
            (epoch, value)
            for epoch, value in enumerate(values, start=1)
            if not name.endswith("_loss") and not math.isnan(value) and not 0 <= value <= 1
        ]
        if wrong:
            epoch, value = wrong[0]
            told.append(f"{name} is {value:g} in epoch {epoch}")
    return told


def _broken_identity(history: History) -> list[str]:
    """With one label an image, micro F1 is the accuracy (both count the same hits)."""
    told = []
    for split in SPLITS:
        pairs = zip(
            history.columns.get(f"{split}_accuracy", ()),
            history.columns.get(f"{split}_micro_f1", ()),
            strict=False,
        )
        wrong = [
            (epoch, accuracy, micro)
            for epoch, (accuracy, micro) in enumerate(pairs, start=1)
            if abs(accuracy - micro) > _IDENTITY_TOLERANCE
        ]
        if wrong:
            epoch, accuracy, micro = wrong[0]
            told.append(
                f"{split} micro F1 is {micro:.4f} where the accuracy is {accuracy:.4f} (epoch "
                f"{epoch}, {len(wrong)} epochs in all)"
            )
    return told


def _measured(evaluation: IndependentEvaluation, truth: Truth) -> dict[str, float]:
    """The checkpoint's own accuracy and macro F1 on the labelled images; empty without labels."""
    index = {name: number for number, name in enumerate(truth.classes)}
    items = [item for item in truth.items if item.label is not None]
    if not items or evaluation.accuracy is None:
        return {}
    targets = np.array([index[str(item.label)] for item in items])
    preds = np.array(
        [index.get(evaluation.labels.get(item.staged_name, ""), NO_ANSWER) for item in items]
    )
    return {
        "accuracy": evaluation.accuracy,
        "macro_f1": float(macro_f1(preds, targets, len(truth.classes))),
    }

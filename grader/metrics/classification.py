"""Accuracy, F1 scores and the confusion matrix of single-label classification.

An item without a valid prediction (`NO_ANSWER`) is wrong in every metric: it is a false negative
of its class and a false positive of none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grader.metrics.counts import (
    NO_ANSWER,
    ClassCounts,
    FloatArray,
    IntArray,
    LabelMetric,
    validate_labels,
)


def _accuracy(counts: ClassCounts) -> FloatArray:
    return np.asarray(counts.true_positives.sum(axis=-1) / counts.total, dtype=np.float64)


def f1_per_class(counts: ClassCounts) -> FloatArray:
    """F1 = 2 TP / (predicted + actual) per class, (..., K); NaN where a class is in neither."""
    either = counts.predicted + counts.actual
    scores: FloatArray = np.divide(
        2.0 * counts.true_positives,
        either,
        out=np.full(either.shape, np.nan),
        where=either > 0,
    )
    return scores


def _macro_f1(counts: ClassCounts) -> FloatArray:
    scores = f1_per_class(counts)
    present = counts.predicted + counts.actual > 0
    total = np.where(present, scores, 0.0).sum(axis=-1)
    return np.asarray(total / present.sum(axis=-1), dtype=np.float64)


def _micro_f1(counts: ClassCounts) -> FloatArray:
    hits = counts.true_positives.sum(axis=-1)
    answered = counts.predicted.sum(axis=-1)
    return np.asarray(2.0 * hits / (answered + counts.total), dtype=np.float64)


def recall_per_class(counts: ClassCounts) -> FloatArray:
    """TP / actual per class, (..., K); NaN where a class is absent from the truth."""
    scores: FloatArray = np.divide(
        counts.true_positives,
        counts.actual,
        out=np.full(counts.actual.shape, np.nan),
        where=counts.actual > 0,
    )
    return scores


def confusion_matrix(preds: IntArray, targets: IntArray, num_classes: int) -> npt.NDArray[np.int64]:
    """(K, K + 1) int64: rows are the truth, columns the prediction, the last one no answer.

    preds, targets: (N,) integers as in `validate_labels`. Raises ValueError for anything else.
    """
    validate_labels(preds, targets, num_classes)
    if preds.ndim != 1:
        raise ValueError(f"one row of labels has to be given, not {preds.shape}")
    columns = np.where(preds == NO_ANSWER, num_classes, preds).astype(np.int64)
    codes = targets.astype(np.int64) * (num_classes + 1) + columns
    matrix = np.bincount(codes, minlength=num_classes * (num_classes + 1))
    return matrix.reshape(num_classes, num_classes + 1).astype(np.int64)


accuracy = LabelMetric(
    _accuracy,
    "the share of all items whose label is right; an item without a valid label is wrong",
)

macro_f1 = LabelMetric(
    _macro_f1,
    "the mean of F1 over the classes that occur in the truth or in the predictions; a class that "
    "is predicted but absent from the truth counts as 0, one that occurs in neither is left out; "
    "an item without a valid label is a miss of its class",
)

micro_f1 = LabelMetric(
    _micro_f1,
    "2 TP / (predictions made + items): equal to the accuracy when every item has a valid label",
)

"""Accuracy, F1 and confusion: by hand, against scikit-learn and torchmetrics, and as identities."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional import classification as torch_metrics

from grader.metrics.classification import (
    accuracy,
    confusion_matrix,
    f1_per_class,
    macro_f1,
    micro_f1,
    recall_per_class,
)
from grader.metrics.counts import NO_ANSWER, count_classes

Labels = npt.NDArray[np.int64]


@st.composite
def labelled(draw: st.DrawFn, lowest: int = 0) -> tuple[Labels, Labels, int]:
    """(preds, targets, number of classes); `lowest` -1 draws missing answers as well."""
    num_classes = draw(st.integers(1, 7))
    count = draw(st.integers(1, 40))
    preds = draw(st.lists(st.integers(lowest, num_classes - 1), min_size=count, max_size=count))
    targets = draw(st.lists(st.integers(0, num_classes - 1), min_size=count, max_size=count))
    return np.array(preds), np.array(targets), num_classes


def test_by_hand() -> None:
    # class 0: 2 hits of 3; class 1: 1 of 2, once predicted wrongly; class 2: never right, once
    # predicted; class 3: occurs nowhere.
    targets = np.array([0, 0, 0, 1, 1, 2])
    preds = np.array([0, 0, 1, 1, 2, NO_ANSWER])
    assert accuracy(preds, targets, 4) == pytest.approx(3 / 6)
    f1 = f1_per_class(count_classes(preds, targets, 4))
    assert f1[:3] == pytest.approx([2 * 2 / (2 + 3), 2 * 1 / (2 + 2), 0.0])
    assert np.isnan(f1[3])
    assert macro_f1(preds, targets, 4) == pytest.approx((0.8 + 0.5 + 0.0) / 3)
    assert micro_f1(preds, targets, 4) == pytest.approx(2 * 3 / (5 + 6))
    assert confusion_matrix(preds, targets, 4).tolist() == [
        [2, 1, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
    ]
    recall = recall_per_class(count_classes(preds, targets, 4))
    assert recall[:3] == pytest.approx([2 / 3, 1 / 2, 0.0])
    assert np.isnan(recall[3])


@given(labelled(lowest=NO_ANSWER))
def test_equal_to_scikit_learn_with_missing_answers(case: tuple[Labels, Labels, int]) -> None:
    preds, targets, num_classes = case
    present = sorted(set(targets.tolist()) | set(preds.tolist()) - {NO_ANSWER})
    assert accuracy(preds, targets, num_classes) == pytest.approx(
        sklearn_metrics.accuracy_score(targets, preds), abs=1e-12
    )
    for ours, average in ((macro_f1, "macro"), (micro_f1, "micro")):
        theirs = sklearn_metrics.f1_score(
            targets, preds, labels=present, average=average, zero_division=0
        )
        assert ours(preds, targets, num_classes) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.usefixtures("torch_in_float64")
@settings(deadline=None)
@given(labelled())
def test_equal_to_torchmetrics(case: tuple[Labels, Labels, int]) -> None:
    preds, targets, num_classes = case
    if num_classes < 2:  # torchmetrics wants two
        return
    tensors = torch.from_numpy(preds), torch.from_numpy(targets)
    for ours, average in ((macro_f1, "macro"), (micro_f1, "micro")):
        f1 = torch_metrics.multiclass_f1_score(*tensors, num_classes=num_classes, average=average)
        assert ours(preds, targets, num_classes) == pytest.approx(float(f1), abs=1e-9)
    share = torch_metrics.multiclass_accuracy(*tensors, num_classes=num_classes, average="micro")
    assert accuracy(preds, targets, num_classes) == pytest.approx(float(share), abs=1e-9)
    confusion = torch_metrics.multiclass_confusion_matrix(*tensors, num_classes=num_classes)
    ours_confusion = confusion_matrix(preds, targets, num_classes)
    assert ours_confusion[:, :-1].tolist() == confusion.tolist()
    assert not ours_confusion[:, -1].any()


def test_the_default_of_scikit_learn_is_our_convention_for_absent_classes() -> None:
    targets, preds = np.array([0, 0, 1, 4]), np.array([0, 2, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its warning about the classes that are 0
        theirs = sklearn_metrics.f1_score(targets, preds, average="macro")
    assert macro_f1(preds, targets, 9) == pytest.approx(theirs, abs=1e-12)


@given(labelled(lowest=NO_ANSWER))
def test_identities(case: tuple[Labels, Labels, int]) -> None:
    preds, targets, num_classes = case
    matrix = confusion_matrix(preds, targets, num_classes)
    assert matrix.sum() == len(targets)
    assert accuracy(preds, targets, num_classes) == pytest.approx(
        np.trace(matrix[:, :-1]) / len(targets)
    )
    if NO_ANSWER not in preds:
        assert micro_f1(preds, targets, num_classes) == pytest.approx(
            float(accuracy(preds, targets, num_classes))
        )
    for metric in (accuracy, macro_f1, micro_f1):
        assert metric(targets, targets, num_classes) == 1.0
        # more classes that occur nowhere change nothing
        assert metric(preds, targets, num_classes + 3) == pytest.approx(
            float(metric(preds, targets, num_classes)), abs=1e-12
        )


@given(labelled(lowest=NO_ANSWER))
def test_leading_dimensions_are_the_rows_one_by_one(case: tuple[Labels, Labels, int]) -> None:
    preds, targets, num_classes = case
    rows = np.stack([np.roll(preds, step) for step in range(3)])
    for metric in (accuracy, macro_f1, micro_f1):
        batched = metric(rows, np.broadcast_to(targets, rows.shape), num_classes)
        single = [float(metric(row, targets, num_classes)) for row in rows]
        assert batched.tolist() == single


@pytest.mark.parametrize(
    ("preds", "targets", "message"),
    [
        ([0.0, 1.0], [0, 1], "preds have to be an array of integers, not float64"),
        ([0, 1], [False, True], "targets have to be an array of integers, not bool"),
        ([0, 3], [0, 1], r"preds have to lie in \[-1, 2\], found 0 to 3"),
        ([0, -2], [0, 1], r"preds have to lie in \[-1, 2\]"),
        ([0, 1], [0, -1], r"targets have to lie in \[0, 2\]"),
        ([0, 1], [0, 3], r"targets have to lie in \[0, 2\]"),
        ([0, 1, 2], [0, 1], r"preds have the shape \(3,\), targets \(2,\)"),
    ],
)
def test_both_sides_are_validated(preds: list[int], targets: list[int], message: str) -> None:
    for function in (accuracy, macro_f1, micro_f1, confusion_matrix):
        with pytest.raises(ValueError, match=message):
            function(np.array(preds), np.array(targets), 3)


def test_nothing_to_measure_is_an_error() -> None:
    empty = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="nothing to measure"):
        accuracy(empty, empty, 3)
    with pytest.raises(ValueError, match="num_classes has to be at least 1"):
        accuracy(np.array([0]), np.array([0]), 0)
    with pytest.raises(ValueError, match="not list"):
        accuracy([0], [0], 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one row of labels"):
        confusion_matrix(np.zeros((2, 2), int), np.zeros((2, 2), int), 1)

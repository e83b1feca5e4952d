"""A log against itself, against its checkpoint, and against other logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grader.model import (
    CheckedLayout,
    IndependentEvaluation,
    Preprocessing,
    ResNetShape,
    Truth,
    TruthItem,
)
from grader.stages.compare_history import ReadLog, compare_log, read_log, same_logs

SHAPE = ResNetShape(1, 2, (16, 32, 64), 3, 3, "projection", "batch", 8, 1000)
HEADER = (
    "epoch,train_accuracy,train_micro_f1,train_macro_f1,val_accuracy,val_micro_f1,val_macro_f1\n"
)
LayoutOf = Callable[..., CheckedLayout]


@pytest.fixture
def log_of(layout_of: LayoutOf) -> Callable[[str], ReadLog]:
    def make(text: str) -> ReadLog:
        layout = layout_of({"evaluate.py": "", "metrics.csv": text})
        roles = {**layout.roles, "history": "metrics.csv"}
        return read_log(CheckedLayout(layout.unpacked, layout.base, roles, ()), "history")

    return make


def _evaluated(right: int, count: int = 40) -> tuple[IndependentEvaluation, Truth]:
    """`right` of `count` images of two classes are labelled right."""
    items = tuple(
        TruthItem(f"{i}.png", f"img_{i}.png", Path("x"), "ab"[i % 2], None) for i in range(count)
    )
    labels = {
        item.staged_name: str(item.label) if i < right else "ba"[i % 2]
        for i, item in enumerate(items)
    }
    way = Preprocessing("x", "x", "none", 8, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    evaluation = IndependentEvaluation(
        SHAPE, way, right / count, None, labels, (), "the alphabet", 1.0
    )
    return evaluation, Truth(items, ("a", "b"), "the definition", "0" * 64, 0)


def test_a_log_that_fits_says_nothing(log_of: Callable[[str], ReadLog]) -> None:
    log = log_of(HEADER + "1,.5,.5,.5,.6,.6,.6\n2,.9,.9,.9,.8,.8,.8\n")
    evaluation, truth = _evaluated(32)

    logged, findings = compare_log(log, evaluation, truth)

    assert log.findings == ()
    assert logged["val_accuracy"] == 0.8
    assert findings == ()


def test_the_kept_epoch_may_be_the_best_or_the_last(log_of: Callable[[str], ReadLog]) -> None:
    log = log_of(HEADER + "1,.5,.5,.5,.95,.95,.95\n2,.9,.9,.9,.5,.5,.5\n")

    best, _ = compare_log(log, *_evaluated(38))
    last, _ = compare_log(log, *_evaluated(20))

    assert best["val_accuracy"] == 0.95
    assert last["val_accuracy"] == 0.5


def test_a_log_of_another_run_is_told(log_of: Callable[[str], ReadLog]) -> None:
    log = log_of(HEADER + "1,.9,.9,.9,.95,.95,.95\n")

    _, findings = compare_log(log, *_evaluated(10))

    assert [finding.code for finding in findings] == ["result.log-differs"]
    assert "accuracy 0.9500, the checkpoint gives 0.2500" in findings[0].message
    assert str(findings[0].place) == "metrics.csv"


@pytest.mark.parametrize(
    ("row", "code", "says"),
    [
        ("1,.5,.5,.5,.6,.4,.6\n", "result.log-impossible", "val micro F1 is 0.4000"),
        ("1,.5,.5,-.1,.6,.6,.6\n", "result.log-impossible", "train_macro_f1 is -0.1 in epoch 1"),
        ("1,.5,,.5,.6,.6,.6\n", "result.log-missing-numbers", "train_micro_f1"),
    ],
)
def test_numbers_that_cannot_be_are_told(
    log_of: Callable[[str], ReadLog], row: str, code: str, says: str
) -> None:
    log = log_of(HEADER + row)

    assert [finding.code for finding in log.findings] == [code]
    assert says in log.findings[0].message


def test_what_is_no_log_is_told_and_no_log_is_not(
    log_of: Callable[[str], ReadLog], layout_of: LayoutOf
) -> None:
    assert [f.code for f in log_of("no table").findings] == ["result.log-unreadable"]
    assert read_log(layout_of({"evaluate.py": ""}), "history") == ReadLog()


def test_equal_curves_of_two_experiments_are_told_once(log_of: Callable[[str], ReadLog]) -> None:
    rows = "".join(f"{i},.1,.1,.1,.{i},.{i},.{i}\n" for i in range(1, 5))
    one, short = log_of(HEADER + rows), log_of(HEADER + rows[:24])

    assert [f.code for f in same_logs({"bn": one, "gn": one, "nn": short})] == ["result.log-shared"]
    assert same_logs({"bn": one, "nn": short, "gn": ReadLog()}) == ()

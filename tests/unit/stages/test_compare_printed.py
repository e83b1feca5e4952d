"""A printed accuracy is held against the labels, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.model import Assignment, CaseRun, CaseStatus, Measurement
from grader.stages.compare_printed import compare_printed


def _run(stdout: str, case: str = "evaluate") -> CaseRun:
    return CaseRun(
        case=case,
        argv=("python", "evaluate.py"),
        variant=0,
        status=CaseStatus.FINISHED,
        exit_code=0,
        signal=None,
        limit="",
        wall_seconds=1.0,
        cpu_seconds=1.0,
        peak_memory_bytes=0,
        stdout=stdout,
        stderr="",
        stdout_truncated=False,
        stderr_truncated=False,
        outputs=Path("nowhere"),
        backend="none",
    )


def _compare(stdout: str, value: float | None, assignment: Assignment, case: str = "evaluate"):
    measured = Measurement(id="accuracy", title="Accuracy", value=value, count=25)
    return compare_printed([_run(stdout, case)], [measured], assignment)


@pytest.mark.parametrize(
    "line",
    [
        "Accuracy: 0.99",
        "accuracy=99%",
        "Test Accuracy : 99.0 %",
        "test accuracy is .99",
        "The classification accuracy on the test set is 99.00%",
        "labelled 25 images\nAccuracy: 0.50\nAccuracy: 0.99\ndone",
        "ACCURACY 99",
    ],
)
def test_an_accuracy_that_the_files_do_not_bear_out_is_named(
    line: str, three_classes: Assignment
) -> None:
    (finding,) = _compare(line, 0.4, three_classes)

    assert finding.code == "result.printed-accuracy"
    assert finding.evidence == {"printed": 0.99, "measured": 0.4}
    assert "0.4000" in finding.message


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Accuracy: 0.40",
        "Accuracy: 41.9%",
        "best validation accuracy: 0.99",
        "epoch 3: accuracy 0.99",
        "train accuracy 0.99",
        "accuracy unknown",
        "inaccuracy 0.99",
        "accuracy 412",
        "accuracy" + " " * 600 + "0.99",
    ],
)
def test_what_agrees_or_is_no_accuracy_of_these_images_says_nothing(
    line: str, three_classes: Assignment
) -> None:
    assert _compare(line, 0.4, three_classes) == ()


def test_without_a_measured_accuracy_and_for_other_programs_nothing_is_compared(
    three_classes: Assignment,
) -> None:
    assert _compare("Accuracy: 0.99", None, three_classes) == ()
    assert _compare("Accuracy: 0.99", 0.4, three_classes, case="train") == ()


def test_a_strangers_line_cannot_reach_the_terminal(three_classes: Assignment) -> None:
    (finding,) = _compare("\x1b[31m Accuracy: 0.99\x07", 0.4, three_classes)

    assert finding.message.isprintable()

"""Numbers with their evidence: worked by hand, and the same from run to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grader.errors import UsageError
from grader.metrics.baselines import centred_ellipse
from grader.metrics.segmentation import foreground_iou
from grader.model import Collected, Measurement, MeasurementSpec, ReadMask, Truth
from grader.stages.load_truth import load_truth, truth_masks
from grader.stages.measure import measure

Course = Any  # the fixture's class lives in conftest.py
Answers = Callable[..., Collected]


def read_mask(mask: np.ndarray) -> ReadMask:
    return ReadMask(mask, "grey level > 127", mask.shape[1], mask.shape[0])


@pytest.fixture
def answers() -> Answers:
    """The right answers to a truth, with changes: staged name → label, stem → mask or None."""

    def make(
        truth: Truth,
        labels: Mapping[str, str | None] | None = None,
        masks: Mapping[str, np.ndarray | None] | None = None,
    ) -> Collected:
        named: dict[str, Any] = {item.staged_name: item.label for item in truth.items}
        named |= labels or {}
        drawn: dict[str, Any] = dict(truth_masks(truth)) | dict(masks or {})
        outputs = {
            "labels": {name: label for name, label in named.items() if label is not None},
            "masks": {stem: read_mask(mask) for stem, mask in drawn.items() if mask is not None},
        }
        return Collected(outputs["labels"], outputs["masks"], (), case="evaluate", outputs=outputs)

    return make


def by_id(measurements: tuple[Measurement, ...]) -> dict[str, Measurement]:
    return {measurement.id: measurement for measurement in measurements}


def test_right_answers(full_course: Course, answers: Answers) -> None:
    truth = full_course.load()
    measurements, findings = measure(answers(truth), truth, full_course.assignment)
    assert [measurement.id for measurement in measurements] == [
        spec.id for spec in full_course.assignment.measurements
    ]
    assert findings == ()
    for measurement in measurements:
        assert (measurement.value, measurement.count) == (1.0, 9)
        assert measurement.interval is not None
        assert (measurement.interval.low, measurement.interval.high) == (1.0, 1.0)
        assert measurement.interval.method.endswith("constant")
        assert measurement.convention


def test_labels_by_hand(full_course: Course, answers: Answers) -> None:
    truth = full_course.load()
    adonis, morpho, monarch = (
        [item.staged_name for item in truth.items if item.label == name] for name in truth.classes
    )
    wrong = {adonis[0]: "MONARCH", morpho[0]: "DRAGON", morpho[1]: None}
    numbers = by_id(measure(answers(truth, wrong), truth, full_course.assignment)[0])
    accuracy = numbers["accuracy"]
    assert accuracy.value == pytest.approx(6 / 9)
    assert accuracy.baselines == {"majority-class": pytest.approx(3 / 9)}
    assert accuracy.per_item[adonis[0]] == 0.0
    assert sum(accuracy.per_item.values()) == 6
    assert accuracy.details["unanswered"] == 2
    assert accuracy.details["right"] == 6
    assert accuracy.details["confusion"] == {
        "classes": list(truth.classes),
        "counts": [[2, 0, 1, 0], [0, 1, 0, 2], [0, 0, 3, 0]],
    }
    assert accuracy.details["recall"] == {
        "ADONIS": pytest.approx(2 / 3),
        "BLUE MORPHO": pytest.approx(1 / 3),
        "MONARCH": 1.0,
    }
    f1 = [2 * 2 / (2 + 3), 2 * 1 / (1 + 3), 2 * 3 / (4 + 3)]
    assert numbers["macro_f1"].value == pytest.approx(sum(f1) / 3)
    assert numbers["micro_f1"].value == pytest.approx(2 * 6 / (7 + 9))
    # the evidence stands once, with the first number over the same output
    assert "confusion" not in numbers["macro_f1"].details
    assert numbers["macro_f1"].per_item == {}
    assert monarch


def test_masks_by_hand(full_course: Course, answers: Answers) -> None:
    truth = full_course.load()
    masks = truth_masks(truth)
    stems = list(masks)
    half = masks[stems[0]].copy()
    half[:, : half.shape[1] // 2] = False
    changed = {stems[0]: half, stems[1]: None, stems[2]: np.zeros_like(half)}
    measurements, findings = measure(answers(truth, masks=changed), truth, full_course.assignment)
    iou = by_id(measurements)["iou"]
    expected = half.sum() / masks[stems[0]].sum()
    assert iou.value == pytest.approx((6 + expected) / 9)
    assert iou.per_item[_staged(truth, stems[0])] == pytest.approx(expected)
    assert iou.per_item[_staged(truth, stems[1])] == 0.0
    assert iou.details["missing"] == 1
    assert iou.details["median"] == 1.0
    assert (iou.details["lowest"], iou.details["highest"]) == (0.0, 1.0)
    assert iou.details["rules"] == {"grey level > 127": 8}
    assert iou.interval is not None
    assert iou.interval.low < iou.value < iou.interval.high
    assert [finding.code for finding in findings] == ["result.empty-masks"]
    assert "an image without a readable mask counts as 0" in iou.convention


def _staged(truth: Truth, stem: str) -> str:
    return next(item.staged_name for item in truth.items if item.stem == stem)


def test_baselines_are_measured_on_the_same_images(full_course: Course, answers: Answers) -> None:
    truth = full_course.load()
    masks = list(truth_masks(truth).values())
    iou = by_id(measure(answers(truth), truth, full_course.assignment)[0])["iou"]
    ellipse = foreground_iou([centred_ellipse(*mask.shape) for mask in masks], masks).mean()
    assert iou.baselines == {
        "everything-foreground": pytest.approx(np.mean([mask.mean() for mask in masks])),
        "centred-ellipse": pytest.approx(ellipse),
    }


def test_a_missing_mask_is_zero_even_where_the_truth_is_empty(
    course: Course, answers: Answers
) -> None:
    course.add("ADONIS/1", mask=np.zeros((5, 5), bool))
    course.add("ADONIS/2")
    truth = course.load()
    empty, _ = truth_masks(truth)
    drawn = by_id(measure(answers(truth), truth, course.assignment)[0])["iou"]
    assert drawn.value == 1.0
    missing = measure(answers(truth, masks={empty: None}), truth, course.assignment)[0]
    assert by_id(missing)["iou"].value == 0.5


def test_an_output_that_is_missing_gives_no_number(full_course: Course) -> None:
    truth = full_course.load()
    nothing = Collected(labels=None, masks=None, findings=())
    measurements, findings = measure(nothing, truth, full_course.assignment)
    assert [measurement.value for measurement in measurements] == [None] * 5
    assert findings == ()
    absent = Collected(None, {}, (), case="evaluate", outputs={"labels": None, "masks": {}})
    numbers = by_id(measure(absent, truth, full_course.assignment)[0])
    assert numbers["accuracy"].value is None
    assert numbers["iou"].value == 0.0  # a folder, but not one readable mask in it


def test_several_cases_are_measured_together(full_course: Course, answers: Answers) -> None:
    truth = full_course.load()
    second = MeasurementSpec("second", "Again", "classification.accuracy", "again", "labels", {})
    assignment = replace(
        full_course.assignment, measurements=(*full_course.assignment.measurements, second)
    )
    first = answers(truth)
    again = replace(
        answers(truth, {item.staged_name: "MONARCH" for item in truth.items}), case="again"
    )
    numbers = by_id(measure([first, again], truth, assignment)[0])
    assert (numbers["accuracy"].value, numbers["second"].value) == (1.0, pytest.approx(3 / 9))
    assert "confusion" in numbers["second"].details


def test_a_truth_without_labels_says_so(course: Course, answers: Answers) -> None:
    course.add("one")
    course.add("two")
    truth = course.load()
    measurements, findings = measure(answers(truth), truth, course.assignment)
    assert by_id(measurements)["accuracy"].value is None
    assert by_id(measurements)["iou"].value == 1.0
    assert {finding.code for finding in findings} == {"result.not-measured"}
    assert len(findings) == 3


def test_a_truth_without_masks_says_so(full_course: Course, answers: Answers) -> None:
    truth = load_truth(None, full_course.images, None, None, full_course.assignment)
    measurements, findings = measure(answers(truth), truth, full_course.assignment)
    assert by_id(measurements)["accuracy"].value == 1.0
    assert by_id(measurements)["iou"].value is None
    assert findings[0].message.endswith("the truth has no masks")


def test_the_same_answers_give_the_same_numbers(full_course: Course, answers: Answers) -> None:
    truth = full_course.load()
    stem = next(iter(truth_masks(truth)))
    wrong = answers(truth, {truth.items[0].staged_name: "MONARCH"}, {stem: None})
    assert measure(wrong, truth, full_course.assignment) == measure(
        wrong, full_course.load(), full_course.assignment
    )


def test_below_the_baseline_is_said_once_for_each_output(
    full_course: Course, answers: Answers
) -> None:
    truth = full_course.load()
    labels = dict.fromkeys((item.staged_name for item in truth.items), "DRAGON")
    masks = dict.fromkeys(truth_masks(truth), None)
    findings = measure(answers(truth, labels, masks), truth, full_course.assignment)[1]
    assert [finding.code for finding in findings] == ["result.below-baseline"] * 2
    assert findings[0].message == (
        "Accuracy is 0.0000; without looking at the images, majority class reaches 0.3333"
    )


def test_an_unknown_metric_is_the_courses_fault(full_course: Course, answers: Answers) -> None:
    truth = full_course.load()
    spec = MeasurementSpec("x", "X", "segmentation.jacard", "evaluate", "masks", {})
    assignment = replace(full_course.assignment, measurements=(spec,))
    with pytest.raises(UsageError, match=r"there is no metric 'segmentation\.jacard'"):
        measure(answers(truth), truth, assignment)

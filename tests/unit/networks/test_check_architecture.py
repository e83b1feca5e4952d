"""Every deviation from the assignment's architecture is a finding that names a tensor."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.checkpoints.students import PLANS, Plan, as_saved, make_student, shapes_of
from grader.errors import UsageError
from grader.model import Finding
from grader.networks.check_architecture import check_architecture
from grader.networks.read_shape import read_shape

WANTED: dict[str, Any] = {
    "n": 2,
    "widths": [8, 16, 32],
    "kernel_px": 3,
    "in_channels": 3,
    "num_classes": 10,
    "shortcut": ["projection", "zero-padding"],
    "norm": ["batch"],
}


def check(plan: Plan, wanted: dict[str, Any] | None = None) -> tuple[Finding, ...]:
    reading = read_shape(shapes_of(as_saved(make_student(plan))))
    assert reading.layers is not None
    assert reading.shape is not None
    return check_architecture(reading.layers, reading.shape, WANTED if wanted is None else wanted)


@pytest.mark.parametrize(
    "plan_name",
    ["projection", "zero-padding", "3×3 shortcut", "convolutions with bias", "shortcut first"],
)
def test_what_is_asked_for_gives_no_finding(plan_name: str) -> None:
    assert check(PLANS[plan_name]) == ()


@pytest.mark.parametrize(
    ("plan", "code", "tensor", "found", "expected"),
    [
        (Plan(n=3), "wrong-depth", "layer1.2.conv1.weight", "3, 3, 3 blocks (20 layers)", "n = 2"),
        (Plan(n=1), "wrong-depth", "layer1.0.conv2.weight", "1, 1, 1 blocks (8 layers)", "n = 2"),
        (
            Plan(widths=(8, 16, 64)),
            "wrong-width",
            "layer3.0.conv1.weight",
            "8, 16, 64",
            "8, 16, 32",
        ),
        (Plan(widths=(4, 8, 16)), "wrong-width", "layer1.0.conv1.weight", "4, 8, 16", "8, 16, 32"),
        (
            Plan(widths=(8, 16)),
            "wrong-width",
            "layer2.0.conv1.weight",
            "8, 16 filters",
            "8, 16, 32",
        ),
        (Plan(widths=(8, 16, 32, 48)), "wrong-width", "layer4", "8, 16, 32, 48", "8, 16, 32"),
        (Plan(kernel=5), "wrong-kernel", "layer1.0.conv1.weight", "5×5", "3×3"),
        (Plan(stem_kernel=7), "wrong-kernel", "conv1.weight", "7×7", "3×3"),
        (Plan(num_classes=11), "wrong-classes", "fc.weight", "11 outputs", "10 classes"),
        (Plan(in_channels=1), "wrong-input", "conv1.weight", "1 input", "3"),
        (Plan(norm="none"), "wrong-norm", "conv1.weight", "no normalisation", "batch"),
        (Plan(norm="batch-instance"), "wrong-norm", "bn1.weight", "batch-instance", "batch"),
    ],
)
def test_a_deviation_is_named(
    plan: Plan, code: str, tensor: str, found: str, expected: str
) -> None:
    (finding,) = check(plan)
    assert finding.code == f"checkpoint.{code}"
    assert tensor in finding.message.partition(":")[0]
    assert found in finding.evidence["found"]
    assert expected in finding.evidence["expected"]
    assert finding.evidence["found"] in finding.message


def test_a_shortcut_that_is_not_allowed() -> None:
    (finding,) = check(Plan(shortcut="zero-padding"), {"shortcut": ["projection"]})
    assert finding.code == "checkpoint.wrong-shortcut"
    assert "zero-padding, expected projection" in finding.message


def test_projections_in_some_stages_only() -> None:
    state = as_saved(make_student(Plan()))
    state = {name: tensor for name, tensor in state.items() if "layer3.0.shortcut" not in name}
    reading = read_shape(shapes_of(state))
    assert reading.layers is not None
    assert reading.shape is not None
    (finding,) = check_architecture(reading.layers, reading.shape, WANTED)
    assert finding.code == "checkpoint.wrong-shortcut"
    assert "some stages" in finding.message


@pytest.mark.parametrize(
    ("norm", "wanted"),
    [
        ("group", "group"),
        ("instance", "instance"),
        ("row-layer", "layer"),
        ("bare-instance", "instance"),
        ("bare-layer", "layer"),
        ("bare-group", "group"),
        ("bare-instance", "none"),
        ("tracking-instance", "instance"),
        ("tracking-instance", "batch"),
    ],
)
def test_look_alike_normalisations_get_the_benefit_of_the_doubt(norm: str, wanted: str) -> None:
    assert check(Plan(norm=norm), {"norm": [wanted]}) == ()


@pytest.mark.parametrize("wanted", ["none", "batch-instance"])
def test_no_scale_and_shift_is_none_of_these(wanted: str) -> None:
    (finding,) = check(Plan(norm="group"), {"norm": [wanted]})
    assert finding.code == "checkpoint.wrong-norm"
    assert "without running statistics" in finding.message


@pytest.mark.parametrize("wanted", ["layer", "group", "none", "batch-instance"])
def test_running_statistics_are_none_of_these(wanted: str) -> None:
    (finding,) = check(Plan(norm="batch"), {"norm": [wanted]})
    assert finding.code == "checkpoint.wrong-norm"
    assert "found batch normalisation" in finding.message


def test_batch_normalisation_that_saved_no_statistics_is_named_and_not_another_one() -> None:
    (finding,) = check(Plan(norm="forgetful-batch"), {"norm": ["batch"]})
    assert finding.code == "checkpoint.no-statistics"
    assert "without running statistics" in finding.message


@pytest.mark.parametrize(
    ("norm", "wanted"), [("batch", "instance"), ("bare-instance", "none"), ("group", "instance")]
)
def test_a_class_settles_what_tensors_leave_open(norm: str, wanted: str) -> None:
    student = make_student(Plan(norm=norm))
    classes = {name: type(module).__name__ for name, module in student.named_modules()}
    reading = read_shape(shapes_of(as_saved(student)), classes)
    assert reading.layers is not None
    assert reading.shape is not None
    (finding,) = check_architecture(reading.layers, reading.shape, {"norm": [wanted]})
    assert finding.code == "checkpoint.wrong-norm"


def test_group_normalisation_may_have_one_group() -> None:
    student = make_student(Plan(norm="layer"))
    classes = {name: type(module).__name__ for name, module in student.named_modules()}
    reading = read_shape(shapes_of(as_saved(student)), classes)
    assert reading.layers is not None
    assert reading.layers.norms == ("group", "layer")


def test_a_name_that_all_variants_share_settles_nothing() -> None:
    state = as_saved(make_student(Plan(norm="group")))
    named = {name.replace("bn", "batchnorm"): tensor for name, tensor in state.items()}
    reading = read_shape(shapes_of(named))
    assert reading.layers is not None
    assert reading.shape is not None
    assert check_architecture(reading.layers, reading.shape, {"norm": ["group"]}) == ()


def test_a_number_of_classes_that_is_not_known_is_not_checked() -> None:
    assert check(Plan(num_classes=99), {"num_classes": "classes"}) == ()


def test_a_constraint_that_does_not_exist_is_the_courses_mistake() -> None:
    with pytest.raises(UsageError, match="'depth'"):
        check(Plan(), {"depth": 2})

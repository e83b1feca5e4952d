"""Whatever its names, a residual network is read for what it is, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fixtures.checkpoints.students import (
    PLANS,
    TRIMMINGS,
    Plan,
    StateDict,
    Student,
    arrays_of,
    as_saved,
    images_of,
    make_student,
    meaningless_names,
    no_names,
    shapes_of,
    shuffled_keys,
)
from grader.networks.read_shape import ShapeReading, read_shape
from grader.networks.resnet_6n2 import build_resnet, possible_forms

# What no reader can tell: two equal convolutions in front of a third, and five vectors that are
# either a bias and a batch normalisation or a batch-instance normalisation.
UNTELLABLE = {("3×3 shortcut first", "no names"), ("batch-instance", "no names")}
TELLABLE = [
    (plan, trimming)
    for plan in PLANS
    for trimming in TRIMMINGS
    if (plan, trimming) not in UNTELLABLE
]


def read(state: StateDict, classes: dict[str, str] | None = None) -> ShapeReading:
    return read_shape(shapes_of(state), classes)


def codes(reading: ShapeReading) -> set[str]:
    return {finding.code.removeprefix("checkpoint.") for finding in reading.findings}


@pytest.mark.parametrize(("plan_name", "trimming"), TELLABLE)
def test_the_network_that_was_read_computes_what_the_student_computes(
    plan_name: str, trimming: str
) -> None:
    plan = PLANS[plan_name]
    student = make_student(plan)
    state = TRIMMINGS[trimming](as_saved(student))
    reading = read(state)
    assert reading.network is not None, reading.findings
    images = images_of(plan)
    with torch.no_grad():
        wanted = student(images)
        nearest = min(
            float(
                (build_resnet(reading.network, arrays_of(state), form)(images) - wanted).abs().max()
            )
            for form in possible_forms(reading.network)
        )
    assert nearest < 1e-4 * float(wanted.abs().max())


@pytest.mark.parametrize("plan_name", PLANS)
def test_the_shape_is_told_right(plan_name: str) -> None:
    plan = PLANS[plan_name]
    student = make_student(plan)
    shape = read(meaningless_names(as_saved(student))).shape
    assert shape is not None
    assert shape.n == plan.n
    assert shape.widths == plan.widths
    assert shape.num_classes == plan.num_classes
    assert shape.in_channels == plan.in_channels
    assert shape.kernel_px == plan.kernel
    assert shape.layers == 2 * plan.n * len(plan.widths) + 2
    assert shape.shortcut == plan.shortcut.removesuffix("-3x3")
    expected = {"scratch-batch": "batch", "instance": "unknown", "layer": "unknown"}
    assert shape.norm == {**expected, "group": "unknown"}.get(plan.norm, plan.norm)
    assert shape.parameters == sum(p.numel() for p in student.parameters())


@pytest.mark.parametrize("norm", ["instance", "layer", "group", "batch"])
def test_class_names_tell_normalisations_apart_that_look_alike(norm: str) -> None:
    student = make_student(Plan(norm=norm))
    classes = {name: type(module).__name__ for name, module in student.named_modules()}
    if norm == "layer":
        classes = {name: kind.replace("GroupNorm", "LayerNorm") for name, kind in classes.items()}
    shape = read(as_saved(student), classes).shape
    assert shape is not None
    assert shape.norm == norm


@pytest.mark.parametrize(("plan_name", "trimming"), sorted(UNTELLABLE))
def test_what_cannot_be_told_is_at_least_read_as_a_shape(plan_name: str, trimming: str) -> None:
    reading = read(TRIMMINGS[trimming](as_saved(make_student(PLANS[plan_name]))))
    assert reading.shape is not None
    assert reading.shape.n == PLANS[plan_name].n
    if plan_name == "3×3 shortcut first":
        assert reading.network is None
        assert codes(reading) == {"ambiguous-order"}


def test_shuffled_tensors_without_meaningful_names_have_a_shape_but_no_order() -> None:
    state = as_saved(make_student(Plan(norm="none", head_bias=False)))
    # Numbers are names that tell the order …
    assert read(shuffled_keys(no_names(state))).network is not None
    shuffled = shuffled_keys(state)
    letters = {f"t{index * 7919 % 997}": tensor for index, tensor in enumerate(shuffled.values())}
    reading = read(letters)
    # … and names that tell a wrong one are found out.
    assert reading.shape is not None
    assert reading.shape.widths == (8, 16, 32)
    assert reading.network is None
    assert codes(reading) == {"ambiguous-order"}


# --------------------------------------------------------------------------- what is not one


class _WithExtras(Student):
    def __init__(self, extra: Callable[[], nn.Module]) -> None:
        super().__init__(Plan())
        self.extra = extra()


def _bottleneck() -> StateDict:
    return dict(torchvision.models.resnet50(weights=None, num_classes=10).state_dict())


def _flattened() -> StateDict:
    state = as_saved(make_student())
    state["fc.weight"] = torch.randn(10, 32 * 7 * 7)
    return state


def _pre_activation() -> StateDict:
    layers: StateDict = {"conv1.weight": torch.randn(8, 3, 3, 3)}
    width = 8
    for stage, channels in enumerate((8, 16, 32), start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            for index, (before, after) in enumerate([(width, channels), (channels, channels)]):
                for part in ("weight", "bias", "running_mean", "running_var"):
                    layers[f"{name}.bn{index + 1}.{part}"] = torch.randn(before)
                layers[f"{name}.conv{index + 1}.weight"] = torch.randn(after, before, 3, 3)
            width = channels
    for part in ("weight", "bias", "running_mean", "running_var"):
        layers[f"bn.{part}"] = torch.randn(32)
    return layers | {"fc.weight": torch.randn(10, 32), "fc.bias": torch.randn(10)}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({}, "no convolution"),
        (dict(nn.Linear(3, 4).state_dict()), "no convolution"),
        (dict(nn.Conv2d(3, 8, 3).state_dict()), "no block"),
        (_bottleneck(), "bottleneck"),
        (_flattened(), "mean pool"),
        ({k: v for k, v in as_saved(make_student()).items() if "fc" not in k}, "no output layer"),
        (
            {k: v for k, v in as_saved(make_student()).items() if "layer2.1.conv2" not in k},
            "even number",
        ),
        (dict(torchvision.models.vgg11(weights=None, num_classes=5).state_dict()), "even number"),
        (dict(torchvision.models.squeezenet1_1(weights=None).state_dict()), ""),
        (dict(torchvision.models.densenet121(weights=None).state_dict()), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_networks_are_not_taken_for_one(state: StateDict, says: str) -> None:
    reading = read(state)
    assert reading.network is None
    assert codes(reading) == {"not-a-resnet"}
    assert says in reading.findings[0].message


@pytest.mark.parametrize(
    ("extra", "runs"),
    [
        (lambda: nn.Linear(7, 5), False),
        (lambda: nn.Conv2d(16, 2, 1), False),
        (lambda: nn.PReLU(32), False),
        (nn.PReLU, False),
        (lambda: nn.BatchNorm2d(3, affine=False), True),
    ],
    ids=["linear", "squeeze", "prelu per channel", "prelu", "input normalisation"],
)
def test_extra_layers_are_named_and_only_harmless_ones_are_left_out(
    extra: Callable[[], nn.Module], runs: bool
) -> None:
    state = {
        name: t for name, t in _WithExtras(extra).state_dict().items() if "batches" not in name
    }
    reading = read(state)
    assert "extra-tensors" in codes(reading)
    assert any("extra." in finding.message for finding in reading.findings)
    assert (reading.network is not None) is runs


def test_hidden_layers_before_the_outputs_are_extra_and_the_outputs_counted() -> None:
    state = as_saved(make_student())
    state["fc1.weight"], state["fc1.bias"] = torch.randn(64, 32), torch.randn(64)
    state["fc.weight"] = torch.randn(10, 64)
    reading = read(state)
    assert reading.network is None
    assert reading.shape is not None
    assert reading.shape.num_classes == 10
    assert codes(reading) == {"extra-tensors"}
    assert "fc1.weight (64, 32)" in reading.findings[0].message


def test_a_normalisation_before_the_convolution_is_found() -> None:
    reading = read(_pre_activation())
    assert reading.network is None
    assert "pre-activation" in codes(reading)


def test_built_in_layers_among_own_ones_are_found() -> None:
    student = make_student(Plan(norm="batch-instance"))
    student.layer1[0].bn1 = nn.BatchNorm2d(8)
    reading = read(as_saved(student))
    assert "mixed-norm" in codes(reading)
    assert "layer1.0.conv1" in reading.findings[0].message


def test_other_normalisations_are_named_in_the_order_of_the_network() -> None:
    """Whatever a process's hash seed: a report that is made again is the same."""
    student = make_student(Plan(n=2))
    student.layer1[0].bn1 = nn.Identity()
    classes = {
        "layer1.0.bn2": "GroupNorm",
        "layer1.1.bn1": "InstanceNorm2d",
        "layer1.1.bn2": "LayerNorm",
        "layer2.0.bn1": "BatchInstanceNorm",
        "layer2.0.bn2": "GroupNorm",
    }
    told = [
        finding.evidence["tensors"][0]
        for finding in read(as_saved(student), classes).findings
        if finding.code in {"checkpoint.mixed-norm", "checkpoint.missing-norm"}
    ]
    assert told == [
        "layer1.0.conv1.weight",
        "layer1.0.conv2.weight",
        "layer1.1.conv1.weight",
        "layer1.1.conv2.weight",
        "layer2.0.conv1.weight",
    ]


def test_a_forgotten_normalisation_is_found_and_the_network_runs_without_it() -> None:
    student = make_student(Plan())
    student.layer2[1].bn1 = nn.Identity()
    state = as_saved(student)
    reading = read(state)
    assert codes(reading) == {"missing-norm"}
    assert reading.network is not None
    images = images_of(Plan())
    own = build_resnet(reading.network, arrays_of(state), possible_forms(reading.network)[0])
    with torch.no_grad():
        torch.testing.assert_close(own(images), student(images))


def test_an_imagenet_network_is_read_and_runs_in_its_own_form() -> None:
    theirs = torchvision.models.resnet18(weights=None, num_classes=7).eval()
    state = as_saved(theirs)
    reading = read(state)
    assert reading.shape is not None
    assert reading.shape.widths == (64, 128, 256, 512)
    assert reading.network is not None
    form = possible_forms(reading.network)[0]
    assert form.stem_pool
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            build_resnet(reading.network, arrays_of(state), form)(images), theirs(images)
        )


dimensions = st.lists(st.integers(0, 70), max_size=5).map(tuple)
tensor_names = st.text("abw.0123", max_size=8)


@given(st.dictionaries(tensor_names, dimensions, max_size=25))
def test_any_tensors_at_all_give_a_reading(shapes: dict[str, tuple[int, ...]]) -> None:
    reading = read_shape(shapes)
    assert reading.network is not None or reading.findings


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(PLANS)), st.integers(1, 12))
def test_a_damaged_network_gives_a_reading(rng: object, plan_name: str, count: int) -> None:
    shapes = shapes_of(as_saved(_student(plan_name)))
    for name in rng.sample(sorted(shapes), count):  # type: ignore[attr-defined]
        change = rng.choice(["drop", "grow", "flat"])  # type: ignore[attr-defined]
        if change == "drop":
            del shapes[name]
        else:
            shapes[name] = (9, *shapes[name]) if change == "grow" else (sum(shapes[name]),)
    reading = read_shape(shapes)
    assert reading.network is not None or reading.findings


_STUDENTS: dict[str, Student] = {}


def _student(plan_name: str) -> Student:
    if plan_name not in _STUDENTS:
        _STUDENTS[plan_name] = make_student(PLANS[plan_name])
    return _STUDENTS[plan_name]

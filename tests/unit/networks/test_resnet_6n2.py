"""The grader's network: what its forms mean, and that folding changes nothing but the speed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fixtures.checkpoints.students import (
    Plan,
    arrays_of,
    as_saved,
    images_of,
    make_student,
    normalise_pixels,
    shapes_of,
)
from grader.networks.read_shape import ReadNetwork, read_shape
from grader.networks.resnet_6n2 import (
    BatchInstanceNorm,
    Form,
    ResNet6n2,
    ZeroPadding,
    build_resnet,
    fits_images,
    fold_batch_norm,
    multiplications,
    name_mapping,
    possible_forms,
    takes_any_size,
)


def built(plan: Plan, form: Form | None = None) -> tuple[ResNet6n2, ReadNetwork]:
    state = as_saved(make_student(plan))
    network = read_shape(shapes_of(state)).network
    assert network is not None
    return build_resnet(network, arrays_of(state), form or possible_forms(network)[0]), network


@pytest.mark.parametrize(
    "plan",
    [Plan(), Plan(conv_bias=True), Plan(shortcut="zero-padding"), Plan(shortcut_norm=False)],
    ids=["projection", "bias", "zero-padding", "bare shortcut"],
)
def test_folding_gives_the_same_logits(plan: Plan) -> None:
    network, _ = built(plan)
    folded = fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    images = images_of(plan, count=3)
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-5, atol=1e-5)


def test_folding_leaves_other_normalisations_alone() -> None:
    network, _ = built(Plan(norm="group"), Form("group", 4))
    folded = fold_batch_norm(network)
    assert any(isinstance(module, nn.GroupNorm) for module in folded.modules())
    images = images_of(Plan())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size_px", [(16, 16), (17, 23), (1, 1), (40, 8)])
def test_images_of_any_size_pass(size_px: tuple[int, int]) -> None:
    network, _ = built(Plan(shortcut="zero-padding"))
    assert network(torch.randn(2, 3, *size_px)).shape == (2, 10)


@pytest.mark.parametrize(("side", "places"), [("after", (0, 1)), ("both-sides", (1, 2))])
def test_zero_padding_puts_new_channels_where_the_form_says(
    side: str, places: tuple[int, int]
) -> None:
    x = torch.arange(2 * 5 * 5, dtype=torch.float32).view(1, 2, 5, 5)
    padded = ZeroPadding(2, 4, 2, side)(x)
    assert padded.shape == (1, 4, 3, 3)
    assert torch.equal(padded[:, list(places)], x[:, :, ::2, ::2])
    assert padded.count_nonzero() == x[:, :, ::2, ::2].count_nonzero()


def test_batch_instance_normalisation_is_its_two_parts() -> None:
    norm = BatchInstanceNorm(3, running=True).eval()
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.uniform_(-1, 1)
        assert norm.running_mean is not None
        norm.running_mean.uniform_(-1, 1)
        x = torch.randn(2, 3, 6, 6)
        scale, shift = norm.weight.view(1, 3, 1, 1), norm.bias.view(1, 3, 1, 1)
        instance = F.instance_norm(x) * scale + shift
        batch = F.batch_norm(x, norm.running_mean, norm.running_var) * scale + shift
        norm.gate.fill_(-0.5)
        torch.testing.assert_close(norm(x), instance)
        norm.gate.fill_(1.5)
        torch.testing.assert_close(norm(x), batch)
        norm.gate.fill_(0.25)
        torch.testing.assert_close(norm(x), 0.25 * batch + 0.75 * instance)


def test_batch_statistics_are_those_of_training_mode() -> None:
    student = make_student(Plan())
    student.dropout.p = 0.0
    network, _ = built(Plan(), Form("batch-statistics"))
    images = images_of(Plan(), count=4)
    with torch.no_grad():
        torch.testing.assert_close(network(images), student.train()(images))


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("batch", {"batch", "instance-running", "instance"}),
        ("none", {"none", "instance", "layer", "layer-channels", "group"}),
        ("batch-instance", {"batch-instance"}),
        ("group", {"batch-statistics", "batch", "instance", "layer", "layer-channels", "group"}),
    ],
)
def test_forms_are_those_that_the_tensors_leave_open(norm: str, expected: set[str]) -> None:
    _, network = built(Plan(norm=norm))
    forms = possible_forms(network)
    assert {form.norm for form in forms} == expected
    assert len(set(forms)) == len(forms) == len({str(form) for form in forms})
    assert {form.groups for form in forms if form.norm == "group"} <= {8, 4, 2}


@pytest.mark.parametrize(
    ("norm", "form"),
    [
        ("bare-instance", "instance, without scale and shift"),
        ("bare-layer", "layer, without scale and shift"),
        ("bare-group", "4 groups, without scale and shift"),
        ("none", "none"),
        ("row-layer", "layer"),
        ("tracking-instance", "instance-running"),
        ("forgetful-batch", "batch"),
    ],
)
def test_a_form_computes_what_its_layers_do(norm: str, form: str) -> None:
    student = make_student(Plan(norm=norm))
    state = as_saved(student)
    network = read_shape(shapes_of(state)).network
    assert network is not None
    own = next(one for one in possible_forms(network) if str(one) == form)
    images = images_of(Plan(), count=3)
    with torch.no_grad():
        torch.testing.assert_close(
            build_resnet(network, arrays_of(state), own)(images), student(images)
        )


@pytest.mark.parametrize("side", [24, 25])
def test_a_scale_for_each_pixel_ties_the_network_to_one_size(side: int) -> None:
    student = make_student(Plan(norm="none"))
    normalise_pixels(student, side)
    state = as_saved(student)
    network = read_shape(shapes_of(state)).network
    assert network is not None
    assert network.shape.norm == "layer"
    (form,) = possible_forms(network)
    assert not takes_any_size(network)
    assert [size for size in range(20, 30) if fits_images(network, form, size)] == [side]
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(
            build_resnet(network, arrays_of(state), form)(images), student(images)
        )


@pytest.mark.parametrize("plan", [Plan(), Plan(n=3, kernel=5), Plan(shortcut="zero-padding")])
def test_multiplications_are_those_that_are_made(plan: Plan) -> None:
    network, read = built(plan)
    made = 0

    def count(conv: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal made
        made += conv.weight[0].numel() * output[0].numel()  # type: ignore[operator, index]

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network(torch.randn(1, 3, 27, 27))
    assert multiplications(read, network.form, 27) == made
    assert takes_any_size(read)


def test_a_missing_shift_is_none() -> None:
    state = as_saved(make_student())
    unshifted = {k: v for k, v in state.items() if not ("bn" in k and k.endswith("bias"))}
    network = read_shape(shapes_of(unshifted)).network
    assert network is not None
    own = build_resnet(network, arrays_of(unshifted), Form("batch"))
    student = make_student()
    for name, parameter in student.named_parameters():
        if "bn" in name and name.endswith("bias"):
            nn.init.zeros_(parameter)
    images = images_of(Plan())
    with torch.no_grad():
        torch.testing.assert_close(own(images), student(images))


def test_zero_padding_leaves_its_side_open() -> None:
    _, network = built(Plan(shortcut="zero-padding"))
    batch = [form for form in possible_forms(network) if form.norm == "batch"]
    assert [form.zero_padding for form in batch] == ["after", "both-sides"]


def test_the_mapping_names_every_tensor_of_the_student_once() -> None:
    for plan in (Plan(), Plan(norm="batch-instance", conv_bias=True)):
        _, network = built(plan)
        names = [
            name for name in as_saved(make_student(plan)) if not name.endswith("batches_tracked")
        ]
        assert sorted(name_mapping(network).values()) == sorted(names)


def test_half_precision_and_double_weights_are_evaluated_in_float32() -> None:
    state = as_saved(make_student())
    network = read_shape(shapes_of(state)).network
    assert network is not None
    doubles = {name: tensor.double() for name, tensor in state.items()}
    own = build_resnet(network, arrays_of(doubles), Form("batch"))
    images = images_of(Plan())
    assert own.head.weight.dtype is torch.float32
    with torch.no_grad():
        assert torch.equal(own(images), make_student()(images))

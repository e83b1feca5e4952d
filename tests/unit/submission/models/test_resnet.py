"""The network: what its docstring claims, and that it is the network of the paper."""

from __future__ import annotations

import re

import models.resnet
import pytest
import torch
import torch.nn.functional as F
from errors import SubmissionError
from hypothesis import given, settings
from hypothesis import strategies as st
from models.resnet import (
    ResNet,
    ResNetConfig,
    config_from_state_dict,
    count_layers,
    count_parameters,
    no_norm,
)
from torch import Tensor, nn


def claims() -> list[tuple[int, int, int]]:
    """(n, layers, parameters) as the module's docstring says."""
    lines = re.findall(
        r"n = (\d+): +(\d+) layers, +([\d,]+) parameters", models.resnet.__doc__ or ""
    )
    return [(int(n), int(layers), int(count.replace(",", ""))) for n, layers, count in lines]


def test_docstring_speaks_of_four_depths() -> None:
    assert [n for n, _, _ in claims()] == [1, 2, 3, 5]


@pytest.mark.parametrize(("n", "layers", "parameters"), claims())
def test_docstring_counts_are_true(n: int, layers: int, parameters: int) -> None:
    network = ResNet(ResNetConfig(n=n, num_classes=100))
    assert count_layers(network) == layers == 6 * n + 2
    assert count_parameters(network) == parameters
    assert parameters == parameters_by_formula(n, 100)


def parameters_by_formula(n: int, r: int) -> int:
    """Counted on paper: 3×3 convolutions without bias, two numbers a channel for each norm."""

    def conv(a: int, b: int, k: int = 3) -> int:
        return a * b * k * k + 2 * b

    total = conv(3, 32)
    for before, width in ((32, 32), (32, 64), (64, 128)):
        total += conv(before, width) + (2 * n - 1) * conv(width, width)
        total += conv(before, width, 1) if before != width else 0
    return total + 128 * r + r


def independent_forward(weights: dict[str, Tensor], n: int, x: Tensor) -> Tensor:
    """The paper's network written as plain function calls on a state_dict."""

    def norm(x: Tensor, at: str) -> Tensor:
        mean, variance = weights[f"{at}.running_mean"], weights[f"{at}.running_var"]
        scale = weights[f"{at}.weight"] / (variance + 1e-5).sqrt()
        shift = weights[f"{at}.bias"] - mean * scale
        return x * scale[None, :, None, None] + shift[None, :, None, None]

    def conv(x: Tensor, at: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{at}.weight"]
        return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    x = norm(conv(x, "conv1"), "bn1").clamp(min=0)
    for stage in (1, 2, 3):
        for block in range(n):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            inner = norm(conv(x, f"{at}.conv1", stride), f"{at}.bn1").clamp(min=0)
            inner = norm(conv(inner, f"{at}.conv2"), f"{at}.bn2")
            if stride == 2:
                x = norm(conv(x, f"{at}.shortcut.0", 2), f"{at}.shortcut.1")
            x = (x + inner).clamp(min=0)
    return x.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_equals_an_independent_construction(n: int) -> None:
    network = ResNet(ResNetConfig(n=n, num_classes=7))
    shake_statistics(network)
    network.double().eval()
    images = torch.randn(2, 3, 20, 28, dtype=torch.float64)
    expected = independent_forward(dict(network.state_dict()), n, images)
    torch.testing.assert_close(network(images), expected, rtol=1e-10, atol=1e-10)


def shake_statistics(network: nn.Module) -> None:
    """Fresh batch norms are nearly the identity and would hide a mistake."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def test_map_sizes_are_those_of_the_text() -> None:
    sizes = {}
    network = ResNet(ResNetConfig(n=1, num_classes=2))
    for stage in (1, 2, 3):
        network.get_submodule(f"layer{stage}").register_forward_hook(
            lambda _m, _i, out, stage=stage: sizes.__setitem__(stage, tuple(out.shape))
        )
    network.eval()(torch.zeros(1, 3, 224, 224))
    assert sizes == {1: (1, 32, 224, 224), 2: (1, 64, 112, 112), 3: (1, 128, 56, 56)}


def test_zero_padding_shortcut_keeps_every_second_pixel() -> None:
    config = ResNetConfig(n=1, num_classes=2, widths=(4, 8, 12), shortcut="zero-padding")
    network = ResNet(config)
    maps = torch.randn(1, 4, 6, 6)
    out = network.layer2[0].shortcut(maps)
    assert out.shape == (1, 8, 3, 3)
    torch.testing.assert_close(out[:, 2:6], maps[:, :, ::2, ::2])
    assert out[:, :2].abs().sum() == 0
    assert out[:, 6:].abs().sum() == 0
    assert network(torch.randn(2, 3, 12, 12)).shape == (2, 2)


def test_a_normalisation_learns_its_map_size() -> None:
    asked: list[tuple[int, int]] = []

    def layer_norm(channels: int, size_px: int) -> nn.Module:
        asked.append((channels, size_px))
        return nn.LayerNorm([channels, size_px, size_px])

    config = ResNetConfig(n=1, num_classes=5, widths=(16, 32, 64), size_px=32)
    network = ResNet(config, norm_layer=layer_norm)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 5)
    assert set(asked) == {(16, 32), (32, 16), (64, 8)}


def test_without_normalisation_convolutions_have_a_bias() -> None:
    network = ResNet(ResNetConfig(n=1, num_classes=2), norm_layer=no_norm)
    assert network.conv1.bias is not None
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 4),
    num_classes=st.integers(2, 30),
    widths=st.tuples(st.integers(2, 6), st.integers(7, 9), st.integers(10, 12)),
    shortcut=st.sampled_from(["projection", "zero-padding"]),
)
def test_config_is_read_back_from_shapes(
    n: int, num_classes: int, widths: tuple[int, int, int], shortcut: str
) -> None:
    config = ResNetConfig(n=n, num_classes=num_classes, widths=widths, shortcut=shortcut)
    assert config_from_state_dict(ResNet(config).state_dict()) == config


def test_checkpoint_keys_are_the_agreed_ones() -> None:
    keys = {
        re.sub(r"layer\d\.\d", "layerK.J", key.rsplit(".", 1)[0])
        for key in ResNet(ResNetConfig(n=2, num_classes=100)).state_dict()
    }
    inside = ("conv1", "bn1", "conv2", "bn2", "shortcut.0", "shortcut.1")
    assert keys == {"conv1", "bn1", "fc", *(f"layerK.J.{name}" for name in inside)}


@pytest.mark.parametrize("n", [0, -1])
def test_n_must_be_positive(n: int) -> None:
    with pytest.raises(SubmissionError, match="6n"):
        ResNetConfig(n=n, num_classes=3)


@pytest.mark.parametrize(
    ("drop", "says"),
    [("fc.weight", "no tensor fc.weight"), ("layer3.1.conv1.weight", "three stages")],
)
def test_another_architecture_is_named(drop: str, says: str) -> None:
    weights = ResNet(ResNetConfig(n=2, num_classes=3, widths=(2, 4, 6))).state_dict()
    del weights[drop]
    with pytest.raises(SubmissionError, match=says):
        config_from_state_dict(weights)

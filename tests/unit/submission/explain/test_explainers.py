"""Explanations against finite differences and the identities that define them."""

from __future__ import annotations

import pytest
import torch
from explain.captured import maps_and_gradients
from explain.grad_cam import grad_cam
from explain.gradients import (
    gradient_times_input,
    guided_backprop,
    input_gradient,
    integrated_gradients,
    smooth_grad,
)
from explain.heatmaps import EXPLAINERS
from explain.layer_attribution import attribute_layers
from models.resnet import ResNet, ResNetConfig
from torch import Tensor, nn


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(1)
    network = ResNet(ResNetConfig(n=1, num_classes=4, widths=(4, 6, 8))).double()
    for _ in range(3):
        network(torch.randn(8, 3, 12, 12, dtype=torch.float64))
    return network.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 12, 12, dtype=torch.float64)


TARGETS = torch.tensor([1, 3])


def chosen_logits(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return network(images).gather(1, TARGETS.unsqueeze(1)).squeeze(1)


def test_input_gradient_equals_finite_differences(network: nn.Module, images: Tensor) -> None:
    gradient = input_gradient(network, images, TARGETS)
    step = 1e-6
    for place in [(0, 0, 0), (1, 5, 7), (2, 11, 11), (0, 6, 2)]:
        nudge = torch.zeros_like(images)
        nudge[(slice(None), *place)] = step
        up, down = (chosen_logits(network, images + sign * nudge) for sign in (1, -1))
        torch.testing.assert_close(
            gradient[(slice(None), *place)], (up - down) / (2 * step), rtol=1e-5, atol=1e-7
        )


def test_each_image_is_explained_by_itself(network: nn.Module, images: Tensor) -> None:
    together = input_gradient(network, images, TARGETS)
    alone = torch.cat(
        [input_gradient(network, images[i : i + 1], TARGETS[i : i + 1]) for i in range(2)]
    )
    torch.testing.assert_close(together, alone)


def test_gradient_times_input_is_exact_for_a_linear_network(images: Tensor) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 4, bias=False)).double()
    total = gradient_times_input(linear, images, TARGETS).sum(dim=(1, 2, 3))
    torch.testing.assert_close(total, chosen_logits(linear, images))


def test_integrated_gradients_are_complete(network: nn.Module, images: Tensor) -> None:
    attributions = integrated_gradients(network, images, TARGETS, steps=100)
    difference = chosen_logits(network, images) - chosen_logits(network, torch.zeros_like(images))
    torch.testing.assert_close(attributions.sum(dim=(1, 2, 3)), difference, rtol=1e-2, atol=1e-2)


def test_smooth_grad_without_noise_is_the_gradient(network: nn.Module, images: Tensor) -> None:
    smooth = smooth_grad(network, images, TARGETS, samples=3, noise=0.0)
    torch.testing.assert_close(smooth, input_gradient(network, images, TARGETS))


def test_smooth_grad_is_the_same_every_time(network: nn.Module, images: Tensor) -> None:
    first, second = (smooth_grad(network, images, TARGETS, samples=2) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, input_gradient(network, images, TARGETS))


def test_guided_backprop_by_hand() -> None:
    """Two layers, worked out: a gradient passes a ReLU only where input and gradient are > 0."""
    first, second = torch.randn(5, 4), torch.randn(3, 5)
    network = nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(first)
        network[2].weight.copy_(second)
    x = torch.randn(6, 4)
    targets = torch.tensor([0, 1, 2, 0, 1, 2])
    hidden = x @ first.T
    expected = (second[targets].clamp(min=0) * (hidden > 0)) @ first
    torch.testing.assert_close(guided_backprop(network, x, targets), expected)


def test_guided_backprop_differs_and_leaves_the_network_alone(
    network: nn.Module, images: Tensor
) -> None:
    before = input_gradient(network, images, TARGETS)
    assert not torch.allclose(guided_backprop(network, images, TARGETS), before)
    assert torch.equal(input_gradient(network, images, TARGETS), before)


def test_grad_cam_at_the_last_layer_is_cam(network: ResNet, images: Tensor) -> None:
    """Behind the mean pool the channel weights are the classifier's own (IJCV, section 3.1)."""
    with torch.no_grad():
        maps = network.features(images)
    cam = torch.einsum("nchw,nc->nhw", maps, network.fc.weight[TARGETS]).clamp(min=0)
    expected = nn.functional.interpolate(cam.unsqueeze(1), (12, 12), mode="bilinear").squeeze(1)
    expected = expected / expected.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    torch.testing.assert_close(grad_cam(network, images, TARGETS), expected)


def test_grad_cam_over_layers_is_their_mean(network: nn.Module, images: Tensor) -> None:
    layers = ("layer2.0", "layer3.0")
    both = grad_cam(network, images, TARGETS, layers=layers)
    singles = [grad_cam(network, images, TARGETS, layers=(name,)) for name in layers]
    torch.testing.assert_close(both, sum(singles) / 2)
    assert both.min() >= 0


def test_layer_attribution_of_the_last_maps_adds_up_to_the_logit(
    network: ResNet, images: Tensor
) -> None:
    """Signed, the products of the last maps and their gradients sum to logit − bias."""
    logits, [(maps, gradient)] = maps_and_gradients(network, images, TARGETS, ["layer3"])
    chosen = logits.gather(1, TARGETS.unsqueeze(1))
    signed = (maps * gradient).sum(dim=(1, 2, 3))
    torch.testing.assert_close(signed, chosen.squeeze(1) - network.fc.bias[TARGETS])

    _, heatmaps = attribute_layers(network, images, TARGETS, layers=("layer3",))
    magnitude = (maps * gradient).abs().sum(dim=1, keepdim=True)
    expected = nn.functional.interpolate(magnitude, (12, 12), mode="bilinear").squeeze(1)
    expected = expected / expected.mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(heatmaps, expected)


def test_layer_attribution_predicts_and_explains_in_one_pass(
    network: nn.Module, images: Tensor
) -> None:
    logits, heatmaps = attribute_layers(network, images)
    torch.testing.assert_close(logits, network(images))
    _, again = attribute_layers(network, images, logits.argmax(1))
    assert torch.equal(heatmaps, again)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_gives_maps_and_takes_its_hooks_away(
    name: str, network: nn.Module, images: Tensor
) -> None:
    frozen = network.float().requires_grad_(False)
    heatmaps = EXPLAINERS[name](frozen, images.float(), TARGETS)
    assert heatmaps.shape == (2, 12, 12)
    assert heatmaps.dtype == torch.float32
    assert torch.isfinite(heatmaps).all()
    assert heatmaps.min() >= 0
    assert not heatmaps.requires_grad
    assert hooks(frozen) == 0


@pytest.mark.parametrize("name", EXPLAINERS)
def test_hooks_are_taken_away_when_the_network_fails(name: str, network: nn.Module) -> None:
    with pytest.raises(RuntimeError):
        EXPLAINERS[name](network, torch.zeros(2, 5, 12, 12, dtype=torch.float64), TARGETS)
    assert hooks(network) == 0


def test_an_unknown_layer_is_an_error_and_leaves_no_hook(
    network: nn.Module, images: Tensor
) -> None:
    with pytest.raises(AttributeError, match="layer9"):
        grad_cam(network, images, TARGETS, layers=("layer1", "layer9"))
    assert hooks(network) == 0


def hooks(network: nn.Module) -> int:
    return sum(
        len(module._forward_hooks) + len(module._backward_hooks) for module in network.modules()
    )

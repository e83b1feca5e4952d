"""Grad-CAM over several layers, and the same by the package that the course names."""

from __future__ import annotations

import pytest
import torch
from explain.grad_cam import mean_grad_cam
from models.resnet import ResNet, ResNetConfig, last_stage_layers
from models.variants import NORMS, norm_layer
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

LAYERS = ["layer3.0", "layer3.1"]
TARGETS = torch.tensor([1, 3, 0])


def network_with(norm: str) -> ResNet:
    torch.manual_seed(1)
    config = ResNetConfig(n=2, num_classes=4, widths=(8, 16, 16), size_px=24)
    network = ResNet(config, norm_layer(norm))
    for _ in range(3):
        network(torch.randn(8, 3, 24, 24))
    return network.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 24, 24)


@pytest.mark.parametrize("norm", NORMS)
def test_maps_have_the_layers_size_and_fill_zero_to_one(norm: str, images: Tensor) -> None:
    network = network_with(norm)
    logits, maps = mean_grad_cam(network, images, TARGETS, last_stage_layers(network))
    assert maps.shape == (3, 6, 6)
    torch.testing.assert_close(logits, network(images))
    torch.testing.assert_close(maps.amin((1, 2)), torch.zeros(3))
    torch.testing.assert_close(maps.amax((1, 2)), torch.ones(3), rtol=0, atol=1e-4)


def test_a_layers_map_is_weighted_by_its_mean_gradients(images: Tensor) -> None:
    """Equations 1 and 2, with the gradient of the last layer known in closed form."""
    network = network_with("gn")
    _, maps = mean_grad_cam(network, images, TARGETS, ["layer3"])
    with torch.no_grad():
        features = network.features(images)
        cam = torch.einsum("nc,nchw->nhw", network.fc.weight[TARGETS], features).relu()
        low = cam.amin((1, 2), keepdim=True)
        # a class that nothing speaks for has a flat map, which stays 0
        expected = (cam - low) / (cam - low).amax((1, 2), keepdim=True).clamp(min=1e-12)
    assert expected.amax() == 1
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


def test_without_targets_the_predicted_class_is_explained(images: Tensor) -> None:
    network = network_with("bn")
    logits, maps = mean_grad_cam(network, images, None, LAYERS)
    predicted = logits.argmax(1)
    _, same = mean_grad_cam(network, images, predicted, LAYERS)
    torch.testing.assert_close(maps, same)
    # and for those images alone that have none
    other = (predicted[0] + 1) % 4
    _, mixed = mean_grad_cam(network, images, torch.tensor([other, -1, -1]), LAYERS)
    torch.testing.assert_close(mixed[1:], maps[1:])
    assert not torch.allclose(mixed[0], maps[0])


def test_the_last_2n_layers_are_those_with_the_smallest_maps() -> None:
    network = network_with("bn")
    assert last_stage_layers(network) == ["layer3.0.bn1", "layer3.0", "layer3.1.bn1", "layer3.1"]


@pytest.mark.parametrize("norm", NORMS)
def test_the_package_gives_the_same_maps(
    norm: str, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_with(norm)
    names = last_stage_layers(network)
    _, ours = mean_grad_cam(network, images, TARGETS, names)

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # it would write over the maps that the package keeps
    layers = [network.get_submodule(name) for name in names]
    with GradCAM(model=network, target_layers=layers) as cam:
        # the package would stretch its maps to the images' size
        monkeypatch.setattr(cam, "get_target_width_height", lambda _images: (6, 6))
        theirs = cam(images, [ClassifierOutputTarget(int(target)) for target in TARGETS])
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-4, atol=1e-5)

"""Grad-CAM: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization" (ICCV 2017; IJCV 128, 2019), equations 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explain.captured import maps_and_gradients


def grad_cam(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    layers: Sequence[str] = ("layer3",),
) -> Tensor:
    """Heatmaps of one logit from the maps of `layers`, names as in `network.named_modules()`.

    images: (N, C, H, W) float32, targets: (N,) int64 → (N, H, W) float32 in [0, 1], each image's
    own maximum being 1. Several layers are averaged after each was brought to [0, 1]. The network
    must be in evaluation mode. Raises AttributeError for a layer that it lacks.
    """
    total = images.new_zeros(images.shape[0], *images.shape[2:])
    for cam in _layer_maps(network, images, targets, layers)[1]:
        large = F.interpolate(cam, images.shape[2:], mode="bilinear", align_corners=False)
        total += large.squeeze(1) / large.amax(dim=(1, 2, 3)).clamp(min=1e-12).view(-1, 1, 1)
    return total / len(layers)


def mean_grad_cam(
    network: nn.Module, images: Tensor, targets: Tensor | None, layers: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Logits (N, r), and the mean of the heatmaps of layers of one size at that size, (N, h, w).

    As the package `grad-cam` does it: each layer's map is brought to [0, 1] by its own minimum and
    maximum, and so is their mean. `targets`: (N,) int64; None, or a negative one, means the
    predicted class. The network must be in evaluation mode. Raises AttributeError for a layer that
    it lacks.
    """
    logits, cams = _layer_maps(network, images, targets, layers)
    mean = torch.stack([_stretched_to_one(cam) for cam in cams]).mean(0)
    return logits, _stretched_to_one(mean).squeeze(1)


def _stretched_to_one(maps: Tensor) -> Tensor:
    """(N, 1, h, w) from each image's own range to [0, 1]; a flat map becomes 0."""
    lowest = maps.amin(dim=(1, 2, 3), keepdim=True)
    highest = (maps - lowest).amax(dim=(1, 2, 3), keepdim=True)
    return (maps - lowest) / (highest + 1e-7)


def _layer_maps(
    network: nn.Module, images: Tensor, targets: Tensor | None, layers: Sequence[str]
) -> tuple[Tensor, list[Tensor]]:
    """Logits (N, r) and equation 2 for each layer, (N, 1, h, w) ≥ 0 at the layer's own size."""
    logits, pairs = maps_and_gradients(network, images, targets, layers)
    cams = []
    for maps, gradient in pairs:
        weights = gradient.mean(dim=(2, 3), keepdim=True)  # equation 1
        cams.append((weights * maps).sum(dim=1, keepdim=True).relu())
    return logits, cams

"""Grad-CAM: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization" (ICCV 2017; IJCV 128, 2019), equations 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explain.captured import captured_maps


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
    with torch.enable_grad(), captured_maps(network, layers) as maps:
        # the input asks for gradients, or a network with frozen weights would have none
        logits = network(images.detach().requires_grad_(True))
        chosen = logits.gather(1, targets.unsqueeze(1)).sum()
        gradients = torch.autograd.grad(chosen, [maps[name] for name in layers])
    total = images.new_zeros(images.shape[0], *images.shape[2:])
    for name, gradient in zip(layers, gradients, strict=True):
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        cam = (weights * maps[name].detach()).sum(dim=1, keepdim=True).relu()
        cam = F.interpolate(cam, images.shape[2:], mode="bilinear", align_corners=False)
        total += cam.squeeze(1) / cam.amax(dim=(1, 2, 3)).clamp(min=1e-12).view(-1, 1, 1)
    return total / len(layers)

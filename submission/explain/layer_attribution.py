"""How much each place of a layer's maps adds to, or takes from, one logit."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from explain.captured import maps_and_gradients


def attribute_layers(
    network: nn.Module,
    images: Tensor,
    targets: Tensor | None = None,
    *,
    layers: Sequence[str] = ("layer1", "layer3"),
) -> tuple[Tensor, Tensor]:
    """Logits (N, r), and heatmaps (N, H, W) float32 ≥ 0 with mean 1 for each image and layer.

    At every place Σ over channels of |activation × ∂ logit / ∂ activation|: HiResCAM's element-wise
    product (Draelos & Carin, "Use HiResCAM instead of Grad-CAM", 2020, equation 3), with magnitudes
    in place of its signed sum, in which evidence for and against would cancel just where the
    subject is. An early layer has sharp edges, the last one knows what matters: their mean has
    both. `targets`: (N,) int64; None means the predicted class. The network must be in evaluation
    mode.
    """
    logits, pairs = maps_and_gradients(network, images, targets, layers)
    total = images.new_zeros(images.shape[0], *images.shape[2:])
    for maps, gradient in pairs:
        magnitude = (maps * gradient).abs().sum(dim=1, keepdim=True)
        heatmap = F.interpolate(magnitude, images.shape[2:], mode="bilinear").squeeze(1)
        total += heatmap / heatmap.mean(dim=(1, 2), keepdim=True).clamp(min=1e-20)
    return logits, total / len(layers)


def layer_attribution(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The heatmaps of `attribute_layers` alone."""
    return attribute_layers(network, images, targets)[1]

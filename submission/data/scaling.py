"""From bytes to what a network takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def scaled(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(N, 3, H, W) uint8 → float32, each channel as (value/255 − mean)/std."""
    factor = torch.tensor([1 / (255 * s) for s in std], device=images.device)
    offset = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=images.device)
    shape = (1, 3, 1, 1)
    return images.float().mul_(factor.view(shape)).sub_(offset.view(shape))

"""Random changes to a whole batch as a few tensor operations, on the device of the images.

Every random number comes from the generator that is handed in, so a batch depends on its seed
alone and a resumed run repeats it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from data.scaling import scaled

_LIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True)
class Augmentation:
    """How far a batch is changed. A share of 0 switches a change off."""

    min_area: float = 0.35  # smallest share of the image that a crop keeps
    max_aspect: float = 4 / 3
    rotation_degrees: float = 20.0
    flip: float = 0.5  # chance of a mirror image
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.25
    colour_detail: float = 0.0  # the most by which fine differences of colour are amplified
    cutmix: float = 0.0  # chance that a batch is cut and mixed
    erase: float = 0.25  # chance that a square of an image is erased
    erase_side: float = 0.35  # its side, as a share of the image's


def _uniform(count: int, low: float, high: float, like: Tensor, rng: torch.Generator) -> Tensor:
    # drawn on the CPU, so that a seed means the same on every device
    return torch.empty(count).uniform_(low, high, generator=rng).to(like.device)


def random_views(
    images: Tensor, size_px: int, options: Augmentation, rng: torch.Generator
) -> Tensor:
    """Random crop, aspect, rotation and mirror of each image, sampled in one pass.

    images: (N, 3, S, S) float32 → (N, 3, size_px, size_px) float32, channels-last. Bilinear and
    without a filter, so S should be at most about 1.5 × size_px; the outside is reflected.
    """
    count = images.shape[0]
    area = _uniform(count, options.min_area, 1.0, images, rng)
    log_aspect = math.log(options.max_aspect)
    aspect = _uniform(count, -log_aspect, log_aspect, images, rng).exp()
    # half sides in the [-1, 1] coordinates of affine_grid, kept inside the image before rotation
    half_x = (area * aspect).sqrt().clamp(max=1.0)
    half_y = (area / aspect).sqrt().clamp(max=1.0)
    centre_x = (1 - half_x) * _uniform(count, -1.0, 1.0, images, rng)
    centre_y = (1 - half_y) * _uniform(count, -1.0, 1.0, images, rng)
    angle = _uniform(count, -1.0, 1.0, images, rng) * math.radians(options.rotation_degrees)
    mirror = 1 - 2 * (_uniform(count, 0.0, 1.0, images, rng) < options.flip).float()
    cosine, sine = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([mirror * half_x * cosine, -half_y * sine, centre_x], dim=1),
            torch.stack([mirror * half_x * sine, half_y * cosine, centre_y], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, [count, 3, size_px, size_px], align_corners=False)
    views = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return views.contiguous(memory_format=torch.channels_last)


def jitter_colours(images: Tensor, options: Augmentation, rng: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation of each image, on normalised values, in place.

    images: (N, 3, H, W) float32, zero mean and unit variance per channel over the data.
    """
    count = images.shape[0]

    def factors(strength: float) -> Tensor:
        return _uniform(count, 1 - strength, 1 + strength, images, rng).view(-1, 1, 1, 1)

    saturation, contrast = factors(options.saturation), factors(options.contrast)
    shift = factors(options.brightness) - 1
    grey = images.mean(dim=1, keepdim=True)
    images.sub_(grey).mul_(saturation).add_(grey)
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return images.sub_(level).mul_(contrast).add_(level + shift)


def sharpen_colours(images: Tensor, options: Augmentation, rng: torch.Generator) -> Tensor:
    """Amplify fine differences of colour, not of lightness, by a random amount, in place.

    Formats store colours more coarsely than lightness, each its own way: a network trained on WebP
    finds up to twice the fine colour in JPEG, and otherwise takes that for another species.
    images: (N, 3, H, W) float32, normalised.
    """
    amount = _uniform(images.shape[0], 0.0, options.colour_detail, images, rng).view(-1, 1, 1, 1)
    smooth = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    detail = images - smooth
    lightness = torch.tensor(_LIGHTNESS, device=images.device).view(1, 3, 1, 1)
    detail -= (detail * lightness).sum(dim=1, keepdim=True)
    return images.addcmul_(amount, detail)


def erase_squares(images: Tensor, options: Augmentation, rng: torch.Generator) -> Tensor:
    """Zero (the data's mean colour) a random square of some images, in place (DeVries & Taylor,
    "Improved Regularization of Convolutional Neural Networks with Cutout", 2017)."""
    count, _, height, width = images.shape
    chosen = _uniform(count, 0.0, 1.0, images, rng) < options.erase
    half = options.erase_side * height / 2
    y = _uniform(count, 0, height, images, rng).view(-1, 1, 1)
    x = _uniform(count, 0, width, images, rng).view(-1, 1, 1)
    rows = torch.arange(height, device=images.device).view(1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, -1)
    inside = ((rows - y).abs() < half) & ((columns - x).abs() < half) & chosen.view(-1, 1, 1)
    return images.masked_fill_(inside.unsqueeze(1), 0.0)


@dataclass(frozen=True)
class MixedTargets:
    """`share` of the first targets and 1 − share of the second."""

    first: Tensor
    second: Tensor
    share: float

    def loss(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """Mean cross-entropy of logits (N, r) against the mixture."""
        first = F.cross_entropy(logits, self.first, label_smoothing=label_smoothing)
        if self.share == 1.0:
            return first
        second = F.cross_entropy(logits, self.second, label_smoothing=label_smoothing)
        return self.share * first + (1 - self.share) * second


def cut_and_mix(
    images: Tensor, targets: Tensor, options: Augmentation, rng: torch.Generator
) -> tuple[Tensor, MixedTargets]:
    """With chance `cutmix`, paste a rectangle of each image's partner into it, in place (Yun et
    al., "CutMix", ICCV 2019, equations 1 and 2 with a uniform λ)."""
    draw = torch.empty(4).uniform_(0.0, 1.0, generator=rng).tolist()
    if draw[0] >= options.cutmix:
        return images, MixedTargets(targets, targets, 1.0)
    partner = torch.randperm(images.shape[0], generator=rng).to(images.device)
    height, width = images.shape[2:]
    cut = math.sqrt(1 - draw[1])
    side_y, side_x = round(height * cut), round(width * cut)
    top = round((height - side_y) * draw[2])
    left = round((width - side_x) * draw[3])
    window = (..., slice(top, top + side_y), slice(left, left + side_x))
    images[window] = images[partner][window]
    share = 1 - side_y * side_x / (height * width)
    return images, MixedTargets(targets, targets[partner], share)


def augment(
    images: Tensor,
    targets: Tensor,
    size_px: int,
    options: Augmentation,
    rng: torch.Generator,
    mean: Sequence[float],
    std: Sequence[float],
) -> tuple[Tensor, MixedTargets]:
    """All of the above on a batch: (N, 3, S, S) uint8 → (N, 3, size_px, size_px) float32."""
    views = random_views(scaled(images, mean, std), size_px, options, rng)
    if options.colour_detail > 0:
        views = sharpen_colours(views, options, rng)
    views = jitter_colours(views, options, rng)
    if options.erase > 0:
        views = erase_squares(views, options, rng)
    return cut_and_mix(views, targets, options, rng)

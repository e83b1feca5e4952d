"""Importance of each pixel for one logit, from gradients with respect to the input.

Every method here maps (network, images, targets) to signed attributions of the images' shape:
images (N, C, H, W) float32, targets (N,) int64 → (N, C, H, W) float32. The network must be in
evaluation mode. `explain.heatmaps` turns attributions into maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def input_gradient(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """∂ logit[target] / ∂ image (Simonyan, Vedaldi & Zisserman, "Deep Inside Convolutional
    Networks", ICLR workshop 2014, section 3)."""
    images = images.detach().requires_grad_(True)
    with torch.enable_grad():
        chosen = network(images).gather(1, targets.unsqueeze(1)).sum()
        (gradient,) = torch.autograd.grad(chosen, images)
    return gradient


def gradient_times_input(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Gradient × (image − mean image), the mean being zero after normalisation (Shrikumar et al.,
    "Not Just a Black Box", 2016)."""
    return input_gradient(network, images, targets) * images


class _PositiveGradient(torch.autograd.Function):
    """The identity, whose gradient is cut at zero."""

    @staticmethod
    def forward(_context: torch.autograd.function.FunctionCtx, maps: Tensor) -> Tensor:
        return maps.view_as(maps)

    @staticmethod
    def backward(_context: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        return gradients[0].clamp(min=0)


@contextmanager
def _guided_relus(network: nn.Module) -> Iterator[None]:
    """While open, every ReLU of `network` lets only positive gradients through."""
    handles = [
        module.register_forward_hook(lambda _m, _i, output: _PositiveGradient.apply(output))
        for module in network.modules()
        if isinstance(module, nn.ReLU)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def guided_backprop(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The input gradient with negative gradients stopped at every ReLU (Springenberg et al.,
    "Striving for Simplicity", ICLR workshop 2015, section 3.4)."""
    with _guided_relus(network):
        return input_gradient(network, images, targets)


def smooth_grad(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    samples: int = 8,
    noise: float = 0.15,
    seed: int = 0,
) -> Tensor:
    """The root mean square gradient over `samples` noisy copies, its sign that of the mean.

    Smilkov et al., "SmoothGrad", 2017, with the squares of Hooker et al., "A Benchmark for
    Interpretability Methods" (NeurIPS 2019). `noise` is the noise's standard deviation as a share
    of each image's range.
    """
    rng = torch.Generator().manual_seed(seed)
    spread = images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3))
    sigma = (noise * spread).view(-1, 1, 1, 1)
    total, squares = torch.zeros_like(images), torch.zeros_like(images)
    for _ in range(samples):
        shaken = images + sigma * torch.randn(images.shape, generator=rng).to(images.device)
        gradient = input_gradient(network, shaken, targets)
        total += gradient
        squares += gradient.square()
    return (squares / samples).sqrt() * total.sign()


def integrated_gradients(
    network: nn.Module, images: Tensor, targets: Tensor, *, steps: int = 16
) -> Tensor:
    """(image − baseline) × mean gradient on the straight line between them, by the midpoint rule;
    the baseline is the mean image (Sundararajan, Taly & Yan, "Axiomatic Attribution for Deep
    Networks", ICML 2017, equation 1). Sums to logit(image) − logit(baseline) as steps grow."""
    total = torch.zeros_like(images)
    for step in range(steps):
        total += input_gradient(network, images * ((step + 0.5) / steps), targets)
    return images * total / steps

"""The named, interchangeable ways to turn a prediction into a heatmap."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from explain.grad_cam import grad_cam
from explain.gradients import (
    gradient_times_input,
    guided_backprop,
    input_gradient,
    integrated_gradients,
    smooth_grad,
)
from explain.layer_attribution import layer_attribution

Explainer = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(network in evaluation mode, images (N, C, H, W), targets (N,)) → heatmaps (N, H, W) ≥ 0."""


def _largest_channel(attribute: Explainer) -> Explainer:
    """Attributions (N, C, H, W) → maps (N, H, W): the largest magnitude over the channels."""

    def heatmaps(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return attribute(network, images, targets).abs().amax(dim=1)

    return heatmaps


EXPLAINERS: dict[str, Explainer] = {
    "input-gradient": _largest_channel(input_gradient),
    "gradient-times-input": _largest_channel(gradient_times_input),
    "guided-backprop": _largest_channel(guided_backprop),
    "smooth-grad": _largest_channel(smooth_grad),
    "integrated-gradients": _largest_channel(integrated_gradients),
    "grad-cam": grad_cam,
    "layer-attribution": layer_attribution,
}

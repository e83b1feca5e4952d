"""An exponential moving average of the weights: what is evaluated and saved."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def is_finite(network: nn.Module) -> bool:
    """Whether all parameters and running statistics are numbers."""
    tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())


class WeightAverage:
    """Follows a network's parameters and running statistics (Polyak & Juditsky 1992; the warm-up
    of the decay is that of TensorFlow's ExponentialMovingAverage)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards `network` after optimiser step number `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged, current = self._floats(self.network), self._floats(network)
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for ours, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            if not ours.is_floating_point():
                ours.copy_(theirs)

    @staticmethod
    def _floats(network: nn.Module) -> list[Tensor]:
        return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]

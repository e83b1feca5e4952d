"""Five normalisations, from scratch: no ready-made one may be derived from, held or called.

Each takes maps (N, C, H, W) and gives the same shape; `weight` and `bias` (C) scale and shift.
The course runs these classes by themselves, in training and evaluation mode, and compares the
numbers and the gradients with the exact ones.
"""

from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Ioffe and Szegedy 2015; running statistics for evaluation."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        raise NotImplementedError("make weight, bias, running_mean and running_var here")

    def forward(self, maps: Tensor) -> Tensor:
        raise NotImplementedError("normalise over N, H and W here")


class InstanceNorm(nn.Module):
    """Ulyanov et al. 2017."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        raise NotImplementedError("make weight and bias here")

    def forward(self, maps: Tensor) -> Tensor:
        raise NotImplementedError("normalise over H and W here")


class BatchInstanceNorm(nn.Module):
    """Nam and Kim 2018, equation 3: gate · BN + (1 − gate) · IN, before the scale and shift."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        raise NotImplementedError("make weight, bias, gate and the running statistics here")

    def forward(self, maps: Tensor) -> Tensor:
        raise NotImplementedError("mix the two here; the gate stays in [0, 1]")


class LayerNorm(nn.Module):
    """Ba et al. 2016."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        raise NotImplementedError("make weight and bias here")

    def forward(self, maps: Tensor) -> Tensor:
        raise NotImplementedError("normalise over C, H and W here")


class GroupNorm(nn.Module):
    """Wu and He 2018."""

    def __init__(self, channels: int, groups: int = 8, eps: float = 1e-5) -> None:
        super().__init__()
        raise NotImplementedError("make weight and bias here")

    def forward(self, maps: Tensor) -> Tensor:
        raise NotImplementedError("normalise over each group of channels, H and W here")

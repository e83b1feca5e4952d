"""Normalisations from scratch beside the built-in ones: forward and backward, images a second.

    python -m benchmarks.bench_normalization

The goal is for a training step (forward and backward) of the assignment's network, 6n+2 with n = 2
and 16, 32, 64 filters, in the memory layout in which it is trained. Below, for information, each
layer by itself in both layouts. There a fused kernel passes over the maps twice forward and twice
backward, where tensor operations cannot do with fewer than four and five (mean, centre, square,
scale; and sum, product, its sum, two for the result): what PyTorch has fused stays faster by about
that much, what it has not is slower. Batch-instance normalisation has no built-in one: beside it
stand the two built-in layers that it is mixed from.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measuring import speed_row, table

# the submission imports flatly, as where a course unzips it
sys.path.insert(0, str(Path(__file__).parents[1] / "submission"))

from models.normalization import (
    BatchInstanceNorm,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from models.resnet import NormLayer, ResNet, ResNetConfig

GOAL = 0.8
ROUNDS = 7
BATCH = 8
NETWORK_SIDE_PX = 128
LAYER_SHAPE = (8, 16, 128, 128)
GROUPS = 8


class _BuiltInMixture(nn.Module):
    """Batch-instance normalisation out of PyTorch's own layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.batch = nn.BatchNorm2d(channels, affine=False)
        self.instance = nn.InstanceNorm2d(channels)
        self.gate = nn.Parameter(torch.ones(channels, 1, 1))
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        mixed = self.gate * self.batch(maps) + (1 - self.gate) * self.instance(maps)
        return mixed * self.weight + self.bias


PAIRS: dict[str, tuple[NormLayer, NormLayer]] = {
    "batch": (lambda c, _: BatchNorm(c), lambda c, _: nn.BatchNorm2d(c)),
    "instance": (lambda c, _: InstanceNorm(c), lambda c, _: nn.InstanceNorm2d(c, affine=True)),
    "batch-instance": (lambda c, _: BatchInstanceNorm(c), lambda c, _: _BuiltInMixture(c)),
    "layer (C, H, W)": (
        lambda c, s: LayerNorm((c, s, s)),
        lambda c, s: nn.LayerNorm((c, s, s)),
    ),
    "group": (lambda c, _: GroupNorm(GROUPS, c), lambda c, _: nn.GroupNorm(GROUPS, c)),
}
LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


def run() -> list[dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads of one step waiting for each other measure the machine
    try:
        torch.manual_seed(0)
        # Processor time: other programs on the machine take none of it.
        paired = partial(
            speed_row, count=BATCH, unit="images/s", rounds=ROUNDS, clock=time.process_time
        )
        networks = [
            paired(f"network, {name}", *_networks(*pair), at_least=GOAL)
            for name, pair in PAIRS.items()
        ]
        layers = [
            paired(f"layer alone, {layout}, {name}", *_layers(*pair, order), at_least=None)
            for layout, order in LAYOUTS.items()
            for name, pair in PAIRS.items()
        ]
    finally:
        torch.set_num_threads(threads)
    return networks + layers


def _networks(ours: NormLayer, theirs: NormLayer) -> tuple[Callable[[], None], ...]:
    config = ResNetConfig(n=2, num_classes=25, widths=(16, 32, 64), size_px=NETWORK_SIDE_PX)
    images = torch.randn(BATCH, 3, NETWORK_SIDE_PX, NETWORK_SIDE_PX)
    images = images.contiguous(memory_format=torch.channels_last)
    pull = torch.randn(BATCH, 25)

    def step(layer: NormLayer) -> Callable[[], None]:
        network = ResNet(config, layer).to(memory_format=torch.channels_last)

        def once() -> None:
            network.zero_grad(set_to_none=True)
            network(images).backward(pull)

        return once

    return step(ours), step(theirs)


def _layers(
    ours: NormLayer, theirs: NormLayer, layout: torch.memory_format
) -> tuple[Callable[[], None], ...]:
    maps = torch.randn(LAYER_SHAPE).contiguous(memory_format=layout).requires_grad_()
    pull = torch.randn(LAYER_SHAPE).contiguous(memory_format=layout)

    def step(make: NormLayer) -> Callable[[], None]:
        layer = make(LAYER_SHAPE[1], LAYER_SHAPE[2])

        def once() -> None:
            maps.grad = None
            layer.zero_grad(set_to_none=True)
            layer(maps).backward(pull)

        return once

    return step(ours), step(theirs)


if __name__ == "__main__":
    print(table(run()))

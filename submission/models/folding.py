"""Batch normalisation in evaluation mode is a scale and a shift: put them into the convolution."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.resnet import BasicBlock, ResNet


def fold_batch_norm(network: ResNet) -> ResNet:
    """A copy of `network` in evaluation mode that computes the same, gradients with respect to
    images and maps included, up to rounding; other normalisations are left as they are."""
    folded = copy.deepcopy(network).eval()
    _fold(folded, "conv1", "bn1")
    for block in folded.modules():
        if isinstance(block, BasicBlock):
            _fold(block, "conv1", "bn1")
            _fold(block, "conv2", "bn2")
            if isinstance(block.shortcut, nn.Sequential):
                _fold(block.shortcut, "0", "1")
    return folded


def _fold(parent: nn.Module, convolution: str, norm: str) -> None:
    conv, bn = parent.get_submodule(convolution), parent.get_submodule(norm)
    if isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d):
        setattr(parent, convolution, fuse_conv_bn_eval(conv, bn))
        setattr(parent, norm, nn.Identity())

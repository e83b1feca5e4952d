"""Whose running statistics are these: batch normalisation's, or instance normalisation's?

Both may track a mean and a variance of each channel and use them alike in evaluation. But batch
normalisation tracks the variance over all images together, instance normalisation the mean of the
variances within each image: they differ by the variance of the images' means. It is looked for
after the first convolution, whose outputs no other normalisation has touched.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from grader.networks.resnet_6n2 import ResNet6n2

_ENOUGH_IMAGES = 16
_ENOUGH_CHANNELS = 4
# Where the images' means vary less than this share, both variances are the same.
_APART = 0.1
# Where 0 is the variance within images and 1 that of all together, on a scale of logarithms.
_OF_ALL = (0.7, 1.5)
# The share of channels that have to be nearer to 1.
_NEARER = 0.8
# Standard deviations by which running means differ from what is measured: else the images are
# not as in training, and the variances say nothing.
_SAME_MEANS = 0.3


def tracked_whole_batches(network: ResNet6n2, images: Iterable[Tensor]) -> bool:
    """Whether the first running variances are surely those over all images together.

    `images`: each (1, C, H, W) float32, as the network takes them. False also where too few
    channels or images tell, and where there are no running statistics.
    """
    norm = network.stem.norm
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None:
        return False
    assert norm.running_mean is not None
    means, variances = [], []
    with torch.inference_mode():
        for image in images:
            outputs = network.stem.conv(image).double()[0].flatten(1)
            means.append(outputs.mean(dim=1))
            variances.append(outputs.var(dim=1, unbiased=False))
    if len(means) < _ENOUGH_IMAGES:
        return False
    within = torch.stack(variances).mean(dim=0)
    of_all = within + torch.stack(means).var(dim=0, unbiased=False)
    running = norm.running_var.double()
    telling = (of_all > (1 + _APART) * within) & (within > 0) & (running > 0)
    off = (norm.running_mean.double() - torch.stack(means).mean(dim=0)).abs() / of_all.sqrt()
    if int(telling.sum()) < _ENOUGH_CHANNELS or float(off[telling].median()) > _SAME_MEANS:
        return False
    place = ((running / within).log() / (of_all / within).log())[telling]
    low, high = _OF_ALL
    nearer = float((place > 0.5).double().mean())
    return low <= float(place.median()) <= high and nearer >= _NEARER

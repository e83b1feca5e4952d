from __future__ import annotations

from collections import Counter

import pytest
import torch
from errors import SubmissionError
from models import normalization
from models.resnet import ResNet, ResNetConfig, count_parameters
from models.variants import NORMS, norm_in, norm_layer
from torch import nn

CONFIG = ResNetConfig(n=2, num_classes=25, widths=(16, 32, 64), size_px=32)
LAYERS = 1 + 2 * 6 + 2  # the first one, two a block, one a projection
OWN = {
    "bn": normalization.BatchNorm,
    "in": normalization.InstanceNorm,
    "bin": normalization.BatchInstanceNorm,
    "ln": normalization.LayerNorm,
    "gn": normalization.GroupNorm,
}


@pytest.mark.parametrize("norm", NORMS)
def test_every_normalisation_of_a_variant_is_its_own(norm: str) -> None:
    network = ResNet(CONFIG, norm_layer(norm))
    kinds = Counter(type(module) for module in network.modules())
    ready_made = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)
    assert sum(kinds[kind] for kind in ready_made) == (LAYERS if norm == "inbuilt" else 0)
    assert sum(kinds[kind] for kind in OWN.values()) == (LAYERS if norm in OWN else 0)
    if norm in OWN:
        assert kinds[OWN[norm]] == LAYERS
    biased = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    assert len(biased) == (LAYERS if norm == "nn" else 0)


def test_own_and_built_in_batch_normalisation_train_alike() -> None:
    """Section 2.4 in small: the same filters, the same batches, the same errors."""
    networks = []
    for norm in ("inbuilt", "bn"):
        torch.manual_seed(3)
        networks.append(ResNet(CONFIG, norm_layer(norm)).double())
    assert count_parameters(networks[0]) == count_parameters(networks[1])
    torch.manual_seed(4)
    images = torch.randn(6, 3, 32, 32, dtype=torch.float64)
    targets = torch.arange(6)
    losses = []
    for network in networks:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        found = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images), targets)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        found.append(network.eval()(images).sum().item())
        losses.append(found)
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    networks[1].load_state_dict(networks[0].state_dict())


@pytest.mark.parametrize(
    ("norm", "told"),
    [("inbuilt", "inbuilt"), ("bn", "inbuilt"), ("bin", "bin"), ("nn", "nn"), ("gn", None)],
)
def test_the_tensors_tell_what_they_can(norm: str, told: str | None) -> None:
    assert norm_in(ResNet(CONFIG, norm_layer(norm)).state_dict()) == told


def test_an_unknown_normalisation_is_named() -> None:
    with pytest.raises(SubmissionError, match='no normalisation "xn"; there are: inbuilt, bn'):
        norm_layer("xn")
    with pytest.raises(SubmissionError, match="--groups 5: 16 filters"):
        ResNet(CONFIG, norm_layer("gn", 5))

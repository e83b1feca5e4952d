from __future__ import annotations

import torch
from models.folding import fold_batch_norm
from models.resnet import ResNet, ResNetConfig
from torch import nn


def test_folded_network_computes_the_same_and_its_gradients() -> None:
    network = ResNet(ResNetConfig(n=1, num_classes=4, widths=(4, 6, 8))).double()
    for _ in range(3):  # running statistics that are worth folding
        network(torch.randn(8, 3, 16, 16, dtype=torch.float64) * 3 + 1)
    network.eval()
    folded = fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())

    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    results = []
    for model in (network, folded):
        leaf = images.clone().requires_grad_(True)
        logits = model(leaf)
        results.append((logits, torch.autograd.grad(logits[:, 1].sum(), leaf)[0]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-9)

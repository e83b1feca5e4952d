"""How well a network does on a set of images: loss, accuracy, micro and macro F1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.pixel_store import PixelStore
from data.scaling import scaled
from training.devices import Compute


@dataclass(frozen=True)
class Measured:
    """`loss`: the mean cross-entropy; `counts[t, p]`, (r, r) int64: images of class t called p."""

    loss: float
    counts: Tensor

    @property
    def accuracy(self) -> float:
        """In [0, 1]."""
        return self.counts.diagonal().sum().item() / self.counts.sum().item()

    @property
    def micro_f1(self) -> float:
        """F1 of all decisions taken together. Each image has one label and gets one: each miss is
        a false positive and a false negative, and micro F1 equals the accuracy."""
        return _f1(self.counts.diagonal().sum(), self.counts.sum(), self.counts.sum()).item()

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that occur or are predicted."""
        true, called = self.counts.sum(1), self.counts.sum(0)
        seen = (true + called) > 0
        return _f1(self.counts.diagonal(), true, called)[seen].mean().item()

    def to_row(self, split: str) -> dict[str, float]:
        """The four numbers under the names that metrics.csv has."""
        return {
            f"{split}_loss": self.loss,
            f"{split}_accuracy": self.accuracy,
            f"{split}_micro_f1": self.micro_f1,
            f"{split}_macro_f1": self.macro_f1,
        }


def _f1(hits: Tensor, true: Tensor, called: Tensor) -> Tensor:
    return 2 * hits.double() / (true + called).clamp(min=1)


@torch.inference_mode()
def measure_store(
    network: nn.Module,
    store: PixelStore,
    compute: Compute,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    batch_size: int = 64,
) -> Measured:
    """What `network`, put into evaluation mode, makes of a store, without augmentation."""
    network.eval()
    loss, counts = 0.0, None
    for start in range(0, len(store), batch_size):
        indices = torch.arange(start, min(start + batch_size, len(store)))
        images, targets = store.batch(indices, compute.device)
        with compute.precision():
            logits = network(scaled(images, mean, std)).float()
        loss += F.cross_entropy(logits, targets, reduction="sum").item()
        classes = logits.shape[1]
        cells = (targets * classes + logits.argmax(1)).cpu()
        batch = torch.bincount(cells, minlength=classes**2).view(classes, classes)
        counts = batch if counts is None else counts + batch
    assert counts is not None  # a store holds at least one image
    return Measured(loss / len(store), counts)

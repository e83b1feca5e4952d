from __future__ import annotations

import pytest
import torch
from data.pixel_store import PixelStore
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn
from training.devices import Compute
from training.measure import Measured, measure_store

CPU = Compute(torch.device("cpu"), None, False)


class _Brightness(nn.Module):
    """Calls an image by how bright it is."""

    def forward(self, images: Tensor) -> Tensor:
        level = images.mean(dim=(1, 2, 3), keepdim=False)
        return torch.stack([-(level - centre).square() for centre in (0.0, 0.5, 1.0)], dim=1)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_statistics_equal_scikit_learns(batch_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (11, 1, 1, 3), generator=generator, dtype=torch.uint8)
    pixels = pixels.expand(11, 4, 4, 3).contiguous()
    targets = torch.randint(0, 2, (11,), generator=generator)  # class 2 never occurs
    found = measure_store(
        _Brightness(), PixelStore(pixels, targets), CPU, (0, 0, 0), (1, 1, 1), batch_size
    )
    with torch.no_grad():
        logits = _Brightness()(pixels.permute(0, 3, 1, 2) / 255)
    preds = logits.argmax(1)
    assert found.accuracy == accuracy_score(targets, preds)
    assert found.micro_f1 == pytest.approx(f1_score(targets, preds, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(targets, preds, average="macro"))
    assert found.loss == pytest.approx(nn.functional.cross_entropy(logits, targets).item())


def test_a_class_that_neither_occurs_nor_is_called_does_not_count() -> None:
    counts = torch.tensor([[3, 0, 0], [1, 2, 0], [0, 0, 0]])
    assert Measured(0.0, counts).macro_f1 == pytest.approx((6 / 7 + 4 / 5) / 2)
    assert list(Measured(0.5, counts).to_row("val")) == [
        *("val_loss", "val_accuracy", "val_micro_f1", "val_macro_f1")
    ]

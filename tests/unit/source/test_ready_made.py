"""Ready-made normalisations in the source, by line; own classes of the same name are not."""

from __future__ import annotations

from pathlib import Path

from grader.source.ready_made import ready_made_norms

SOURCE = """\
import torch
from torch import nn
import torch.nn.functional as F
from torch.nn import GroupNorm as GN, Conv2d, LayerNorm

class BatchNorm2d(nn.Module):
    def forward(self, x):
        return F.batch_norm(x, None, None, training=True)

layers = [BatchNorm2d(), nn.BatchNorm2d(4), torch.nn.InstanceNorm2d(4), GN(2, 4), LayerNorm(4)]
layers += [nn.Conv2d(3, 4, 3), self.nn.group_norm, mine.batch_norm]
"""


def test_uses_are_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "resnet.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "null.py").write_bytes(b"x = 1\0")

    uses = ready_made_norms(tmp_path, ["broken.py", "null.py", "resnet.py", "missing.py"])

    assert uses == [
        ("resnet.py", 8, "batch_norm"),
        ("resnet.py", 10, "BatchNorm2d"),
        ("resnet.py", 10, "GN"),
        ("resnet.py", 10, "InstanceNorm2d"),
        ("resnet.py", 10, "LayerNorm"),
        ("resnet.py", 11, "group_norm"),
    ]

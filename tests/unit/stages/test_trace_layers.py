"""Ready-made layers are seen by what is computed, whatever they are called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grader.probes import inside
from grader.stages.trace_layers import LayersSeen, layers_of_module

PROGRAM = Path(inside.__file__).with_name("trace_inside.py")
SCRIPT = """
import sys
import torch
from torch import nn

class Own(nn.Module):
    def forward(self, x):
        return (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt()

class Disguised(nn.Module):
    def forward(self, x):
        return nn.functional.batch_norm(x, None, None, training=True)

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(
            nn.Conv2d(3, 4, 3), Own(), nn.Conv2d(4, 4, 3), LAYER, nn.Conv2d(4, 4, 3), Own()
        )
    def forward(self, x):
        return self.parts(x)

network = Network()
for _ in range(2):
    network(torch.rand(2, 3, 8, 8)).sum().backward()
assert sys.argv[1:] == ["a", "b"]
END
"""


@pytest.mark.parametrize(
    ("layer", "end", "classes"),
    [
        ("Own()", "", []),
        ("Disguised()", "", ["Disguised"]),
        ("nn.GroupNorm(2, 4)", "sys.exit(3)", ["GroupNorm"]),
        ("nn.Identity()", "raise ValueError('at the end')", []),
    ],
)
def test_what_runs_is_counted_by_module(
    tmp_path: Path, layer: str, end: str, classes: list[str]
) -> None:
    (tmp_path / "evaluate.py").write_text(SCRIPT.replace("LAYER", layer).replace("END", end))
    out = tmp_path / "layers.json"

    subprocess.run(
        [sys.executable, PROGRAM, out, "evaluate.py", "a", "b"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )

    assert json.loads(out.read_text("ascii")) == {
        "convolutions": 3,
        "ready_made": len(classes),
        "classes": classes,
    }


def test_a_whole_pickled_module_names_its_layers() -> None:
    classes = {"": "ResNet", "conv1": "Conv2d", "bn1": "BatchNorm2d", "gn": "GroupNorm"}

    assert layers_of_module(classes | {"own": "BatchNorm"}) == LayersSeen(
        1, 2, ("BatchNorm2d", "GroupNorm")
    )
    assert layers_of_module({}) is None

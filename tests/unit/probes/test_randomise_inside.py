"""Weights are drawn anew in every form of checkpoint that the grader evaluates."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grader.networks import unpickle
from grader.probes.inside.randomise_inside import main

LOADER = str(Path(unpickle.__file__).parent)


class Unknown:
    """An object of a class that the grader does not have."""

    def __init__(self) -> None:
        self.decay = 0.5


def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(4, 3, 3, 3, generator=generator) * 2,
        "conv.bias": torch.randn(4, generator=generator),
        "fc.weight": torch.randn(5, 4, generator=generator),
    }


def drawn(folder: Path, value: Any) -> tuple[int, Any]:
    torch.save(value, folder / "c.pth")
    code = main([str(folder / "c.pth"), str(folder / "drawn.pth"), "1", LOADER])
    if code:
        return code, None
    return code, torch.load(folder / "drawn.pth", weights_only=False)


def require_drawn(weights: dict[str, torch.Tensor]) -> None:
    before = state()
    assert list(weights) == list(before)
    assert torch.equal(weights["conv.bias"], before["conv.bias"])
    for name in ("conv.weight", "fc.weight"):
        assert weights[name].shape == before[name].shape
        assert not torch.equal(weights[name], before[name])
        assert 0.5 < float(weights[name].std() / before[name].std()) < 2


def test_a_bare_state_dict(tmp_path: Path) -> None:
    code, value = drawn(tmp_path, state())
    assert code == 0
    require_drawn(value)


@pytest.mark.parametrize(
    "beside",
    [
        {"best_acc": np.float64(0.5), "epoch": np.int64(3)},
        {"history": np.arange(6.0).reshape(2, 3)},
        {"args": argparse.Namespace(lr=0.1)},
        {"epoch": 3, "classes": ["a", "b"]},
    ],
)
def test_what_lies_beside_the_weights_stays(tmp_path: Path, beside: dict[str, Any]) -> None:
    code, value = drawn(tmp_path, {"state_dict": state(), **beside})
    assert code == 0
    require_drawn(value.pop("state_dict"))
    assert list(value) == list(beside)
    for key, held in beside.items():
        assert type(value[key]) is type(held)
        assert np.all(value[key] == held)


def test_objects_of_unknown_classes_are_left_out(tmp_path: Path) -> None:
    prefixed = {f"module.{name}": tensor for name, tensor in state().items()}
    checkpoint = {"model": {"net": prefixed}, "epoch": 3, "decay": Unknown()}
    code, value = drawn(tmp_path, checkpoint)
    assert code == 0
    assert value["epoch"] == 3
    weights = value["model"]["net"]
    require_drawn({name.removeprefix("module."): tensor for name, tensor in weights.items()})
    assert list(weights) == list(prefixed)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (torch.nn.Linear(3, 2), "no dictionary of tensors"),
        ({"epoch": 3}, "no weights"),
        ({"epoch": 3, "decay": Unknown()}, "no dictionary of tensors"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Any, says: str
) -> None:
    assert drawn(tmp_path, value) == (1, None)
    assert says in capsys.readouterr().err


def test_a_file_that_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.pth").write_text("the weights are on my drive")
    assert main([str(tmp_path / "c.pth"), str(tmp_path / "o.pth"), "1", LOADER]) == 1
    assert "it was not opened" in capsys.readouterr().err

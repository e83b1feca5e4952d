"""A program under weights drawn anew, in the sandbox, and why that may fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from grader.model import CaseRun, CaseStatus, CheckedLayout, RunLimits
from grader.sandbox import choose_backend
from grader.stages.randomise_weights import randomise_weights

LIMITS = RunLimits(600, 1200, 3 << 30, 64, 1 << 28, 8 << 20, 16, 1 << 16)
PROGRAM = """
import os, torch
weights = torch.load("c.pth", weights_only=True)["state_dict"]
assert weights["a.weight"].shape == (4, 3)
os.mkdir("maps")
open("maps/sum.txt", "w").write(str(float(weights["a.weight"].sum())))
"""
Layouts = Callable[..., CheckedLayout]


class Unknown:
    """An object of a class that the grader does not have."""

    def __init__(self) -> None:
        self.decay = 0.5


def run(
    layout_of: Layouts, folder: Path, value: Any, program: str = PROGRAM
) -> tuple[Path | None, str]:
    torch.save(value, folder / "value.pth")
    data = (folder / "value.pth").read_bytes()
    layout = layout_of({"c.pth": data, "evaluate.py": program.encode()})
    case = CaseRun(
        *("evaluate", ("python", "evaluate.py"), 0, CaseStatus.FINISHED, 0, None, "", 1.0, 1.0, 1),
        *("", "", False, False, folder, ""),
    )
    limits = (LIMITS, LIMITS)
    scratch = folder / "scratch"
    scratch.mkdir()
    return randomise_weights(
        layout, "c.pth", case, {}, "maps", limits, choose_backend(), scratch, dict(os.environ)
    )


@pytest.mark.parametrize("beside", [{"epoch": 3}, {"decay": Unknown()}])
def test_the_program_runs_with_other_weights(
    layout_of: Layouts, tmp_path: Path, beside: dict[str, Any]
) -> None:
    weights = {"a.weight": torch.arange(12.0).reshape(4, 3)}
    outputs, reason = run(layout_of, tmp_path, {"state_dict": weights, **beside})
    assert reason == ""
    assert outputs is not None
    assert float((outputs / "maps" / "sum.txt").read_text()) != 66.0


def test_a_checkpoint_that_cannot_be_drawn_anew_is_named(
    layout_of: Layouts, tmp_path: Path
) -> None:
    outputs, reason = run(layout_of, tmp_path, torch.nn.Linear(3, 4))
    assert outputs is None
    assert reason == (
        "the weights in c.pth were not drawn anew: it was not opened: it is no dictionary of "
        "tensors"
    )


def test_a_program_that_fails_says_so_itself(layout_of: Layouts, tmp_path: Path) -> None:
    weights = {"a.weight": torch.arange(12.0).reshape(4, 3)}
    program = "raise SystemExit('no maps today')"
    outputs, reason = run(layout_of, tmp_path, {"state_dict": weights}, program)
    assert outputs is None
    assert reason == "with weights drawn anew the program failed: no maps today"

"""The exact answers are PyTorch's own, forward and backward, and the judge knows its mistakes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grader.probes.judge import Returned, judge
from grader.probes.normalization import (
    BATCH,
    BATCH_INSTANCE,
    GROUP,
    INSTANCE,
    LAYER,
    Array,
    Call,
    Convention,
    Subject,
    exact,
)
from grader.probes.plan import CHANNELS, CHECKS, GROUPS, HEIGHT, WIDTH, Check, call_of, make_arrays

ARRAYS = make_arrays(3)


class ByChannels(nn.GroupNorm):
    """PyTorch's layer normalisation over (C, H, W) with a scale for each channel."""

    def __init__(self) -> None:
        super().__init__(1, CHANNELS)


class OverPositions(nn.Module):
    """Each position over its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class Mixed(nn.Module):
    """Batch-instance normalisation of PyTorch's two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = nn.BatchNorm2d(CHANNELS, affine=False)
        self.instance = nn.InstanceNorm2d(CHANNELS)
        self.weight = nn.Parameter(torch.ones(CHANNELS))
        self.bias = nn.Parameter(torch.zeros(CHANNELS))
        self.gate = nn.Parameter(torch.full((CHANNELS,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate.clamp(0, 1).view(1, -1, 1, 1)
        mixed = gate * self.batch(x) + (1 - gate) * self.instance(x)
        return mixed * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


LAYERS: list[tuple[Subject, Callable[[], nn.Module]]] = [
    (BATCH, lambda: nn.BatchNorm2d(CHANNELS)),
    (INSTANCE, lambda: nn.InstanceNorm2d(CHANNELS, affine=True)),
    (BATCH_INSTANCE, Mixed),
    (LAYER, ByChannels),
    (LAYER, OverPositions),
    (LAYER, lambda: nn.LayerNorm([CHANNELS, HEIGHT, WIDTH])),
    (GROUP, lambda: nn.GroupNorm(GROUPS, CHANNELS)),
    (GROUP, lambda: nn.GroupNorm(8, CHANNELS, eps=1e-6)),
]


def _returned(make: Callable[[], nn.Module], checks: tuple[Check, ...] = CHECKS) -> Returned:
    """What PyTorch's layer returns in every check, as the program inside would write it."""
    arrays: dict[str, np.ndarray] = {}
    gate = 1.0
    for check in checks:
        layer = make()
        named = {name.rpartition(".")[2]: p for name, p in layer.named_parameters()}
        gate = float(named["gate"].detach().mean()) if "gate" in named else 1.0
        if check.affine:
            with torch.no_grad():
                for name, parameter in named.items():
                    values = torch.from_numpy(ARRAYS[name])
                    if parameter.dim() == 3:
                        values = values.view(-1, 1, 1).expand(parameter.shape)
                    parameter.copy_(values)
        layer.train()
        for step in check.steps:
            layer(torch.from_numpy(ARRAYS[step]))
        layer.train(check.mode == "train")
        maps = torch.from_numpy(ARRAYS[check.input].copy()).requires_grad_(check.gradient)
        out = layer(maps)
        arrays[f"{check.id}/output"] = out.detach().double().numpy()
        if check.gradient:
            (out * torch.from_numpy(ARRAYS[check.weights])).sum().backward()
            arrays[f"{check.id}/grad.input"] = _numbers(maps.grad)
            for name, parameter in named.items():
                arrays[f"{check.id}/grad.{name}"] = _numbers(parameter.grad)
    return Returned(arrays, gate)


def _numbers(gradient: Tensor | None) -> np.ndarray:
    assert gradient is not None
    return gradient.double().numpy()


@pytest.mark.parametrize(("subject", "make"), LAYERS)
def test_pytorchs_own_layers_give_the_exact_answers(
    subject: Subject, make: Callable[[], nn.Module]
) -> None:
    judgement = judge(subject, CHECKS, ARRAYS, _returned(make))

    assert [c.check.id for c in judgement.checks if not c.passed] == []
    assert judgement.mistake == ""


def test_groups_and_conventions_are_told() -> None:
    eight = judge(GROUP, CHECKS, ARRAYS, _returned(LAYERS[-1][1]))
    positions = judge(LAYER, CHECKS, ARRAYS, _returned(OverPositions))
    running = judge(BATCH, CHECKS, ARRAYS, _returned(lambda: nn.BatchNorm2d(CHANNELS, eps=1e-3)))

    assert eight.groups == 8
    assert positions.convention == "each position is normalised over its channels"
    assert running.convention == "ε = 0.001"


class Unbiased(nn.Module):
    """The commonest mistake: torch.var divides by n − 1."""

    def forward(self, x: Tensor) -> Tensor:
        var = x.var((2, 3), keepdim=True)
        return (x - x.mean((2, 3), keepdim=True)) / torch.sqrt(var + 1e-5)


def test_a_mistake_is_named() -> None:
    judgement = judge(INSTANCE, CHECKS[:4], ARRAYS, _returned(Unbiased, CHECKS[:4]))

    assert judgement.passed == 0
    assert judgement.mistake.startswith("the variance is divided by n − 1")


def test_batch_statistics_in_evaluation_are_named() -> None:
    layer = lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False)  # noqa: E731
    judgement = judge(BATCH, CHECKS, ARRAYS, _returned(layer))

    failed = {checked.check.id for checked in judgement.checks if not checked.passed}
    assert failed == {"eval-8", "eval-1", "running"}
    assert "the images at hand" in judgement.mistake


@pytest.mark.parametrize(
    "given",
    [
        np.full((8, CHANNELS, HEIGHT, WIDTH), np.nan),
        np.zeros((8, CHANNELS)),
        np.zeros((8, CHANNELS, HEIGHT, WIDTH), dtype=np.int64),
        np.zeros(0),
    ],
)
def test_whatever_comes_back_is_judged(given: np.ndarray) -> None:
    judgement = judge(INSTANCE, CHECKS[:1], ARRAYS, Returned({"train-8/output": given}))

    assert judgement.passed == 0
    assert judgement.checks[0].deviation == float("inf")


@pytest.mark.parametrize("subject", [BATCH, INSTANCE, BATCH_INSTANCE, LAYER, GROUP])
def test_the_gradient_is_that_of_finite_differences(subject: Subject) -> None:
    """Independent of PyTorch: the exact gradient by the maps, in two directions."""
    generator = np.random.default_rng(1)
    maps: Array = generator.normal(size=(3, CHANNELS, 2, 3))
    upstream: Array = generator.normal(size=maps.shape)
    affine = {name: ARRAYS[name].astype(np.float64) for name in ("weight", "bias", "gate")}
    convention = Convention(groups=GROUPS if subject is GROUP else 0)

    def loss(moved: Array) -> float:
        call = Call(moved, True, (), affine)
        return float((exact(subject, convention, call)["output"] * upstream).sum())

    gradient = exact(subject, convention, Call(maps, True, (), affine, upstream))["grad.input"]
    for _ in range(2):
        direction = generator.normal(size=maps.shape)
        step = 1e-6
        slope = (loss(maps + step * direction) - loss(maps - step * direction)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_the_checks_ask_what_they_say() -> None:
    call = call_of(CHECKS[5], ARRAYS)

    assert not call.training
    assert len(call.steps) == 3
    assert CHECKS[5].asked().keys() >= {"id", "mode", "input", "steps", "affine", "gradient"}

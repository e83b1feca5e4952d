"""Numbers that cannot come from training are found, and trained ones are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.checkpoints.students import (
    PLANS,
    Plan,
    StateDict,
    Student,
    arrays_of,
    as_saved,
    make_student,
    shapes_of,
)
from grader.networks.check_weights import check_weights
from grader.networks.read_shape import read_shape


def codes(state: StateDict) -> list[str]:
    layers = read_shape(shapes_of(state)).layers
    return [f.code.removeprefix("checkpoint.") for f in check_weights(arrays_of(state), layers)]


@pytest.mark.parametrize("plan_name", PLANS)
def test_trained_weights_give_no_finding(plan_name: str) -> None:
    assert codes(as_saved(make_student(PLANS[plan_name]))) == []


@pytest.mark.parametrize("norm", ["batch", "scratch-batch", "batch-instance", "group", "instance"])
def test_initial_weights_are_found(norm: str) -> None:
    assert codes(as_saved(Student(Plan(norm=norm)))) == ["untrained"]


def test_statistics_that_no_training_step_touched_are_found() -> None:
    state = as_saved(make_student())
    for name, tensor in state.items():
        if name.endswith(("running_mean", "running_var")):
            tensor.fill_(float(name.endswith("var")))
    assert codes(state) == ["untrained"]


def test_a_single_step_is_training() -> None:
    student = Student(Plan()).train()
    optimiser = torch.optim.SGD(student.parameters(), lr=0.01)
    student(torch.randn(4, 3, 16, 16)).square().sum().backward()
    optimiser.step()
    assert codes(as_saved(student)) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_counted_and_named(value: float) -> None:
    state = as_saved(make_student())
    state["layer2.0.conv1.weight"][0, 0, 0, :2] = value
    layers = read_shape(shapes_of(state)).layers
    (finding,) = check_weights(arrays_of(state), layers)
    assert finding.code == "checkpoint.not-finite"
    assert "2 numbers in 1 tensors" in finding.message
    assert "layer2.0.conv1.weight" in finding.message


def test_numbers_of_any_tensors_are_looked_at() -> None:
    (finding,) = check_weights({"x": np.array([1.0, np.nan], np.float32)}, None)
    assert finding.code == "checkpoint.not-finite"
    assert check_weights({"x": np.array([1, 2])}, None) == ()


def test_constant_and_whole_numbers_are_found() -> None:
    state = as_saved(make_student())
    state["conv1.weight"] = torch.zeros_like(state["conv1.weight"])
    assert codes(state) == ["constant-weights"]
    state["conv1.weight"] = torch.ones(8, 3, 3, 3, dtype=torch.int8)
    assert codes(state) == ["integer-weights"]

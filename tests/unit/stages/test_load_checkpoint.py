"""What becomes of the loader's outcome, whatever it is, and that nothing it leaves is believed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fixtures.checkpoints.students import Plan, Student, as_saved, make_student
from grader.errors import InternalFault, SandboxError
from grader.model import (
    CaseStatus,
    CheckedLayout,
    CheckpointSpec,
    Finding,
    LoadedCheckpoint,
    RunLimits,
)
from grader.networks.unpickle.loader_inside import (
    EXIT_MEMORY,
    EXIT_NO_TORCH,
    READING_NAME,
    WEIGHTS_NAME,
    main,
)
from grader.sandbox import Backend, Command, Outcome, choose_backend
from grader.stages.load_checkpoint import load_checkpoint

LIMITS = RunLimits(60, 120, 3 << 30, 64, 1 << 28, 8 << 20, 16, 1 << 16)
SPEC = CheckpointSpec(
    role="checkpoint",
    network="resnet_6n2",
    limits=LIMITS,
    constraints={"n": 1, "widths": [4, 8], "num_classes": "classes", "norm": ["batch"]},
    preprocessing=(),
)
PLAN = Plan(n=1, widths=(4, 8))
Layouts = Callable[..., CheckedLayout]


class FakeBackend:
    """Runs the loader as a function where a real back end would start a process."""

    name = "fake"
    isolation = "none"

    def __init__(self, forge: Callable[[Path], Any] | None = None, **outcome: Any) -> None:
        self.forge = forge
        self.outcome = outcome
        self.commands: list[Command] = []

    def run(self, command: Command) -> Outcome:
        self.commands.append(command)
        code: int | None = 0
        if self.forge is not None:
            self.forge(command.outputs)
        elif not self.outcome:
            checkpoint = command.mounts[command.argv[2]]
            code = main([str(checkpoint), str(command.outputs), command.argv[4]])
        return dataclasses.replace(
            Outcome(
                status=CaseStatus.FINISHED if code == 0 else CaseStatus.FAILED,
                exit_code=code,
                signal=None,
                limit="",
                wall_seconds=1.0,
                cpu_seconds=1.0,
                peak_memory_bytes=1,
                stdout="",
                stderr="",
                stdout_truncated=False,
                stderr_truncated=False,
                collected=(),
                refused=(),
                backend="fake",
            ),
            **self.outcome,
        )


@pytest.fixture
def saved(layout_of: Layouts, tmp_path: Path) -> Callable[..., CheckedLayout]:
    """The layout of a submission whose checkpoint is `value`, saved by torch."""

    def save(value: Any, base: str = "") -> CheckedLayout:
        torch.save(value, tmp_path / "value.pth")
        data = (tmp_path / "value.pth").read_bytes()
        return layout_of({"resnet_model.pth": data}, base=base)

    return save


def load(
    layout: CheckedLayout, tmp_path: Path, backend: Any = None, **more: Any
) -> tuple[LoadedCheckpoint | None, tuple[Finding, ...]]:
    return load_checkpoint(layout, SPEC, backend or FakeBackend(), tmp_path / "scratch", **more)


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code.removeprefix("checkpoint.") for finding in findings]


def test_a_state_dict_as_asked_for_gives_no_finding(saved: Any, tmp_path: Path) -> None:
    loaded, findings = load(saved(as_saved(make_student(PLAN))), tmp_path)
    assert findings == ()
    assert loaded is not None
    assert loaded.shape is not None
    assert (loaded.shape.n, loaded.shape.widths) == (1, (4, 8))
    assert loaded.wrapper == "state_dict"
    assert loaded.path == "resnet_model.pth"
    assert len(loaded.sha256) == 64
    assert loaded.tensors.is_relative_to(tmp_path / "scratch")


def test_nothing_but_the_loader_and_the_checkpoint_is_shown(saved: Any, tmp_path: Path) -> None:
    backend = FakeBackend()
    layout = saved(as_saved(make_student(PLAN)), base="a2")
    load(layout, tmp_path, backend)
    (command,) = backend.commands
    assert sorted(command.mounts) == ["/loader/unpickle", "/weights/checkpoint"]
    assert command.mounts["/weights/checkpoint"] == layout.top / "resnet_model.pth"
    assert list(command.workdir.iterdir()) == []
    assert command.limits is LIMITS


def test_a_checkpoint_that_training_left_takes_precedence(saved: Any, tmp_path: Path) -> None:
    layout = saved(as_saved(make_student(PLAN)))
    torch.save(
        as_saved(make_student(Plan(n=1, widths=(4, 8), num_classes=3))), tmp_path / "new.pth"
    )
    loaded, _ = load(layout, tmp_path, trained=tmp_path / "new.pth")
    assert loaded is not None
    assert loaded.shape is not None
    assert loaded.shape.num_classes == 3
    assert loaded.path == "new.pth"


def test_no_checkpoint_is_no_finding_of_this_stage(layout_of: Layouts, tmp_path: Path) -> None:
    assert load(layout_of({"train.py": ""}), tmp_path) == (None, ())


def test_what_was_forgiven_is_said(saved: Any, tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in make_student(PLAN).state_dict().items()}
    value = {"net": state | {"loss.weight": torch.ones(9)}, "names": ["B", "A"]}
    loaded, findings = load(saved(value), tmp_path)
    assert codes(findings) == ["wrapped", "left-out"]
    assert "'net'" in findings[0].message
    assert "'module.'" in findings[0].message
    assert "loss.weight" in findings[1].message
    assert loaded is not None
    assert loaded.wrapper == "net"
    assert loaded.metadata == {"names": ["B", "A"]}


def test_a_whole_module_is_read_and_marked(saved: Any, tmp_path: Path) -> None:
    loaded, findings = load(saved(make_student(PLAN)), tmp_path)
    assert codes(findings) == ["whole-module"]
    assert "Student" in findings[0].message
    assert loaded is not None
    assert loaded.wrapper == "module"
    assert loaded.module_classes["layer2.0.shortcut.1"].endswith("BatchNorm2d")


def test_a_safetensors_file_needs_no_sandbox(layout_of: Layouts, tmp_path: Path) -> None:
    save_file(make_student(PLAN).state_dict(), tmp_path / "x")
    layout = layout_of({"resnet_model.pth": (tmp_path / "x").read_bytes()})
    backend = FakeBackend()
    loaded, findings = load(layout, tmp_path, backend)
    assert findings == ()
    assert backend.commands == []
    assert loaded is not None
    assert loaded.wrapper == "safetensors"


def test_a_safetensors_file_that_lies_is_refused(layout_of: Layouts, tmp_path: Path) -> None:
    save_file({"a": torch.ones(4)}, tmp_path / "x")
    layout = layout_of({"resnet_model.pth": (tmp_path / "x").read_bytes() + b"more"})
    loaded, findings = load(layout, tmp_path)
    assert loaded is None
    assert codes(findings) == ["damaged"]


# --------------------------------------------------------------------------- what is wrong with it


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (Plan(n=2, widths=(4, 8)), "wrong-depth"),
        (Plan(n=1, widths=(4, 8), norm="none"), "wrong-norm"),
    ],
)
def test_deviations_name_the_file(saved: Any, tmp_path: Path, plan: Plan, code: str) -> None:
    loaded, findings = load(saved(as_saved(make_student(plan))), tmp_path)
    assert loaded is not None
    assert codes(findings) == [code]
    assert findings[0].place is not None
    assert findings[0].place.path == "resnet_model.pth"


def test_the_number_of_classes_comes_from_the_assignment(saved: Any, tmp_path: Path) -> None:
    _, findings = load(saved(as_saved(make_student(PLAN))), tmp_path, num_classes=100)
    assert codes(findings) == ["wrong-classes"]
    assert "10 outputs, expected 100 classes" in findings[0].message


def test_untrained_weights_and_other_networks_are_found(saved: Any, tmp_path: Path) -> None:
    _, findings = load(saved(dict(Student(PLAN).state_dict())), tmp_path)
    assert codes(findings) == ["untrained"]
    loaded, findings = load_checkpoint(
        saved(dict(torch.nn.Linear(3, 4).state_dict())), SPEC, FakeBackend(), tmp_path / "other"
    )
    assert codes(findings) == ["not-a-resnet"]
    assert loaded is not None
    assert loaded.shape is None


def test_other_types_and_numbers_are_found(saved: Any, tmp_path: Path) -> None:
    state = {k: v.half() for k, v in make_student(PLAN).state_dict().items()}
    state["fc.bias"][0] = float("nan")
    loaded, findings = load(saved(state), tmp_path)
    assert codes(findings) == ["not-finite", "other-type"]
    assert loaded is not None
    assert "F16" in findings[1].message


def test_one_refused_tensor_refuses_the_checkpoint(saved: Any, tmp_path: Path) -> None:
    state = as_saved(make_student(PLAN)) | {"x": torch.eye(3).to_sparse()}
    loaded, findings = load(saved(state), tmp_path)
    assert loaded is None
    assert codes(findings) == ["refused-tensor"]
    assert findings[0].message.startswith("x: ")


# --------------------------------------------------------------------------- how the loader ended


@pytest.mark.parametrize(
    ("outcome", "code", "says"),
    [
        ({"status": CaseStatus.WALL_TIME, "limit": "60 s passed"}, "limit", "60 s passed"),
        ({"status": CaseStatus.MEMORY, "limit": "3 GiB"}, "limit", "3 GiB"),
        ({"status": CaseStatus.FAILED, "exit_code": EXIT_MEMORY}, "limit", "memory"),
        (
            {"status": CaseStatus.FAILED, "exit_code": 1, "stderr": "Traceback\nValueError: x\n"},
            "loader-stopped",
            "exit code 1: ValueError: x",
        ),
        (
            {"status": CaseStatus.KILLED, "exit_code": None, "signal": 11, "stderr": ""},
            "loader-stopped",
            "signal 11",
        ),
        ({"status": CaseStatus.FINISHED, "exit_code": 0}, "loader-stopped", "no usable reading"),
    ],
)
def test_how_the_loader_ended_is_told(
    saved: Any, tmp_path: Path, outcome: dict[str, Any], code: str, says: str
) -> None:
    layout = saved(as_saved(make_student(PLAN)))
    loaded, findings = load(layout, tmp_path, FakeBackend(**outcome))
    assert loaded is None
    assert codes(findings) == [code]
    assert says in findings[0].message


def test_a_missing_torch_is_the_graders_fault(saved: Any, tmp_path: Path) -> None:
    backend = FakeBackend(status=CaseStatus.FAILED, exit_code=EXIT_NO_TORCH)
    with pytest.raises(InternalFault, match="torch"):
        load(saved(as_saved(make_student(PLAN))), tmp_path, backend)


# --------------------------------------------------------------------------- forged outputs


def forged(reading: Any, weights: bytes | None = None) -> Callable[[Path], None]:
    def forge(outputs: Path) -> None:
        text = reading if isinstance(reading, bytes) else json.dumps(reading).encode()
        (outputs / READING_NAME).write_bytes(text)
        if weights is not None:
            (outputs / WEIGHTS_NAME).write_bytes(weights)

    return forge


GOOD: dict[str, Any] = {"problems": [], "notes": []}


@pytest.mark.parametrize(
    "reading",
    [
        b"",
        b"\xff",
        b"[" * 10_000,
        b"NaN",
        [],
        {},
        {"problems": []},
        {"problems": {}, "notes": []},
        {"problems": [["checkpoint.empty", "x"]], "notes": []},
        {"problems": [["checkpoint.invented", "x", None]], "notes": []},
        {"problems": [["zip.encrypted", "x", None]], "notes": []},
        {"problems": [[5, "x", None]], "notes": []},
        {"problems": [["checkpoint.empty", "x", None]] * 1000, "notes": []},
        GOOD | {"wrapper": 5},
        GOOD | {"wanted": [5]},
        GOOD | {"dropped": "x"},
        GOOD | {"dropped_count": True},
        GOOD | {"classes": {"a": 5}},
        GOOD | {"metadata": []},
        GOOD | {"whole_module": "yes"},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_forged_reading_is_not_believed(saved: Any, tmp_path: Path, reading: Any) -> None:
    layout = saved(as_saved(make_student(PLAN)))
    loaded, findings = load(layout, tmp_path, FakeBackend(forged(reading)))
    assert loaded is None
    assert codes(findings) == ["loader-stopped"]


@pytest.mark.parametrize("weights", [None, b"", b"\0" * 8, b"\x02" + b"\0" * 7 + b"{}extra"])
def test_forged_weights_are_not_believed(saved: Any, tmp_path: Path, weights: bytes | None) -> None:
    layout = saved(as_saved(make_student(PLAN)))
    loaded, findings = load(layout, tmp_path, FakeBackend(forged(GOOD, weights)))
    assert loaded is None
    assert codes(findings) == ["damaged"]


def test_text_of_the_loader_cannot_reach_a_terminal(saved: Any, tmp_path: Path) -> None:
    nasty = "\x1b[2J\r\n\u202e" * 200
    reading = {"problems": [["checkpoint.refused-tensor", nasty, nasty]], "notes": []}
    _, findings = load(saved(as_saved(make_student(PLAN))), tmp_path, FakeBackend(forged(reading)))
    message = findings[0].message
    assert message.isprintable()
    assert len(message) < 1000


# --------------------------------------------------------------------------- the real sandbox


@pytest.fixture(scope="module")
def real_backend() -> Backend:
    try:
        return choose_backend()
    except SandboxError as error:
        pytest.skip(f"no sandbox works here: {error.message}")


def test_the_real_sandbox_gives_the_same(saved: Any, tmp_path: Path, real_backend: Backend) -> None:
    layout = saved({"model": make_student(PLAN), "epoch": 3})
    here, findings = load(layout, tmp_path)
    inside, noted = load_checkpoint(layout, SPEC, real_backend, tmp_path / "real")
    assert here is not None
    assert inside is not None
    assert findings == noted
    assert here.tensors.read_bytes() == inside.tensors.read_bytes()
    assert dataclasses.replace(here, tensors=inside.tensors) == inside

"""Whatever comes back from the sandbox is a stranger's: garbage is a finding, never a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from grader.assignments.load import load_assignment
from grader.model import Assignment, CaseStatus, CheckedLayout
from grader.sandbox.policy import Command, Isolation, Outcome
from grader.stages.run_probes import run_probes

ENDED = Outcome(CaseStatus.FINISHED, 0, None, "", 1.0, 1.0, 1, "", "", False, False, (), (), "fake")
LayoutOf = Callable[..., CheckedLayout]


class FakeBackend:
    """Leaves what it is told to leave, as a hostile program inside could."""

    name = "fake"
    isolation: Isolation = "none"
    description = "a fake"

    def __init__(self, answers: Mapping[str, bytes], outcome: Outcome = ENDED) -> None:
        self.answers = answers
        self.outcome = outcome
        self.commands: list[Command] = []

    def run(self, command: Command) -> Outcome:
        self.commands.append(command)
        folder = command.outputs / "answers"
        folder.mkdir()
        for name, data in self.answers.items():
            (folder / name).write_bytes(data)
        return self.outcome


@pytest.fixture
def one_layer() -> Assignment:
    loaded = load_assignment("col775-a1")
    return replace(loaded, probes=tuple(p for p in loaded.probes if p.id == "layer-bn"))


@pytest.fixture
def layout(layout_of: LayoutOf) -> CheckedLayout:
    made = layout_of({"evaluate.py": "", "normalization.py": ""})
    roles = {**made.roles, "normalization": "normalization.py"}
    return CheckedLayout(made.unpacked, made.base, roles, ())


def _seen(**probe: Any) -> bytes:
    probe = {"missing": False, "class": "BatchNorm", "errors": {}, "ready_made": [], **probe}
    return json.dumps({"import_error": "", "probes": {"layer-bn": probe}}).encode()


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({}, "result.layer-stopped"),
        ({"probes.json": b"\x00" * 100}, "result.layer-stopped"),
        ({"probes.json": b"[]"}, "result.layer-absent"),
        ({"probes.json": b'{"probes": {"layer-bn": []}}'}, "result.layer-absent"),
        ({"probes.json": _seen(missing=True)}, "result.layer-absent"),
        ({"probes.json": _seen(), "layer-bn.safetensors": b"nonsense"}, "result.layer-stopped"),
        ({"probes.json": _seen()}, "result.layer-differs"),
        ({"probes.json": _seen(errors=[1], bases="x", parts=3, defaults={"gate": "nan"})},
         "result.layer-differs"),
        ({"probes.json": json.dumps({"import_error": "ValueError: \x1b[2J"}).encode()},
         "result.layer-stopped"),
    ],
)  # fmt: skip
def test_garbage_is_a_finding(
    layout: CheckedLayout,
    one_layer: Assignment,
    tmp_path: Path,
    answers: dict[str, bytes],
    code: str,
) -> None:
    probed, findings = run_probes(layout, one_layer, FakeBackend(answers), tmp_path / "s", {})

    codes = [finding.code for finding in findings]
    assert code in codes or (code == "result.layer-absent" and probed[0].judgement is None)
    assert "\x1b" not in "".join(finding.message for finding in findings)
    assert [one.spec.id for one in probed] == ["layer-bn"]


def test_a_limit_is_told_as_one(
    layout: CheckedLayout, one_layer: Assignment, tmp_path: Path
) -> None:
    stopped = replace(ENDED, status=CaseStatus.WALL_TIME, limit="stopped after 180 s")

    _, findings = run_probes(layout, one_layer, FakeBackend({}, stopped), tmp_path / "s", {})

    assert [f.message for f in findings] == ["stopped after 180 s"]


def test_wrong_arrays_fail_every_check(
    layout: CheckedLayout, one_layer: Assignment, tmp_path: Path
) -> None:
    arrays = save({"train-8/output": np.zeros((8, 16, 5, 7)), "eval-8/output": np.full(3, np.nan)})
    backend = FakeBackend({"probes.json": _seen(), "layer-bn.safetensors": arrays})

    probed, findings = run_probes(layout, one_layer, backend, tmp_path / "s", {})

    assert probed[0].judgement is not None
    assert probed[0].judgement.passed == 0
    assert "in 8 of 8 checks" in findings[0].message


def test_nothing_that_answers_is_shown_inside(
    layout: CheckedLayout, one_layer: Assignment, tmp_path: Path
) -> None:
    """The program inside gets inputs and no exact answer, and no folder of the truth."""
    backend = FakeBackend({})

    run_probes(layout, one_layer, backend, tmp_path / "s", {})

    (command,) = backend.commands
    assert set(command.mounts) == {"/probe", "/request"}
    programs = {path.name for path in command.mounts["/probe"].glob("*.py")}
    assert programs == {"__init__.py"} | {
        f"{name}_inside.py" for name in ("probe", "trace", "randomise")
    }
    shown = {path.name for path in command.mounts["/request"].iterdir()}
    assert shown == {"arrays.safetensors", "request.json"}
    request = json.loads((command.mounts["/request"] / "request.json").read_text("ascii"))
    assert not [key for check in request["probes"][0]["checks"] for key in check if "toler" in key]


def test_a_missing_file_runs_nothing(
    layout_of: LayoutOf, one_layer: Assignment, tmp_path: Path
) -> None:
    backend = FakeBackend({})

    probed, findings = run_probes(
        layout_of({"evaluate.py": ""}), one_layer, backend, tmp_path / "s", {}
    )

    assert backend.commands == []
    assert findings == ()
    assert probed[0].judgement is None

"""Checkpoints that attack: no code runs, nothing grows past its limit, harmless weights survive."""

from __future__ import annotations

import dataclasses
import pickle
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.checkpoints.hostile import (
    CALLS,
    CODE,
    HOSTILE,
    OPCODES,
    HostileCheckpoint,
    harmless_weights,
    write_archive,
)
from fixtures.checkpoints.students import Plan, make_student
from grader.assignments.load import load_assignment
from grader.errors import SandboxError
from grader.model import (
    CheckedLayout,
    CheckpointSpec,
    Finding,
    InspectedZip,
    LoadedCheckpoint,
    Severity,
    UnpackedTree,
)
from grader.networks.unpickle.loader_inside import WEIGHTS_NAME, read_checkpoint
from grader.readers.safetensors_file import read_safetensors
from grader.sandbox import Backend, choose_backend
from grader.stages.load_checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.attack,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

MAX_BYTES = 16 << 20


def _read(path: Path) -> dict[str, Any]:
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    return read_checkpoint(path, out, MAX_BYTES)


def _assert_unharmed(weights: Path) -> None:
    tensors = read_safetensors(weights, 2 * MAX_BYTES).tensors
    for name, tensor in harmless_weights().items():
        assert torch.equal(torch.from_numpy(tensors[name].copy()), tensor), name


@pytest.mark.parametrize("name", HOSTILE)
def test_an_attack_is_refused_or_passed_over(tmp_path: Path, name: str) -> None:
    attack: HostileCheckpoint = HOSTILE[name]
    canary = tmp_path / "canary"
    attack.write(tmp_path / "x.pth", canary)
    before = {path.name for path in tmp_path.iterdir()}
    reading = _read(tmp_path / "x.pth")
    assert not canary.exists()
    assert {path.name for path in tmp_path.iterdir()} == before | {"out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {WEIGHTS_NAME}
    codes = {code for code, _, _ in reading["problems"]}
    if attack.expected == "any refusal":
        assert codes <= {"checkpoint.no-weights", "checkpoint.damaged"}
        assert codes
    elif attack.expected:
        assert codes == {attack.expected}
    else:
        assert not codes
        _assert_unharmed(tmp_path / "out" / WEIGHTS_NAME)


# What needs nothing beside the canary's folder, so that it can be let loose here.
_EFFECTIVE = {
    *(f"{name} beside the weights" for name in (
        "os.system", "os.mkdir", "subprocess", "eval", "exec", "open", "partial", "map", "runpy",
        "pickle.loads", "methodcaller", "torch.save",
    )),
    *(f"opcodes: {name}" for name in (
        "REDUCE", "INST", "OBJ", "STACK_GLOBAL", "a name with dots",
        "builtins by their old name", "BUILD sets a setstate", "a persistent id that is a call",
    )),
    "in a module",
    "in a plain pickle",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(_EFFECTIVE))
def test_the_attack_would_work_on_who_trusts_it(tmp_path: Path, name: str) -> None:
    """Otherwise the corpus would prove nothing."""
    canary = tmp_path / "canary"
    CODE[name].write(tmp_path / "x.pth", canary)
    try:
        if name == "in a plain pickle":
            pickle.loads((tmp_path / "x.pth").read_bytes())
        else:
            torch.load(tmp_path / "x.pth", weights_only=False)
    except Exception:  # noqa: BLE001 - what the pickle makes is of no use; the canary is
        assert canary.exists()
    assert canary.exists()


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(CALLS) >= 20
    assert len(OPCODES) >= 20
    assert len(HOSTILE) >= 90


# --------------------------------------------------------------------------- damage


def _good(path: Path, kind: str) -> None:
    value: Any = make_student(Plan(n=1, widths=(2, 4), num_classes=3))
    if kind != "module":
        value = value.state_dict()
    if kind == "pickle":
        path.write_bytes(pickle.dumps(value, 4))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=kind != "legacy")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(["zip", "legacy", "module", "pickle"]))
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    path = tmp_path / "x.pth"
    _good(path, kind)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    reading = _read(path)
    if not reading["problems"]:
        read_safetensors(tmp_path / "out" / WEIGHTS_NAME, 2 * MAX_BYTES)


def test_a_flipped_bit_in_a_weight_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"w": torch.arange(1000, dtype=torch.float32)}, path)
    content = bytearray(path.read_bytes())
    place = bytes(content).index(struct.pack("<f", 500.0))
    content[place] ^= 1
    path.write_bytes(bytes(content))
    reading = _read(path)
    assert [code for code, _, _ in reading["notes"]] == ["checkpoint.checksum"]


@pytest.mark.parametrize("opcode", [b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\x7f"], ids=["put", "get"])
def test_a_memo_of_two_thousand_million_entries_takes_no_memory(
    tmp_path: Path, opcode: bytes
) -> None:
    path = tmp_path / "x.pth"
    write_archive(path, b"\x80\x02cargparse\nNamespace\n)R" + opcode + b".", {})
    start = time.process_time()
    assert _read(path)["problems"]
    assert time.process_time() - start < 5


# --------------------------------------------------------------------------- in the sandbox


@pytest.fixture(scope="module")
def backend() -> Backend:
    try:
        return choose_backend()
    except SandboxError as error:
        pytest.skip(f"no sandbox works here: {error.message}")


@pytest.fixture(scope="module")
def spec() -> CheckpointSpec:
    spec = load_assignment("ail721-a2").checkpoint
    assert spec is not None
    limits = dataclasses.replace(
        spec.limits, memory_bytes=3 << 29, file_bytes=MAX_BYTES, wall_seconds=60
    )
    return dataclasses.replace(spec, limits=limits, constraints={})


def _load(
    path: Path, spec: CheckpointSpec, backend: Backend
) -> tuple[LoadedCheckpoint | None, tuple[Finding, ...]]:
    inspected = InspectedZip(path, "", 0, None, (), ())
    layout = CheckedLayout(
        UnpackedTree(inspected, path.parent, (), ()), "", {spec.role: path.name}, ()
    )
    return load_checkpoint(layout, spec, backend, path.parent / "scratch")


@pytest.mark.parametrize(
    "name",
    ["os.system beside the weights", "in a module", "eval beside the weights (older format)"],
)
def test_code_does_not_run_in_the_sandbox_either(
    tmp_path: Path, spec: CheckpointSpec, backend: Backend, name: str
) -> None:
    canary = tmp_path / "canary"
    CODE[name].write(tmp_path / "x.pth", canary)
    loaded, findings = _load(tmp_path / "x.pth", spec, backend)
    assert not canary.exists()
    assert loaded is not None
    assert loaded.shape is not None
    assert loaded.shape.n == 1
    assert {f.code for f in findings} & {"checkpoint.whole-module", "checkpoint.extra-classes"}
    _assert_unharmed(loaded.tensors)


def _allocates(path: Path, gigabytes: int) -> None:
    """A few hundred bytes that ask for as much memory as they like, by a type torch allows."""
    size = pickle.dumps(gigabytes << 30, 2)[2:-1]
    body = b"]" + b"".join(b"cbuiltins\nbytearray\n" + size + b"\x85Ra" for _ in range(4))
    write_archive(path, b"\x80\x02" + body + b".", {})


@pytest.mark.parametrize("gigabytes", [2, 1 << 20])
def test_memory_that_a_checkpoint_asks_for_is_the_sandboxs(
    tmp_path: Path, spec: CheckpointSpec, backend: Backend, gigabytes: int
) -> None:
    _allocates(tmp_path / "x.pth", gigabytes)
    assert (tmp_path / "x.pth").stat().st_size < 1000
    loaded, findings = _load(tmp_path / "x.pth", spec, backend)
    assert loaded is None
    assert [finding.severity for finding in findings] == [Severity.ERROR]

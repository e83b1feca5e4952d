"""The program that runs inside the sandbox, called as a function: what it reads and what it says."""

from __future__ import annotations

import argparse
import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fixtures.checkpoints.students import Plan, Student, as_saved, make_student
from grader.networks.unpickle.loader_inside import (
    EXIT_MEMORY,
    EXIT_NO_TORCH,
    READING_NAME,
    WEIGHTS_NAME,
    main,
    read_checkpoint,
)

MAX_BYTES = 8 << 20

# torch wonders about protocols that it does not write itself.
pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


@pytest.fixture(scope="module")
def student() -> Student:
    return make_student(Plan(n=1, widths=(4, 8)))


def read(path: Path) -> dict[str, Any]:
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    return read_checkpoint(path, out, MAX_BYTES)


def saved(value: Any, path: Path, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


def assert_weights(path: Path, expected: dict[str, torch.Tensor]) -> None:
    weights = load_file(path.parent / "out" / WEIGHTS_NAME)
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        assert weights[name].dtype == tensor.dtype
        assert torch.equal(weights[name], tensor)


def wrapped_lightning(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {
        "epoch": 9,
        "global_step": 4711,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {f"model.{name}": tensor for name, tensor in state.items()}
        | {"criterion.weight": torch.ones(10)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(64, 64)}}, "param_groups": []}],
        "lr_schedulers": [],
        "hyper_parameters": argparse.Namespace(lr=0.1, classes=["A", "B"]),
    }


WRAPPERS: dict[str, tuple[Any, str, str]] = {
    "bare": (lambda state: state, "", ""),
    "ordered": (OrderedDict, "", ""),
    "model_state_dict": (lambda s: {"model_state_dict": s, "epoch": 3}, "model_state_dict", ""),
    "state_dict": (lambda s: {"epoch": 3, "state_dict": s}, "state_dict", ""),
    "model": (lambda s: {"model": s, "optimizer": {"state": s}}, "model", ""),
    "net": (lambda s: {"net": s, "acc": 0.9}, "net", ""),
    "another key": (lambda s: {"resnet14": s}, "resnet14", ""),
    "two levels": (lambda s: {"checkpoint": {"model": s}}, "checkpoint.model", ""),
    "a list": (lambda s: [s, ["A", "B"]], "0", ""),
    "best and last": (
        lambda s: {"ema": {k: v * 0 for k, v in s.items()}, "model": s},
        "model",
        "",
    ),
    "data parallel": (lambda s: {f"module.{k}": v for k, v in s.items()}, "", "module."),
    "compiled": (lambda s: {f"_orig_mod.{k}": v for k, v in s.items()}, "", "_orig_mod."),
    "both": (
        lambda s: {"model": {f"module._orig_mod.{k}": v for k, v in s.items()}},
        "model",
        "module._orig_mod.",
    ),
    "lightning": (wrapped_lightning, "state_dict", "model."),
    "class weights beside": (
        lambda s: {"model_state_dict": s, "class_weights": torch.rand(10)},
        "model_state_dict",
        "",
    ),
    "confusion matrix beside": (
        lambda s: {"model_state_dict": s, "confusion": torch.rand(10, 10)},
        "model_state_dict",
        "",
    ),
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_taken_off(
    tmp_path: Path, student: Student, wrapper: str, legacy: bool
) -> None:
    wrap, key, prefix = WRAPPERS[wrapper]
    state = as_saved(student)
    path = saved(wrap(state), tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    reading = read(path)
    assert reading["problems"] == []
    assert (reading["wrapper"], reading["prefix"]) == (key, prefix)
    assert_weights(path, state)


def test_what_was_left_out_is_named(tmp_path: Path, student: Student) -> None:
    reading = read(saved(wrapped_lightning(as_saved(student)), tmp_path / "x.ckpt"))
    assert reading["dropped"] == ["criterion.weight"]
    assert reading["wanted"] == ["argparse.Namespace"]
    assert reading["method"] == "restricted"


def test_a_dictionary_per_layer_is_flattened(tmp_path: Path) -> None:
    tree = {
        "conv1": {"weight": torch.randn(4, 3, 3, 3)},
        "block": {
            "a": {"weight": torch.randn(4, 4, 3, 3)},
            "b": {"weight": torch.randn(4, 4, 3, 3)},
        },
        "fc": {"weight": torch.randn(2, 4), "bias": torch.randn(2)},
    }
    path = saved(tree, tmp_path / "x.pth")
    assert read(path)["problems"] == []
    assert_weights(
        path,
        {
            "conv1.weight": tree["conv1"]["weight"],
            "fc.weight": tree["fc"]["weight"],
            "fc.bias": tree["fc"]["bias"],
            "block.a.weight": tree["block"]["a"]["weight"],
            "block.b.weight": tree["block"]["b"]["weight"],
        },
    )


def test_a_list_of_parameters_is_read(tmp_path: Path, student: Student) -> None:
    path = saved([p.detach() for p in student.parameters()], tmp_path / "x.pth")
    assert read(path)["problems"] == []
    expected = {str(i): p.detach() for i, p in enumerate(student.parameters())}
    assert_weights(path, expected)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [lambda net: net, nn.DataParallel, lambda net: {"model": net, "epoch": 1}],
    ids=["bare", "data parallel", "in a dictionary"],
)
def test_a_whole_module_is_read_without_running_it(
    tmp_path: Path, student: Student, wrap: Any, legacy: bool
) -> None:
    path = saved(wrap(student), tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    reading = read(path)
    assert reading["problems"] == []
    assert reading["method"] == "restricted"
    assert reading["whole_module"] is True
    assert reading["classes"]["bn1"] == "torch.nn.modules.batchnorm.BatchNorm2d"
    assert reading["classes"][""].endswith("students.Student")
    assert_weights(path, as_saved(student))


def test_buffers_that_do_not_persist_are_left_out(tmp_path: Path) -> None:
    module = nn.Linear(2, 3)
    module.register_buffer("kept", torch.ones(2))
    module.register_buffer("scratch", torch.ones(2), persistent=False)
    path = saved(module, tmp_path / "x.pth")
    read(path)
    assert_weights(path, dict(module.state_dict()))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_of_tensors_is_read(tmp_path: Path, student: Student, protocol: int) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(as_saved(student), protocol=protocol))
    assert read(path)["problems"] == []
    assert_weights(path, as_saved(student))


def test_tied_weights_and_views_are_written_one_by_one(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32)
    state = {
        "a": base.view(4, 6),
        "b": base.view(4, 6),
        "c": base[5:17].view(3, 4),
        "d": base.view(4, 6).t(),
        "e": base[::2],
        "f": base[:0],
    }
    path = saved(state, tmp_path / "x.pth")
    assert read(path)["problems"] == []
    assert_weights(path, {name: tensor.contiguous() for name, tensor in state.items()})


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool],
)
def test_known_types_keep_their_type(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {"a": torch.tensor([[0.5, 1.0]]).to(dtype), "n": torch.tensor(3)}
    path = saved(state, tmp_path / "x.pth")
    assert read(path)["problems"] == []
    assert_weights(path, state)


def test_the_order_of_the_state_dict_is_kept(tmp_path: Path, student: Student) -> None:
    path = saved(as_saved(student), tmp_path / "x.pth")
    read(path)
    data = (path.parent / "out" / WEIGHTS_NAME).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header) == list(student.state_dict())


def test_metadata_is_small_and_plain(tmp_path: Path, student: Student) -> None:
    extras = {
        "classes": ["ATLAS MOTH", "MONARCH"],
        "class_to_idx": {"ATLAS MOTH": 0, "MONARCH": 1},
        "epoch": 30,
        "best": float("nan"),
        "huge": 10**400,
        "text": "x" * 5000,
        "many": list(range(10_000)),
        "deep": {"a": {"b": {"c": {"d": 1}}}},
        "array": np.float32(1.0),
        "path": Path("/home/student/x"),
        "flag": True,
    }
    path = saved({"state_dict": as_saved(student), **extras}, tmp_path / "x.pth")
    metadata = read(path)["metadata"]
    assert metadata["classes"] == ["ATLAS MOTH", "MONARCH"]
    assert metadata["class_to_idx"] == {"ATLAS MOTH": 0, "MONARCH": 1}
    assert metadata["epoch"] == 30
    assert metadata["flag"] is True
    assert len(metadata["text"]) == 200
    assert len(metadata["many"]) <= 2000
    assert not {"best", "huge", "state_dict"} & set(metadata)


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "checkpoint.empty", "no bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "checkpoint.other-format", "Git LFS"),
        (b"<!DOCTYPE html><html>", "checkpoint.other-format", "web page"),
        (b"weights go here\n", "checkpoint.other-format", "text"),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "checkpoint.other-format", "Keras"),
        (b"\x1f\x8b" + bytes(9), "checkpoint.other-format", "gzip"),
        (bytes(257) + b"ustar" + bytes(250), "checkpoint.other-format", "tar"),
        (b"\x00\x01\x02\x03", "checkpoint.other-format", "00 01 02 03"),
        (b"PK\x03\x04 and nothing else", "checkpoint.damaged", "archive"),
        (b"\x80\x02cut short", "checkpoint.damaged", "damaged"),
        (pickle.dumps(["no", "tensors"], 2), "checkpoint.no-weights", "no tensors"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." not in value else "",
)
def test_what_is_no_checkpoint_is_named(
    tmp_path: Path, content: bytes, code: str, says: str
) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    ((found, message, tensor),) = read(path)["problems"]
    assert (found, tensor) == (code, None)
    assert says in message


def test_main_writes_the_reading_beside_the_weights(tmp_path: Path, student: Student) -> None:
    path = saved(as_saved(student), tmp_path / "x.pth")
    assert main([str(path), str(tmp_path), str(MAX_BYTES)]) == 0
    assert json.loads((tmp_path / READING_NAME).read_text())["problems"] == []
    assert (tmp_path / WEIGHTS_NAME).exists()


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), EXIT_MEMORY), (ImportError("torch"), EXIT_NO_TORCH)]
)
def test_memory_and_a_missing_torch_have_exit_codes_of_their_own(
    tmp_path: Path, student: Student, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    path = saved(as_saved(student), tmp_path / "x.pth")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("grader.networks.unpickle.find_weights.find_weights", fail)
    assert main([str(path), str(tmp_path), str(MAX_BYTES)]) == code
    assert not (tmp_path / READING_NAME).exists()

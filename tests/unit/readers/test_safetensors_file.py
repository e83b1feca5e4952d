"""A safetensors file is read exactly as the package reads it, or refused with the reason."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from grader.readers.regular_file import RefusedFileError
from grader.readers.safetensors_file import looks_like_safetensors, read_safetensors

MAX_BYTES = 1 << 20


def write(path: Path, header: Any, body: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def entry(shape: list[Any], start: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


TENSORS = {
    "a.weight": torch.randn(3, 4),
    "a.bias": torch.randn(4, dtype=torch.float64),
    "half": torch.randn(5).half(),
    "brain": torch.randn(7).bfloat16(),
    "count": torch.tensor(12),
    "bytes": torch.arange(6, dtype=torch.uint8).view(2, 3),
    "small": torch.tensor([-3], dtype=torch.int8),
    "short": torch.tensor([-300], dtype=torch.int16),
    "int": torch.tensor([[70000]], dtype=torch.int32),
    "flags": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
}


def test_what_the_package_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(TENSORS, path, metadata={"format": "pt"})
    assert looks_like_safetensors(path)
    read = read_safetensors(path, MAX_BYTES)
    assert set(read.tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        wanted = tensor.float().numpy() if name == "brain" else tensor.numpy()
        assert read.tensors[name].dtype == wanted.dtype
        assert np.array_equal(read.tensors[name], wanted)
        assert not read.tensors[name].flags.writeable
    assert read.dtypes["brain"] == "BF16"


def test_the_order_of_the_header_is_kept(tmp_path: Path) -> None:
    header = {"z": entry([1], 4, 8), "a": entry([1], 0, 4)}
    path = write(tmp_path / "x", header, struct.pack("<2f", 1.0, 2.0))
    read = read_safetensors(path, MAX_BYTES)
    assert list(read.tensors) == ["z", "a"]
    assert float(read.tensors["z"][0]) == 2.0


FOUR = b"\0" * 4
LIES: Mapping[str, tuple[Any, bytes, str]] = {
    "not json": (b"{nonsense", b"", "not JSON"),
    "not an object": (b"[]", b"", "not a JSON object"),
    "another encoding": ('{"a":1}'.encode("utf-16"), b"", "not a JSON object"),
    "invalid utf-8": (b'{"\xff":1}', b"", "not JSON"),
    "nested beyond reason": (b'{"a":' + b"[" * 100_000, b"", "not JSON"),
    "a name twice": (
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        FOUR,
        "twice",
    ),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, b"", "__metadata__"),
    "no entry": ({"a": 5}, b"", "exactly dtype"),
    "an unknown key": ({"a": entry([1], 0, 4) | {"x": 1}}, FOUR, "exactly dtype"),
    "a missing key": ({"a": {"dtype": "F32", "shape": [1]}}, FOUR, "exactly dtype"),
    "an unknown type": ({"a": entry([1], 0, 4, "F8_E4M3")}, FOUR, "unknown type"),
    "a type that is a list": ({"a": entry([1], 0, 4, ["F32"])}, FOUR, "unknown type"),
    "a negative length": ({"a": entry([-1], 0, 4)}, FOUR, "shape"),
    "a fractional length": ({"a": entry([1.0], 0, 4)}, FOUR, "shape"),
    "a true length": ({"a": entry([True], 0, 4)}, FOUR, "shape"),
    "too many dimensions": ({"a": entry([1] * 9, 0, 4)}, FOUR, "shape"),
    "a length past counting": ({"a": entry([1 << 60, 1 << 60], 0, 4)}, FOUR, "shape"),
    "a shape larger than its bytes": ({"a": entry([2], 0, 4)}, FOUR, "takes 8 bytes"),
    "a shape of 10¹² numbers": ({"a": entry([10**6, 10**6], 0, 4)}, FOUR, "takes"),
    "offsets that run backwards": ({"a": entry([1], 4, 0)}, FOUR, "offsets"),
    "three offsets": ({"a": entry([1], 0, 4) | {"data_offsets": [0, 4, 8]}}, FOUR, "offsets"),
    "offsets past the end": ({"a": entry([2], 0, 8)}, FOUR, "the file holds 4"),
    "bytes that nobody claims": ({"a": entry([1], 0, 4)}, FOUR + b"hidden", "the file holds 10"),
    "an overlap": ({"a": entry([2], 0, 8), "b": entry([1], 4, 8)}, FOUR * 2, "overlaps"),
    "two tensors in one place": ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, FOUR, "overlaps"),
    "a gap": ({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, FOUR * 3, "gap"),
    "a gap at the start": ({"a": entry([1], 4, 8)}, FOUR * 2, "gap"),
    "a name of a thousand and one characters": ({"a" * 1001: entry([1], 0, 4)}, FOUR, "1001"),
    "no name": ({"": entry([1], 0, 4)}, FOUR, "0 characters"),
    "a truth value of 7": ({"a": entry([1], 0, 1, "BOOL")}, b"\x07", "truth"),
    "an integer of 5000 digits": (b'{"a":' + b"9" * 5000 + b"}", b"", "not JSON"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_with_its_reason(tmp_path: Path, lie: str) -> None:
    header, body, reason = LIES[lie]
    with pytest.raises(RefusedFileError, match=reason):
        read_safetensors(write(tmp_path / "x", header, body), MAX_BYTES)


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, 9 << 20, 3])
def test_a_header_of_another_length_than_it_claims_is_refused(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "x", {"a": entry([1], 0, 4)}, FOUR, length)
    with pytest.raises(RefusedFileError, match="header"):
        read_safetensors(path, MAX_BYTES)


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0" * 8])
def test_a_file_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not looks_like_safetensors(tmp_path / "x")
    with pytest.raises(RefusedFileError, match="header"):
        read_safetensors(tmp_path / "x", MAX_BYTES)


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x", {"a": entry([4], 0, 16)}, FOUR * 4)
    with pytest.raises(RefusedFileError, match="50 are read"):
        read_safetensors(path, 50)


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "real", {})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for reads in (lambda path: read_safetensors(path, MAX_BYTES), looks_like_safetensors):
        with pytest.raises(RefusedFileError):
            reads(tmp_path / "link")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_bytes_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "x"
    save_file({name: TENSORS[name] for name in ("a.weight", "count", "flags")}, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(bytes(content[:cut]))
    # Nothing but a refusal may come out, and never more bytes than the file has.
    with contextlib.suppress(RefusedFileError):
        read = read_safetensors(path, MAX_BYTES)
        assert sum(array.nbytes for array in read.tensors.values()) <= len(content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["a", "dtype", "shape", "data_offsets", "__metadata__"]), inner, max_size=4
    ),
    max_leaves=12,
))  # fmt: skip
def test_any_header_is_read_or_refused(tmp_path: Path, header: Any) -> None:
    path = write(tmp_path / "x", header, FOUR)
    with pytest.raises(RefusedFileError):
        read_safetensors(path, MAX_BYTES)

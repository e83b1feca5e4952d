"""Read a safetensors file that may lie: every byte of its header is checked before a number is.

The format: 8 bytes little-endian length N, N bytes of JSON (name → dtype, shape, data_offsets,
and an optional `__metadata__` of strings), then the tensors' bytes
(github.com/huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.readers.json_file import parse_json
from grader.readers.regular_file import RefusedFileError, read_regular_file, read_regular_head

# The header of a network of 10,000 tensors takes about one MiB.
_MAX_HEADER_BYTES = 8 << 20
_MAX_TENSORS = 20_000
_MAX_RANK = 8
_MAX_NAME = 1_000
_ENTRY_KEYS = {"dtype", "shape", "data_offsets"}

# bfloat16 has no NumPy type: it is read as its 16 bits and widened to float32, exactly.
_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True, slots=True)
class SafetensorsFile:
    """`tensors`: name → array in the order of the header, read-only; `dtypes`: as in the file."""

    tensors: Mapping[str, npt.NDArray[Any]]
    dtypes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def looks_like_safetensors(path: Path) -> bool:
    """Whether `path` begins as a safetensors file does: a length that fits, then a brace.

    Raises RefusedFileError when it cannot be opened.
    """
    head = read_regular_head(path, 9)
    return len(head) == 9 and head[8:] == b"{" and _header_bytes(head) <= path.stat().st_size


def read_safetensors(path: Path, max_bytes: int) -> SafetensorsFile:
    """All tensors of `path`, which may have at most `max_bytes`.

    Raises RefusedFileError for anything that is not exactly a safetensors file: a header that is
    too long, not JSON, has a name twice or an unknown type; offsets that overlap, leave gaps or
    reach past the end; a shape that does not fit its bytes.
    """
    data = read_regular_file(path, max_bytes)
    if len(data) < 8:
        raise RefusedFileError(f"it has {len(data)} bytes, too few for a header")
    length = _header_bytes(data)
    if length > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise RefusedFileError(
            f"its header claims {length} bytes; the file has {len(data)}, "
            f"{_MAX_HEADER_BYTES} are read at most"
        )
    entries = _entries(data[8 : 8 + length])
    _check_offsets(entries, len(data) - 8 - length)
    body = memoryview(data)[8 + length :]
    return SafetensorsFile(
        tensors={name: _array(body, entry, name) for name, entry in entries.items()},
        dtypes={name: entry.dtype for name, entry in entries.items()},
    )


def _header_bytes(head: bytes) -> int:
    return int(struct.unpack("<Q", head[:8])[0])


def _entries(text: bytes) -> dict[str, _Entry]:
    if not text.startswith(b"{") or b"\0" in text:
        raise RefusedFileError("its header is not a JSON object in UTF-8")
    try:
        header = parse_json(text)
    except ValueError as error:
        raise RefusedFileError(f"its header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise RefusedFileError("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise RefusedFileError("its __metadata__ is not a mapping of text to text")
    if len(header) > _MAX_TENSORS:
        raise RefusedFileError(f"it has {len(header)} tensors, {_MAX_TENSORS} are read at most")
    return {name: _entry(name, value) for name, value in header.items()}


def _entry(name: str, value: Any) -> _Entry:
    if not name or len(name) > _MAX_NAME:
        raise RefusedFileError(f"a tensor's name has {len(name)} characters")
    if not isinstance(value, dict) or set(value) != _ENTRY_KEYS:
        raise RefusedFileError(f"{name!r} does not have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise RefusedFileError(f"{name!r} has the unknown type {dtype!r}")
    if not _are_sizes(shape) or len(shape) > _MAX_RANK:
        raise RefusedFileError(f"{name!r} has a shape that makes no sense")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise RefusedFileError(f"{name!r} has offsets that make no sense")
    wanted = math.prod(shape) * _DTYPES[dtype].itemsize
    if offsets[1] - offsets[0] != wanted:
        raise RefusedFileError(
            f"{name!r}: {dtype} of shape {shape} takes {wanted} bytes, "
            f"its offsets give {offsets[1] - offsets[0]}"
        )
    return _Entry(dtype, tuple(shape), offsets[0], offsets[1])


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(number) is int and 0 <= number < 1 << 48 for number in value
    )


def _check_offsets(entries: Mapping[str, _Entry], body_bytes: int) -> None:
    reached = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != reached:
            what = "overlaps the one before" if entry.start < reached else "leaves a gap before it"
            raise RefusedFileError(f"{name!r} {what}")
        reached = entry.end
    if reached != body_bytes:
        raise RefusedFileError(f"its tensors take {reached} bytes, the file holds {body_bytes}")


def _array(body: memoryview, entry: _Entry, name: str) -> npt.NDArray[Any]:
    raw = body[entry.start : entry.end]
    if entry.dtype == "BOOL" and bytes(raw).strip(b"\x00\x01"):
        raise RefusedFileError(f"{name!r} has truth values other than 0 and 1")
    array = np.frombuffer(raw, dtype=_DTYPES[entry.dtype]).reshape(entry.shape)
    if entry.dtype == "BF16":
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        array.flags.writeable = False
    return array

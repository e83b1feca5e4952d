"""A file is read through one descriptor and must stay the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.errors import UsageError
from grader.readers.steady_file import SteadyFile


def test_reads_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = bytes(range(256)) * 10_000
    path.write_bytes(data)
    with SteadyFile(path) as file:
        assert file.size_bytes == len(data)
        assert file.read(5, 10) == data[5:15]
        assert file.read(len(data) - 2, 10) == data[-2:]
        assert file.read(len(data) + 100, 10) == b""
        assert file.sha256() == hashlib.sha256(data).hexdigest()
        assert file.is_unchanged()


def _grow(path: Path) -> None:
    with SteadyFile(path):
        path.write_bytes(path.read_bytes() + b"d")


def _shrink(path: Path) -> None:
    with SteadyFile(path) as file:
        os.truncate(path, 1)
        file.read(0, 3)


def _rewrite(path: Path) -> None:
    with SteadyFile(path):
        path.write_bytes(b"xyz")
        os.utime(path, ns=(1, 1))  # the clock of a file system may be too coarse to tell


@pytest.mark.parametrize("change", [_grow, _shrink, _rewrite])
def test_a_file_that_changes_is_refused(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    os.utime(path, ns=(0, 0))
    with pytest.raises(UsageError, match="changed while it was read") as caught:
        change(path)
    assert caught.value.hint


def _fail(path: Path) -> None:
    with SteadyFile(path):
        path.write_bytes(b"abcd")
        raise KeyError


def test_another_error_is_not_hidden_by_the_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with pytest.raises(KeyError):
        _fail(path)


def test_a_pipe_neither_hangs_nor_passes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError):
        SteadyFile(tmp_path / "pipe")


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with SteadyFile(path):
        pass
    with pytest.raises(UsageError):
        _grow(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError):
        SteadyFile(tmp_path / "pipe")
    assert len(list(Path("/proc/self/fd").iterdir())) == before

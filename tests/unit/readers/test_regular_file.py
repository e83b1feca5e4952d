"""Only regular files with one name are opened, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from grader.readers.regular_file import RefusedFileError, read_regular_file, read_regular_head


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_regular_file(path, 5) == b"12345"
    assert read_regular_head(path, 3) == b"123"
    with pytest.raises(RefusedFileError, match="has 5 bytes, 4 are read at most"):
        read_regular_file(path, 4)


def test_a_file_that_grows_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    real = os.fstat

    def fstat_then_grow(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        with path.open("ab") as file:
            file.write(b"6789")
        return status

    monkeypatch.setattr(os, "fstat", fstat_then_grow)
    with pytest.raises(RefusedFileError, match="it grew while it was read"):
        read_regular_file(path, 6)


def test_links_pipes_sockets_devices_and_folders_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"secret")
    (tmp_path / "symlink").symlink_to(target)
    (tmp_path / "hard").hardlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("symlink", "hard", "pipe", "folder", "socket", "missing"):
            with pytest.raises(RefusedFileError):
                read_regular_file(tmp_path / name, 100)
    with pytest.raises(RefusedFileError, match="not a regular file"):
        read_regular_file(Path("/dev/zero"), 100)

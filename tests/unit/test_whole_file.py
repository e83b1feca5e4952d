"""Files that appear whole or not at all, and what must not be replaced by one."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from grader.whole_file import whole_file


def _write(path: Path, content: bytes, *, whole: bool = True) -> None:
    with whole_file(path) as file:
        file.write(content)
        if not whole:
            raise KeyError


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "marks.csv"
    _write(path, b"1")
    with pytest.raises(KeyError):
        _write(path, b"2", whole=False)
    assert path.read_bytes() == b"1"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "Grades.csv"
    path.write_bytes(b"before")
    path.chmod(0o600)
    _write(path, b"after")
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "Grades.csv", tmp_path / "Grades.csv"
    target.write_bytes(b"before")
    link.symlink_to(target)
    _write(link, b"after")
    assert link.is_symlink()
    assert target.read_bytes() == b"after"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    _write(path, b"marks")
    reader.join()
    assert read == [b"marks"]
    assert stat.S_ISFIFO(path.stat().st_mode)

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from errors import SubmissionError
from training.files import json_to_bytes, make_folder, write_atomically


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "resnet_model.pth"
    write_atomically(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["resnet_model.pth"]


def test_modes_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_bytes(b"")
    write_atomically(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_json_keeps_a_name_that_is_no_utf8() -> None:
    content = {"class_names": ["caf\udce9", "müll", "\\udce9"]}
    written = json_to_bytes(content)
    assert json.loads(written.decode()) == content
    assert "müll".encode() in written


def test_processes_that_start_together_do_not_take_each_others_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, probes = write_atomically, []

    def write_and_lose(path: Path, content: bytes) -> None:
        write(path, content)
        probes.append(path.name)
        path.unlink()  # as a process of the same number on another machine would

    monkeypatch.setattr("training.files.write_atomically", write_and_lose)
    for number in (7, 8):
        monkeypatch.setattr(os, "getpid", lambda number=number: number)
        make_folder(tmp_path)
    assert len(set(probes)) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SubmissionError, match="cannot be written"):
        make_folder(tmp_path / "file" / "below")

    def read_only(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("training.files.write_atomically", read_only)
    with pytest.raises(SubmissionError, match="Read-only file system"):
        make_folder(tmp_path / "new")

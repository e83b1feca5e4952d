"""Whatever is handed in: zips, folders, notebooks, encodings, sizes."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from grader.assignments.load import load_assignment
from grader.errors import UsageError
from grader.model import Assignment
from grader.similarity.model import SourceTree
from grader.similarity.source import read_sources as module
from grader.similarity.source.read_sources import (
    FoundSubmission,
    decode_text,
    find_submissions,
    notebook_cells,
    read_tree,
)


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return load_assignment("ail721-a2")


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _read(path: Path, assignment: Assignment) -> SourceTree:
    return read_tree(FoundSubmission("s", path), assignment)


def _codes(tree: SourceTree) -> list[str]:
    return [finding.code for finding in tree.findings]


NOTEBOOK = {
    "nbformat": 4,
    "cells": [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import torch\n", "!pip list\n"]},
        {"cell_type": "code", "source": "x = torch.ones(3)"},
        {"cell_type": "code", "source": "%%bash\nls"},
    ],
}


def test_zips_folders_and_files_are_submissions(tmp_path: Path) -> None:
    _zip(tmp_path / "a.zip", {"m.py": b"x = 1"})
    (tmp_path / "b").mkdir()
    (tmp_path / "c.py").write_text("x = 1")
    (tmp_path / "c.zip").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert [found.name for found in find_submissions(tmp_path)] == ["a", "b", "c", "c.zip"]


def test_what_the_grader_has_written_is_no_submission(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    for path in ("results/class.sqlite", "site/index.html", "site/students/a.html"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "reports" / "2023AIB2080").mkdir(parents=True)
    (tmp_path / "reports" / "2023AIB2080" / "report.json").touch()
    assert [found.name for found in find_submissions(tmp_path)] == ["a"]
    # nobody hides behind a name of the grader's
    (tmp_path / "results" / "model.py").write_text("x = 1")
    assert [found.name for found in find_submissions(tmp_path)] == ["a", "results"]


def test_a_folder_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none"):
        find_submissions(tmp_path / "none")


def test_of_a_zip_only_source_is_read(tmp_path: Path, assignment: Assignment) -> None:
    path = _zip(
        tmp_path / "a.zip",
        {
            "top/train.py": b"x = 1\r\ny = 2\r\n",
            "top/book.ipynb": json.dumps(NOTEBOOK).encode(),
            "top/weights.pth": os.urandom(1000),
            "top/venv/lib/site-packages/torch/big.py": b"x = 1",
            "__MACOSX/._train.py": b"\0",
        },
    )
    tree = _read(path, assignment)
    assert [(text.path, text.cell) for text in tree.texts] == [
        ("top/book.ipynb", 1),
        ("top/book.ipynb", 2),
        ("top/train.py", None),
    ]
    assert tree.texts[0].text.split("\n")[1] == "import torch"
    assert tree.texts[2].text == "x = 1\ny = 2\n"
    assert not tree.findings


def test_a_platforms_folder_with_a_zip_in_it_is_read(
    tmp_path: Path, assignment: Assignment
) -> None:
    folder = tmp_path / "Ada_123_assignsubmission_file_"
    folder.mkdir()
    _zip(folder / "2023AIB2080.zip", {"train.py": b"x = 1"})
    assert [text.path for text in _read(folder, assignment).texts] == ["train.py"]


def test_a_refused_zip_is_a_finding(tmp_path: Path, assignment: Assignment) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    codes = _codes(_read(tmp_path / "a.zip", assignment))
    assert "zip.not-a-zip" in codes
    assert "similar.no-source" in codes


def test_binary_and_empty_files_are_findings_and_no_more(
    tmp_path: Path, assignment: Assignment
) -> None:
    (tmp_path / "binary.py").write_bytes(b"\x7fELF\0\0\0")
    (tmp_path / "empty.py").write_bytes(b"")
    (tmp_path / "bad.ipynb").write_bytes(b"{")
    (tmp_path / "pipe.py").symlink_to("/dev/zero")
    codes = _codes(_read(tmp_path, assignment))
    assert codes == ["similar.unreadable", "similar.unreadable", "similar.no-source"]


def test_a_pipe_is_not_waited_for(tmp_path: Path, assignment: Assignment) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert "similar.unreadable" in _codes(_read(tmp_path, assignment))


def test_of_a_large_file_the_beginning_is_compared(tmp_path: Path, assignment: Assignment) -> None:
    (tmp_path / "large.py").write_bytes(b"x = f(1)\n" * 100_000)
    tree = _read(tmp_path, assignment)
    assert _codes(tree) == ["similar.not-all-compared"]
    assert module.MAX_TEXT_BYTES - 9 <= len(tree.texts[0].text) <= module.MAX_TEXT_BYTES
    assert tree.texts[0].text.endswith("x = f(1)\n")


def test_many_files_are_bounded(
    tmp_path: Path, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 5)
    for i in range(9):
        (tmp_path / f"m{i}.py").write_text(f"x = {i}\n")
    tree = _read(tmp_path, assignment)
    assert len(tree.texts) == 5
    assert _codes(tree) == ["similar.not-all-compared"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é = 1".encode(), "é = 1"),
        ("é = 1".encode("utf-8-sig"), "é = 1"),
        ("é = 1".encode("utf-16"), "é = 1"),
        ("é = 1".encode("latin-1"), "é = 1"),
        ("# coding: cp1251\nж = 1".encode("cp1251"), "# coding: cp1251\nж = 1"),
        (b"# coding: no-such-codec\nx = 1", "# coding: no-such-codec\nx = 1"),
        (b"# coding: hex\nx = 1", "# coding: hex\nx = 1"),
        (b"x = 1\r\ny = 2\r", "x = 1\ny = 2\n"),
        (b"\0\1\2", None),
    ],
)
def test_every_encoding_is_read(data: bytes, text: str | None) -> None:
    assert decode_text(data) == text


@pytest.mark.parametrize(
    "notebook",
    [
        {"cells": [{"cell_type": "code", "source": ["a", 3]}, "no cell", {"cell_type": "code"}]},
        {"worksheets": [{"cells": [{"cell_type": "code", "input": "a"}]}, 3]},
    ],
)
def test_untidy_notebooks_are_read(notebook: object) -> None:
    assert (notebook_cells(json.dumps(notebook).encode()) or [])[0] == "a"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}{", b'{"cells": 3}', b"[" * 100_000])
def test_what_is_no_notebook_is_told_apart(data: bytes) -> None:
    assert notebook_cells(data) is None

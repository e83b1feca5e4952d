"""First bytes to words."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest

from grader.readers.file_kind import HEAD_BYTES, archive_kind, file_kind


def _zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a", "b")
    return target.getvalue()


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "word", "is_archive"),
    [
        (b"", "empty", False),
        (_zip(), "zip", True),
        (_tar(), "tar", True),
        (gzip.compress(b"x", mtime=0), "gzip", True),
        (b"Rar!\x1a\x07\x01\x00", "RAR", True),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip", True),
        (b"\xfd7zXZ\x00", "xz", True),
        (b"%PDF-1.7", "PDF", False),
        (b"\x89PNG\r\n\x1a\n", "PNG", False),
        (b"import os\n", "plain text", False),
        ("# ünïcödé\n".encode() * 60, "plain text", False),
        (b"\n  <!doctype HTML><html>", "HTML", False),
        (bytes(600), "zero bytes", False),
        (b"\x01\x02\x03\x04", "01 02 03 04", False),
        (b"\xff\xfe\xfd\xfc", "ff fe fd fc", False),
    ],
)
def test_kind(data: bytes, word: str, is_archive: bool) -> None:
    head = data[:HEAD_BYTES]
    assert word in file_kind(head)
    assert (archive_kind(head) is not None) == is_archive


def test_a_character_cut_at_the_end_of_the_head_is_still_text() -> None:
    data = ("x" + "é" * HEAD_BYTES).encode()
    assert file_kind(data[:HEAD_BYTES]) == "plain text"

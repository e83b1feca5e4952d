"""Fingerprints as files: the same after reading, no code inside, refused when they are others'."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from grader.errors import UsageError
from grader.similarity.source import stored
from grader.similarity.source.fingerprint import Fingerprint, fingerprint
from grader.similarity.source.stored import read_fingerprints, write_fingerprints
from tests.unit.similarity.source.students import honest, tree


@pytest.fixture(scope="module")
def prints() -> list[Fingerprint]:
    empty = fingerprint(tree("empty", {}))
    return [*(fingerprint(tree(name, files)) for name, files in honest(2).items()), empty]


def test_what_is_written_is_read_again(prints: list[Fingerprint], tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.index"
    write_fingerprints(path, prints)
    for before, after in zip(prints, read_fingerprints(path), strict=True):
        for name in Fingerprint.__slots__:
            old, new = getattr(before, name), getattr(after, name)
            assert np.array_equal(old, new) if isinstance(old, np.ndarray) else old == new


def test_an_archive_of_nobody_is_one(tmp_path: Path) -> None:
    write_fingerprints(tmp_path / "a", [])
    assert read_fingerprints(tmp_path / "a") == ()


def test_no_code_is_in_an_archive(prints: list[Fingerprint], tmp_path: Path) -> None:
    write_fingerprints(tmp_path / "a", prints)
    with zipfile.ZipFile(tmp_path / "a") as archive:
        data = b"".join(archive.read(name) for name in archive.namelist())
    words = {"zero_grad", "forward", "Conv2d", "requires_grad", "seg_maps", "backward"}
    for word in words:
        assert word.encode() not in data
        assert word.encode("utf-32-le") not in data


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UsageError, match="no archive"):
        read_fingerprints(tmp_path / "a")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_fingerprints(tmp_path / "none")


def test_pickles_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, mark=np.array([print], dtype=object))
    with pytest.raises(UsageError, match="no archive"):
        read_fingerprints(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hashes", np.zeros(3, np.uint64)),
        ("kinds", np.zeros(3, np.int64)),
        ("counts", np.zeros((3, 2), np.int64)),
        ("units", np.full(1, 99, np.int32)),
        ("names", np.zeros(3)),
        ("version", np.zeros(2)),
        ("mark", np.array("another")),
    ],
)
def test_damage_is_refused(
    prints: list[Fingerprint], tmp_path: Path, name: str, value: np.typing.NDArray[np.generic]
) -> None:
    write_fingerprints(tmp_path / "a", prints)
    with np.load(tmp_path / "a") as read:
        arrays = dict(read)
    arrays[name] = np.full_like(arrays[name], 99_999) if name == "units" else value
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(UsageError):
        read_fingerprints(tmp_path / "a")


def test_hashes_of_another_version_are_not_compared(
    prints: list[Fingerprint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fingerprints(tmp_path / "a", prints)
    monkeypatch.setattr(stored, "VERSION", stored.VERSION + 1)
    with pytest.raises(UsageError, match="another version"):
        read_fingerprints(tmp_path / "a")

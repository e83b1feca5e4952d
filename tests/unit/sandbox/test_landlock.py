from __future__ import annotations

import struct
from pathlib import Path

import pytest

from grader.sandbox.landlock import DEVICE, EXCHANGE, READ, WRITE, build_landlock

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14


@pytest.mark.parametrize(
    ("abi", "words"),
    [
        (1, ((1 << 13) - 1,)),
        (2, ((1 << 14) - 1,)),
        (3, ((1 << 15) - 1,)),
        (4, ((1 << 15) - 1, 3)),
        (5, ((1 << 16) - 1, 3)),
        (6, ((1 << 16) - 1, 3, 3)),
        (99, ((1 << 16) - 1, 3, 3)),
    ],
)
def test_the_kernel_is_asked_for_what_it_knows(abi: int, words: tuple[int, ...]) -> None:
    assert build_landlock(abi, [])["ruleset"] == struct.pack(f"={len(words)}Q", *words)


def test_rights_fit_the_path_and_the_kernel(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    missing = tmp_path / "missing"
    rules = dict(build_landlock(1, [(tmp_path, WRITE), (file, READ), (missing, READ)])["rules"])
    assert set(rules) == {str(tmp_path), str(file)}
    assert rules[str(file)] == _EXECUTE | _READ_FILE
    assert not rules[str(tmp_path)] & _TRUNCATE  # ABI 1 does not know it
    assert rules[str(tmp_path)] & _WRITE_FILE


def test_only_disposable_folders_may_be_written_or_listed() -> None:
    assert not READ & ~(_EXECUTE | _READ_FILE | _READ_DIR)
    assert not EXCHANGE & (_READ_DIR | _EXECUTE)
    assert not DEVICE & (_READ_DIR | _EXECUTE)
    makes_devices = (1 << 6) | (1 << 11)
    assert not WRITE & makes_devices

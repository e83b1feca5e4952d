from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.errors import SandboxError
from grader.sandbox.privileges import check_shown, choose_uid, find_covers

EVERYBODY = "         0          0 4294967295\n"
CONTAINER = "         0     100000      65536\n"
TWO_RANGES = "0 1000 1\n1 100000 65536\n"


def test_every_run_gets_a_user_of_its_own() -> None:
    chosen = {choose_uid(EVERYBODY) for _ in range(100)}
    assert len(chosen) == 100
    assert all(1_900_000_000 <= uid < 2_000_000_000 for uid in chosen)


@pytest.mark.parametrize(("text", "most"), [(CONTAINER, 65535), (TWO_RANGES, 65536)])
def test_in_a_container_it_is_one_that_exists(text: str, most: int) -> None:
    chosen = {choose_uid(text) for _ in range(100)}
    assert len(chosen) == 100
    assert all(30_000 < uid <= most for uid in chosen)


@pytest.mark.parametrize("text", ["0 1000 1\n", ""])
def test_a_lonely_root_is_told(text: str) -> None:
    with pytest.raises(SandboxError, match="no other user") as raised:
        choose_uid(text)
    assert raised.value.hint


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """`open/closed/inner/` with a file, where only `closed` is closed to others."""
    for ancestor in tmp_path.parents:
        if not ancestor.stat().st_mode & 1:
            ancestor.chmod(ancestor.stat().st_mode | 1)
    tmp_path.chmod(0o755)
    folder = tmp_path / "open" / "closed"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").touch(0o644)
    for path in (tmp_path / "open", folder / "inner"):
        path.chmod(0o755)
    folder.chmod(0o700)
    return folder


def test_only_closed_ancestors_are_covered(closed: Path) -> None:
    inner, file = closed / "inner", closed / "inner" / "file"
    assert find_covers([Path("/usr"), closed.parent]) == []
    assert find_covers([file, inner, inner]) == [(str(closed), [str(inner), str(file)])]


def test_an_outer_folder_covers_an_inner_one(closed: Path) -> None:
    (closed / "inner").chmod(0o700)
    assert find_covers([closed / "inner" / "file"]) == [
        (str(closed), [str(closed / "inner" / "file")])
    ]


def test_what_is_shown_must_be_there_and_readable(closed: Path) -> None:
    file = closed / "inner" / "file"
    check_shown(closed / "inner", uid=5)
    check_shown(file, uid=5)
    with pytest.raises(SandboxError, match="cannot be shown"):
        check_shown(closed / "missing", uid=None)
    with pytest.raises(SandboxError, match="closed: the sandbox gives up root"):
        check_shown(closed, uid=5)
    check_shown(closed, uid=None)
    file.chmod(0o600)
    os.utime(closed / "inner", (1, 1))  # as when the file is replaced: what was seen is forgotten
    with pytest.raises(SandboxError, match="file: the sandbox gives up root") as raised:
        check_shown(closed / "inner", uid=5)
    assert "chmod -R o+rX" in raised.value.hint

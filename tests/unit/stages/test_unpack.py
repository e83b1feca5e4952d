"""Unpacking: what is written, what it costs, and that nothing stays when it fails."""

from __future__ import annotations

import dataclasses
import os
import random
import stat
from pathlib import Path

import pytest

from fixtures.archives.assignment import ASSIGNMENT, LIMITS, NAME
from fixtures.archives.records import DEFLATED, FOLDER, STORED, Member, build
from grader.errors import InternalFault, UsageError
from grader.model import InspectedZip, ZipMember
from grader.stages import unpack as module
from grader.stages.inspect_zip import inspect_zip
from grader.stages.unpack import unpack

CONTENTS = {"evaluate.py": b"print(1)\n", "models/net.py": b"x = 1\n", "models/a/b.bin": b"\0" * 9}


def _inspected(folder: Path, data: bytes | None = None) -> InspectedZip:
    path = folder / NAME
    if data is None:
        data = build(Member(n.encode(), d, method=DEFLATED) for n, d in CONTENTS.items())
    path.write_bytes(data)
    inspected = inspect_zip(path, ASSIGNMENT)
    assert inspected.accepted
    return inspected


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def test_files_come_out_sorted_and_as_they_were(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path)
    tree = unpack(inspected, tmp_path / "tree", LIMITS)
    assert tree.findings == ()
    assert tree.inspected is inspected
    assert [file.path for file in tree.files] == sorted(CONTENTS)
    assert {f.path: (tree.root / f.path).read_bytes() for f in tree.files} == CONTENTS


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask_or_the_archive(tmp_path: Path, mask: int) -> None:
    data = build(
        [Member(b"f/a", b"1", attributes=0o100600 << 16), Member(b"e/", attributes=FOLDER)]
    )
    inspected = _inspected(tmp_path, data)
    before = os.umask(mask)
    try:
        tree = unpack(inspected, tmp_path / "tree", LIMITS)
    finally:
        os.umask(before)
    modes = {
        path: stat.S_IMODE((tree.root / path).stat().st_mode) for path in (".", "f", "f/a", "e")
    }
    assert modes == {".": 0o755, "f": 0o755, "f/a": 0o444, "e": 0o755}


@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("size_bytes", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 20])
@pytest.mark.parametrize("filling", ["zeros", "noise", "both"])
def test_every_size_around_a_chunk(
    tmp_path: Path, method: int, size_bytes: int, filling: str
) -> None:
    noise = random.Random(size_bytes).randbytes(size_bytes)
    data = {"zeros": bytes(size_bytes), "noise": noise, "both": noise[: size_bytes // 2]}[filling]
    data = data.ljust(size_bytes, b"\0")
    # beside noise, so that no ratio is met
    members = [Member(b"a", data, method=method), Member(b"b", random.Random(1).randbytes(1 << 16))]
    path = tmp_path / NAME
    path.write_bytes(build(members))
    course = dataclasses.replace(
        ASSIGNMENT, zip_limits=dataclasses.replace(LIMITS, ratio=2000, zip_bytes=1 << 30)
    )
    tree = unpack(inspect_zip(path, course), tmp_path / "tree", LIMITS)
    assert (tree.root / "a").read_bytes() == data


def test_limits_are_counted_in_real_bytes_again(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path, build([Member(b"a", b"1" * 60), Member(b"b", b"2" * 60)]))
    for limits in ({"unpacked_bytes": 119}, {"member_bytes": 59}):
        tree = unpack(inspected, tmp_path / "tree", dataclasses.replace(LIMITS, **limits))
        assert [f.code for f in tree.findings] == ["zip.too-large"]
        assert tree.files == ()
        assert not tree.root.exists()
    exact = dataclasses.replace(LIMITS, unpacked_bytes=120, member_bytes=60)
    assert len(unpack(inspected, tmp_path / "tree", exact).files) == 2


def test_a_damaged_member_leaves_nothing(tmp_path: Path) -> None:
    lie = {"crc": 7}
    data = build([Member(b"a/b", b"fine"), Member(b"c", b"not", local=lie, central=lie)])
    tree = unpack(_inspected(tmp_path, data), tmp_path / "tree", LIMITS)
    assert [f.code for f in tree.findings] == ["zip.crc-mismatch"]
    assert tree.files == ()
    assert _names(tmp_path) == [NAME]


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "mine").write_bytes(b"keep")
    with pytest.raises(InternalFault, match="File exists"):
        unpack(inspected, tmp_path / "tree", LIMITS)
    assert (tmp_path / "tree" / "mine").read_bytes() == b"keep"


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tree").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InternalFault):
        unpack(inspected, tmp_path / "tree", LIMITS)
    assert _names(tmp_path / "elsewhere") == []


def test_a_link_put_into_the_tree_meanwhile_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspected = _inspected(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    make = os.mkdir

    def race(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if path == "models":
            os.symlink(tmp_path / "elsewhere", path, dir_fd=dir_fd)
        else:
            make(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(module.os, "mkdir", race)
    with pytest.raises(InternalFault):
        unpack(inspected, tmp_path / "tree", LIMITS)
    assert _names(tmp_path / "elsewhere") == []
    assert not (tmp_path / "tree").exists()


def test_a_refused_zip_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(build([Member(b"../a")]))
    with pytest.raises(InternalFault, match="refused"):
        unpack(inspect_zip(path, ASSIGNMENT), tmp_path / "tree", LIMITS)
    assert _names(tmp_path) == [NAME]


@pytest.mark.parametrize("path", ["../a", "/a", "a/../b", ".", "", "a//b", "a\0"])
def test_an_unsafe_path_is_stopped_even_behind_the_vetting(tmp_path: Path, path: str) -> None:
    inspected = _inspected(tmp_path)
    forged = dataclasses.replace(
        inspected, members=(dataclasses.replace(inspected.members[0], path=path),)
    )
    with pytest.raises(InternalFault, match="unsafe path"):
        unpack(forged, tmp_path / "tree", LIMITS)
    assert _names(tmp_path) == [NAME]


def test_a_zip_replaced_after_the_vetting_is_refused(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path)
    (tmp_path / NAME).write_bytes(build([Member(b"evaluate.py", b"other")]))
    with pytest.raises(UsageError, match="replaced"):
        unpack(inspected, tmp_path / "tree", LIMITS)
    assert _names(tmp_path) == [NAME]


def test_a_zip_that_has_gone_is_the_callers_fault(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path)
    (tmp_path / NAME).unlink()
    with pytest.raises(UsageError, match="No such file"):
        unpack(inspected, tmp_path / "tree", LIMITS)


def test_a_copy_of_the_same_bytes_is_as_good(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path)
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).write_bytes(data)
    assert len(unpack(inspected, tmp_path / "tree", LIMITS).files) == len(CONTENTS)


def test_a_zip_that_changes_meanwhile_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspected = _inspected(tmp_path)
    contents = module._contents

    def meanwhile(*arguments: object) -> object:
        with (tmp_path / NAME).open("ab") as file:
            file.write(b"\n")
        return contents(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_contents", meanwhile)
    with pytest.raises(UsageError, match="changed while it was read"):
        unpack(inspected, tmp_path / "tree", LIMITS)
    assert _names(tmp_path) == [NAME]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    inspected = _inspected(tmp_path)
    before = len(_names(Path("/proc/self/fd")))
    write = os.write
    written = []

    def failing(fd: int, data: memoryview) -> int:
        written.append(fd)
        if len(written) > 1:
            raise error
        return write(fd, data)

    monkeypatch.setattr(module.os, "write", failing)
    expected = InternalFault if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        unpack(inspected, tmp_path / "tree", LIMITS)
    monkeypatch.undo()
    assert _names(tmp_path) == [NAME]
    assert len(_names(Path("/proc/self/fd"))) == before
    if isinstance(caught.value, InternalFault):
        assert "No space left" in caught.value.message
        assert caught.value.hint


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspected = _inspected(tmp_path)
    write = os.write
    monkeypatch.setattr(module.os, "write", lambda fd, data: write(fd, data[:3]))
    tree = unpack(inspected, tmp_path / "tree", LIMITS)
    assert {f.path: (tree.root / f.path).read_bytes() for f in tree.files} == CONTENTS


def test_archives_inside_are_named_but_checkpoints_are_not(tmp_path: Path) -> None:
    inner = build([Member(b"archive/data.pkl", b"x")])
    names = ("a.zip", "b.txt", "resnet_model.pth", "best.pth.tar", "w.pt", "masks.npz")
    data = build(Member(name.encode(), inner) for name in names)
    tree = unpack(_inspected(tmp_path, data), tmp_path / "tree", LIMITS)
    (finding,) = tree.findings
    assert finding.code == "zip.nested-archive"
    assert finding.evidence["paths"] == ["a.zip", "b.txt"]
    assert len(tree.files) == len(names)


def test_folders_are_visited_in_any_order(tmp_path: Path) -> None:
    names = ["a/b/1", "c/1", "a/2", "a/b/c/3", "4", "a/b/5", "c/d/e/6", "a/b/c/7"]
    data = build(Member(name.encode(), name.encode()) for name in names)
    tree = unpack(_inspected(tmp_path, data), tmp_path / "tree", LIMITS)
    assert {f.path: (tree.root / f.path).read_bytes() for f in tree.files} == {
        name: name.encode() for name in names
    }


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path)
    before = len(_names(Path("/proc/self/fd")))
    unpack(inspected, tmp_path / "tree", LIMITS)
    assert len(_names(Path("/proc/self/fd"))) == before


def test_a_member_whose_data_would_lie_outside_the_file_is_a_short_read(tmp_path: Path) -> None:
    inspected = _inspected(tmp_path, build([Member(b"a", b"123")]))
    member = inspected.members[0]
    forged = ZipMember(
        member.path, False, 500, 500, member.crc32, member.method, member.header_offset
    )
    tree = unpack(dataclasses.replace(inspected, members=(forged,)), tmp_path / "tree", LIMITS)
    assert [f.code for f in tree.findings] == ["zip.size-lie"]

from __future__ import annotations

import os
from pathlib import Path

from grader.sandbox.leftovers import SharedMemory, _inodes_in_use
from grader.sandbox.members import DescendantMembers
from grader.sandbox.storage import HostStorage, NamespaceStorage, Paced


def test_a_slow_measurement_has_to_wait_for_its_turn() -> None:
    paced = Paced()
    assert paced.due
    with paced.measured():
        sum(range(200_000))
    assert not paced.due


def test_shared_memory_is_told_apart_by_who_made_it_and_when(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.write_bytes(b"x" * 10_000)
    shared = SharedMemory(None, tmp_path)
    with shared:
        assert shared.used_bytes() == 0
        (tmp_path / "newer").write_bytes(b"x" * 10_000)
        used = tmp_path / "used"
        used.write_bytes(b"x")
        assert 10_000 <= shared.used_bytes() <= 30_000
        with used.open("rb"):
            assert _inodes_in_use(tmp_path) == {used.stat().st_ino}
            shared.clear()
            assert sorted(path.name for path in tmp_path.iterdir()) == ["older", "used"]
        shared.clear()
        assert [path.name for path in tmp_path.iterdir()] == ["older"]
    assert SharedMemory(2_123_456_789, tmp_path).used_bytes() == 0
    assert SharedMemory(None, tmp_path / "missing").device == -1


def test_a_host_folder_is_measured_from_where_it_began(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "submitted").write_bytes(b"x" * 50_000)
    (tmp_path / "shm").mkdir()
    disk, process_list = (os.open(path, os.O_RDONLY) for path in (tmp_path / "disk", "/proc"))
    try:
        with SharedMemory(None, tmp_path / "shm") as shared:
            members = DescendantMembers(process_list, os.getpid(), None)
            storage = HostStorage({"/work": disk}, shared, members, enough_files=10)
            assert storage.measure(final=True).disk_bytes == 0
            (tmp_path / "disk" / "written").write_bytes(b"x" * 20_000)
            (tmp_path / "shm" / "batch").write_bytes(b"x" * 20_000)
            written = storage.measure(final=True)
        assert 20_000 <= written.disk_bytes < 40_000
        assert 20_000 <= written.shared_bytes < 40_000
        assert written.files == 1
    finally:
        os.close(disk)
        os.close(process_list)


def test_a_file_system_of_ones_own_counts_for_itself() -> None:
    disk = os.open("/dev/shm", os.O_RDONLY)
    try:
        storage = NamespaceStorage({"/work": disk}, disk)
        assert storage.measure().disk_bytes >= 0
    finally:
        os.close(disk)

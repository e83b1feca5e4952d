"""Stamps, hashes, the run's lock and report files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.classroom.fingerprint import content_hash, grader_identity, stamp_of
from grader.classroom.report_files import write_report_files
from grader.classroom.run_lock import only_run, who_runs
from grader.errors import UsageError


def test_a_stamp_changes_with_content_time_and_the_set_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    stamps = [stamp_of([tmp_path])]
    assert stamp_of([tmp_path]) == stamps[0]
    os.utime(tmp_path / "a", ns=(1, 1))
    stamps.append(stamp_of([tmp_path]))
    (tmp_path / "a").write_text("22")
    stamps.append(stamp_of([tmp_path]))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").write_text("")
    stamps.append(stamp_of([tmp_path]))
    (tmp_path / "a").unlink()
    stamps.append(stamp_of([tmp_path]))
    assert len(set(stamps)) == len(stamps)
    assert stamp_of([tmp_path / "gone"]) != stamp_of([tmp_path / "never"])


def test_only_regular_files_are_hashed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    assert content_hash(tmp_path / "pipe") == ""
    assert content_hash(tmp_path / "gone") == ""
    (tmp_path / "file").write_bytes(b"")
    assert content_hash(tmp_path / "file").startswith("e3b0c44298fc")


def test_the_graders_identity_is_its_version_and_its_marking_code() -> None:
    version, _, code = grader_identity().partition("+")
    assert version.count(".") == 2
    assert len(code) == 12


_HOLD = """
import sys
from pathlib import Path
from grader.classroom.run_lock import only_run
with only_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    assert who_runs(tmp_path) == ""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert f"process {holder.pid} on " in who_runs(tmp_path)
        with pytest.raises(UsageError, match=f"process {holder.pid}"), only_run(tmp_path):
            raise AssertionError("two runs at a time")
        holder.kill()
    assert who_runs(tmp_path) == ""
    with only_run(tmp_path):
        assert f"process {os.getpid()}" in who_runs(tmp_path)


def test_report_files_are_whole_and_the_earlier_page_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    first = {"report.html": "<1>", "masks.json": "[1]", "report.json": "{1}"}
    write_report_files(folder, first, None)
    assert (folder / "masks.json").read_text() == "[1]"
    (folder / ".report.json-killed").write_text("half")
    second = {"report.html": "<2>", "masks.json": "", "report.json": "{2}"}
    write_report_files(folder, second, 7)
    write_report_files(folder, second, 7)  # as a run does that goes on after a kill
    assert (folder / "report.json").read_text() == "{2}"
    assert (folder / "earlier" / "7.html").read_text() == "<1>"
    assert sorted(path.name for path in folder.iterdir()) == [
        "earlier",
        "report.html",
        "report.json",
    ]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where a folder has to be")
    with pytest.raises(UsageError, match="the report cannot be written"):
        write_report_files(tmp_path / "a", {"report.json": "{}"}, None)

"""The vetting: the zip's own name, what is no zip, what it may cost. Hostile insides are in
tests/attacks/test_archives.py."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
from pathlib import Path

import pytest

from fixtures.archives.assignment import ASSIGNMENT, LIMITS, NAME
from fixtures.archives.records import DEFLATED, Member, build
from grader.errors import UsageError
from grader.model import Assignment, Fault, Finding, Severity, ZipLimits
from grader.readers import steady_file
from grader.stages import inspect_zip as module
from grader.stages.inspect_zip import inspect_zip

HONEST = build([Member(b"evaluate.py", b"print(1)\n", method=DEFLATED)])


def _zip(folder: Path, data: bytes = HONEST, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _limited(**limits: float) -> Assignment:
    return dataclasses.replace(ASSIGNMENT, zip_limits=dataclasses.replace(LIMITS, **limits))


def _only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1
    return findings[0]


def test_an_honest_zip(tmp_path: Path) -> None:
    inspected = inspect_zip(_zip(tmp_path), ASSIGNMENT)
    assert inspected.accepted
    assert inspected.findings == ()
    assert inspected.sha256 == hashlib.sha256(HONEST).hexdigest()
    assert inspected.size_bytes == len(HONEST)
    assert [member.path for member in inspected.members] == ["evaluate.py"]


@pytest.mark.parametrize("name", ["2022AIZ8170.zip", "2022AIZ8170_A2.zip", "2023AIB2080.zip"])
def test_the_names_that_the_course_asks_for(tmp_path: Path, name: str) -> None:
    inspected = inspect_zip(_zip(tmp_path, name=name), ASSIGNMENT)
    assert inspected.findings == ()
    assert inspected.entry_number == name[:11]


@pytest.mark.parametrize(
    ("name", "entry_number", "expected"),
    [
        ("2022aiz8170.zip", "2022AIZ8170", "it should be 2022AIZ8170.zip"),
        ("2022aiz8170_a2.ZIP", "2022AIZ8170", "it should be 2022AIZ8170_A2.zip"),
        ("2022AIZ8170_A2 (1).zip", "2022AIZ8170", "2022AIZ8170.zip or 2022AIZ8170_A2.zip"),
        ("final-2022AIZ8170.zip", "2022AIZ8170", "2022AIZ8170.zip or 2022AIZ8170_A2.zip"),
        ("2022AIZ8170_2022AIZ8170.zip", "2022AIZ8170", "2022AIZ8170.zip"),
        ("2022AIZ8170_2022AIZ8171.zip", None, "no entry number"),
        ("12022AIZ81701.zip", None, "no entry number"),
        ("submission.zip", None, "it should be like 2023AIB2080.zip or 2023AIB2080_A2.zip"),
        ("\u202epiz.zip", None, "\\u202epiz.zip"),
        ("2022A\u017fZ8170.zip", None, "no entry number"),  # a long s is no S
    ],
)
def test_other_names_are_graded_and_named(
    tmp_path: Path, name: str, entry_number: str | None, expected: str
) -> None:
    inspected = inspect_zip(_zip(tmp_path, name=name), ASSIGNMENT)
    finding = _only(inspected.findings)
    assert (finding.code, finding.severity) == ("zip.name", Severity.WARNING)
    assert expected in finding.message
    assert finding.message.isprintable()
    assert inspected.accepted
    assert inspected.entry_number == entry_number


def test_an_entry_number_in_small_letters_where_the_course_issues_such(tmp_path: Path) -> None:
    course = dataclasses.replace(ASSIGNMENT, entry_number="[a-z]{2}[0-9]{4}")
    inspected = inspect_zip(_zip(tmp_path, name="CS1234.zip"), course)
    assert inspected.entry_number == "cs1234"
    assert "it should be cs1234.zip" in _only(inspected.findings).message


@pytest.mark.parametrize("name", ["nothing.zip", "a\0b.zip", "a" * 300 + ".zip", "f/x.zip"])
def test_a_path_where_nothing_lies_is_the_callers_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        inspect_zip(tmp_path / name, ASSIGNMENT)
    assert caught.value.hint
    assert caught.value.message.isprintable()


def test_what_is_no_file_at_all(tmp_path: Path) -> None:
    folder, pipe, plug = (tmp_path / name for name in ("folder", "pipe", "socket"))
    folder.mkdir()
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(plug))
        for path, kind in (
            (folder, "a folder"),
            (pipe, "a named pipe"),
            (plug, "a socket"),
            (Path("/dev/null"), "a device"),
        ):
            inspected = inspect_zip(path, ASSIGNMENT)
            assert not inspected.accepted
            assert inspected.findings[-1].code == "zip.not-a-zip"
            assert kind in inspected.findings[-1].message
            assert inspected.sha256 == ""


def test_a_renamed_archive_is_called_by_its_true_name(tmp_path: Path) -> None:
    finding = _only(inspect_zip(_zip(tmp_path, b"Rar!\x1a\x07\x01\0"), ASSIGNMENT).findings)
    assert finding.code == "zip.not-a-zip"
    assert "a RAR archive" in finding.message
    assert "renaming" in finding.hint


def test_a_link_to_a_zip_is_followed(tmp_path: Path) -> None:
    (tmp_path / "2022AIZ8170.zip").symlink_to(_zip(tmp_path, name="store"))
    assert inspect_zip(tmp_path / "2022AIZ8170.zip", ASSIGNMENT).findings == ()


def test_an_unreadable_zip_is_not_the_students_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _zip(tmp_path)

    def denied(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(steady_file.os, "open", denied)
    finding = _only(inspect_zip(path, ASSIGNMENT).findings)
    assert (finding.code, finding.fault) == ("zip.unreadable", Fault.GRADER)
    assert "Permission denied" in finding.message


def test_a_zip_above_the_limit_is_not_even_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _zip(tmp_path)
    os.truncate(path, LIMITS.zip_bytes + 1)
    monkeypatch.setattr(module, "SteadyFile", None)
    inspected = inspect_zip(path, ASSIGNMENT)
    finding = _only(inspected.findings)
    assert (finding.code, finding.fault) == ("zip.archive-too-large", Fault.LIMIT)
    assert inspected.sha256 == ""


def test_a_zip_that_changes_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _zip(tmp_path)
    read = module.read_zip_directory

    def meanwhile(*arguments: object, **options: object) -> object:
        with path.open("ab") as file:
            file.write(b"more")
        return read(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "read_zip_directory", meanwhile)
    with pytest.raises(UsageError, match="changed while it was read"):
        inspect_zip(path, ASSIGNMENT)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"member_bytes": 99}, "zip.member-too-large"),
        ({"unpacked_bytes": 149}, "zip.too-large"),
        ({"members": 2}, "zip.too-many-members"),
        ({"depth": 1}, "zip.too-deep"),
    ],
)
def test_each_limit_is_met_exactly(tmp_path: Path, limits: dict[str, int], code: str) -> None:
    path = _zip(tmp_path, build([Member(b"a", b"1" * 100), Member(b"f/b", b"2" * 50)]))
    finding = _only(inspect_zip(path, _limited(**limits)).findings)
    assert (finding.code, finding.fault) == (code, Fault.LIMIT)
    relaxed = {name: limit + 1 for name, limit in limits.items()}
    assert inspect_zip(path, _limited(**relaxed)).findings == ()


def test_the_ratio_counts_only_where_it_can_hurt(tmp_path: Path) -> None:
    small = _zip(tmp_path, build([Member(b"a", bytes(1 << 20), method=DEFLATED)]))
    assert inspect_zip(small, ASSIGNMENT).findings == ()
    large = _zip(tmp_path, build([Member(b"a", bytes((1 << 20) + 1), method=DEFLATED)]))
    assert {f.code for f in inspect_zip(large, ASSIGNMENT).findings} == {"zip.ratio"}
    assert inspect_zip(large, _limited(ratio=2000)).findings == ()


def test_many_findings_of_a_kind_become_a_count(tmp_path: Path) -> None:
    data = build(Member(b"../%d" % number) for number in range(150))
    findings = inspect_zip(_zip(tmp_path, data), ASSIGNMENT).findings
    assert {f.code for f in findings} == {"zip.traversal"}
    assert len(findings) < 10
    assert findings[-1].evidence["count"] + len(findings) - 1 == 150


def test_leftovers_are_named_and_left_out(tmp_path: Path) -> None:
    names = (
        "evaluate.py", "__MACOSX/._evaluate.py", ".DS_Store", "models/Thumbs.db", "._a",
        "models/__pycache__/x.cpython-311.pyc", "Icon\r", "desktop.ini",
    )  # fmt: skip
    data = build(Member(name.encode(), b"x") for name in names)
    inspected = inspect_zip(_zip(tmp_path, data), ASSIGNMENT)
    finding = _only(inspected.findings)
    assert (finding.code, finding.severity) == ("zip.junk", Severity.NOTE)
    assert len(finding.evidence["paths"]) == len(names) - 1
    assert [member.path for member in inspected.members] == ["evaluate.py"]


def test_a_leftover_is_no_way_around_the_vetting(tmp_path: Path) -> None:
    data = build([Member(b"evaluate.py"), Member(b"__MACOSX/../../x")])
    codes = {f.code for f in inspect_zip(_zip(tmp_path, data), ASSIGNMENT).findings}
    assert "zip.traversal" in codes


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for data in (HONEST, b"", HONEST[:40]):
        inspect_zip(_zip(tmp_path, data), ASSIGNMENT)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_generous_limits_change_nothing_for_an_honest_zip(tmp_path: Path) -> None:
    boundless = ZipLimits(1 << 60, 1 << 60, 1 << 60, 1 << 30, 1 << 20, 1e9)
    course = dataclasses.replace(ASSIGNMENT, zip_limits=boundless)
    path = _zip(tmp_path)
    assert inspect_zip(path, course) == inspect_zip(path, ASSIGNMENT)

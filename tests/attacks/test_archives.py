"""Every archive of the corpora through the door: what is hostile stays out or comes in harmless,
what is legitimate comes in whole, and nothing costs more than the limits allow."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.archives.assignment import ASSIGNMENT, LIMITS, NAME
from fixtures.archives.hostile import HOSTILE, HostileZip
from fixtures.archives.legitimate import LEGITIMATE, LegitimateZip
from fixtures.archives.records import (
    DEFLATED,
    FOLDER,
    MS_DOS,
    REGULAR,
    STORED,
    UNIX,
    UTF8,
    Member,
    build,
)
from grader.model import InspectedZip, Severity, UnpackedTree
from grader.stages.inspect_zip import inspect_zip
from grader.stages.unpack import unpack

pytestmark = pytest.mark.attack

MAX_MEMORY_BYTES = 2 << 20  # far below what any bomb unpacks to


def _open(data: bytes, folder: Path) -> tuple[InspectedZip, UnpackedTree | None]:
    path = folder / NAME
    path.write_bytes(data)
    inspected = inspect_zip(path, ASSIGNMENT)
    if not inspected.accepted:
        return inspected, None
    return inspected, unpack(inspected, folder / "tree", LIMITS)


def _codes(inspected: InspectedZip, tree: UnpackedTree | None) -> set[str]:
    return {f.code for f in (*inspected.findings, *(tree.findings if tree else ()))}


def _refused(inspected: InspectedZip, tree: UnpackedTree | None) -> bool:
    return tree is None or any(f.severity is Severity.ERROR for f in tree.findings)


def _everything_below(folder: Path) -> set[str]:
    return {
        os.path.relpath(Path(root) / name, folder)
        for root, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }


def _assert_sound(tree: UnpackedTree) -> None:
    """The tree holds exactly the files it lists: regular, read-only, one link, right hashes."""
    listed = {file.path: file for file in tree.files}
    found = set()
    for root, folders, files in os.walk(tree.root):
        for name in folders:
            assert stat.S_IMODE((Path(root) / name).lstat().st_mode) == 0o755
        for name in files:
            path = Path(root) / name
            status = path.lstat()
            assert stat.S_ISREG(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o444
            assert status.st_nlink == 1
            relative = path.relative_to(tree.root).as_posix()
            found.add(relative)
            data = path.read_bytes()
            assert listed[relative].size_bytes == len(data)
            assert listed[relative].sha256 == hashlib.sha256(data).hexdigest()
    assert found == set(listed)


def test_the_corpora_are_as_large_as_promised() -> None:
    assert len(HOSTILE) >= 200
    assert len(LEGITIMATE) >= 30
    assert len({entry.id for entry in (*HOSTILE, *LEGITIMATE)}) == len(HOSTILE) + len(LEGITIMATE)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda entry: entry.id)
def test_a_hostile_zip_is_refused_or_harmless(hostile: HostileZip, tmp_path: Path) -> None:
    data = hostile.build()
    assert data == hostile.build()
    assert len(data) <= 1 << 20
    tracemalloc.start()
    try:
        inspected, tree = _open(data, tmp_path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    codes = _codes(inspected, tree)
    assert hostile.code in codes
    assert "zip.name" not in codes
    assert _refused(inspected, tree) == hostile.refused
    assert peak_bytes < MAX_MEMORY_BYTES
    assert len(inspected.findings) < 60
    below = _everything_below(tmp_path)
    if hostile.refused:
        assert below == {NAME}
        return
    assert tree is not None
    assert {Path(name).parts[0] for name in below} == {NAME, "tree"}
    _assert_sound(tree)
    assert {file.path: (tree.root / file.path).read_bytes() for file in tree.files} == hostile.files


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda entry: entry.id)
def test_what_is_said_of_a_hostile_zip_is_safe_to_print(
    hostile: HostileZip, tmp_path: Path
) -> None:
    inspected, tree = _open(hostile.build(), tmp_path)
    for finding in (*inspected.findings, *(tree.findings if tree else ())):
        place = finding.place.path if finding.place else ""
        for text in (finding.message, finding.hint, place):
            assert text.isprintable()
            assert len(text) < 600
        assert finding.hint


@pytest.mark.parametrize("legitimate", LEGITIMATE, ids=lambda entry: entry.id)
def test_a_legitimate_zip_comes_in_whole(legitimate: LegitimateZip, tmp_path: Path) -> None:
    data = legitimate.build()
    assert data == legitimate.build()
    inspected, tree = _open(data, tmp_path)
    assert inspected.accepted
    assert tree is not None
    _assert_sound(tree)
    assert {file.path: (tree.root / file.path).read_bytes() for file in tree.files} == dict(
        legitimate.files
    )
    assert _codes(inspected, tree) == legitimate.notes
    assert inspected.entry_number == "2022AIZ8170"


@pytest.mark.parametrize("legitimate", LEGITIMATE, ids=lambda entry: entry.id)
def test_python_reads_the_legitimate_corpus_too(legitimate: LegitimateZip) -> None:
    with zipfile.ZipFile(BytesIO(legitimate.build())) as archive:
        assert archive.testzip() is None
        contents = {archive.read(info) for info in archive.infolist() if not info.is_dir()}
    assert set(legitimate.files.values()) <= contents


# ------------------------------------------------------------------------------- fuzzing

_SEEDS = [entry.build() for entry in LEGITIMATE]
_INTERESTING = (
    b"\0",
    b"\xff",
    b"\xff" * 2,
    b"\xff" * 4,
    b"\0" * 4,
    b"..",
    b"/",
    b"\\",
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x07\x08",
    b"\x01\x00\x08\x00",
)
_PATCHES = st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(_INTERESTING))


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A legitimate zip with bytes replaced, put in, cut out or moved; mostly near its records,
    where a changed byte means something."""
    data = bytearray(draw(st.sampled_from(_SEEDS)))
    records = [
        position
        for signature in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK\x06\x06")
        for position in _positions(bytes(data), signature)
    ]
    for _ in range(draw(st.integers(1, 4))):
        if records and draw(st.booleans()):
            position = draw(st.sampled_from(records)) + draw(st.integers(0, 60))
        else:
            position = draw(st.integers(0, len(data)))
        position = min(position, len(data))
        patch = draw(_PATCHES)
        kind = draw(st.sampled_from(("replace", "insert", "delete", "copy")))
        if kind == "replace":
            data[position : position + len(patch)] = patch
        elif kind == "insert":
            data[position:position] = patch
        elif kind == "delete":
            del data[position : position + len(patch)]
        else:
            source = draw(st.integers(0, len(data)))
            length = draw(st.integers(1, 80))
            data[position:position] = data[source : source + length]
    return bytes(data)


_PIECES = (
    "a",
    "A",
    "b.py",
    "é",
    "e\u0301",
    "ａ",
    "/",
    "/",
    "\\",
    ".",
    "..",
    " ",
    "~",
    "c:",
    "\0",
    "\u202e",
    "\u200d",
    "‥",
    "%2e",
    "aux",
)
_NUMBERS = st.sampled_from((0, 1, 2, 8, 45, 0xFFFF, 0xFFFFFFFF))


@st.composite
def _members(draw: st.DrawFn) -> Member:
    """A member that mostly tells the truth, so that the deeper checks are reached."""
    name = "".join(draw(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=4)))
    utf8 = draw(st.booleans())
    data = b"" if name.endswith("/") else draw(st.binary(max_size=40))
    changes: dict[str, int | bytes] = {}
    if draw(st.integers(0, 7)) == 0:
        fields = ("size", "compressed", "crc", "method", "flags", "version", "extra_bytes")
        changes[draw(st.sampled_from(fields))] = draw(_NUMBERS) & 0xFFFF
    return Member(
        name.encode("utf-8" if utf8 else "cp437", "replace"),
        data,
        method=draw(st.sampled_from((STORED, DEFLATED))),
        flags=UTF8 if utf8 else 0,
        descriptor=draw(st.sampled_from(("", "", "signed", "bare", "signed64", "bare64"))),
        attributes=draw(st.sampled_from((0, 0, REGULAR, FOLDER, 0o120777 << 16, 0x10))),
        made_by=draw(st.sampled_from((MS_DOS, UNIX))),
        padding=draw(st.sampled_from((b"", b"", b"", b"?"))),
        at=draw(st.sampled_from((None, None, None, 0))),
        local=changes if draw(st.booleans()) else {},
        central=changes if draw(st.booleans()) else {},
    )


@st.composite
def _assembled(draw: st.DrawFn) -> bytes:
    """A zip put together from records instead of out of changed bytes."""
    return build(
        draw(st.lists(_members(), max_size=4)),
        prefix=draw(st.sampled_from((b"", b"", b"MZ"))),
        shifted=draw(st.booleans()),
        comment=draw(st.sampled_from((b"", b"", b"words", b"PK\x05\x06"))),
        trailing=draw(st.sampled_from((b"", b"", b"\n", b"PK\x03\x04"))),
        zip64=draw(st.sampled_from((None, None, {}, {"count": 3}))),
    )


def _positions(data: bytes, wanted: bytes) -> list[int]:
    found, position = [], data.find(wanted)
    while position >= 0:
        found.append(position)
        position = data.find(wanted, position + 1)
    return found


def _assert_python_agrees(data: bytes, inspected: InspectedZip, tree: UnpackedTree) -> None:
    """Python's zipfile sees our members with our bytes; it may see more only where a finding
    says that they were left out."""
    codes = _codes(inspected, tree)
    windows = "zip.windows-separators" in codes  # folders that Python takes for files
    with zipfile.ZipFile(BytesIO(data)) as archive:
        theirs = {info.header_offset: info for info in archive.infolist()}
        for member in inspected.members:
            info = theirs.pop(member.header_offset)
            content = b"" if member.is_dir else (tree.root / member.path).read_bytes()
            assert archive.read(info) == content
            assert info.is_dir() == member.is_dir or windows
    assert not theirs or {"zip.junk", "zip.name-untidy"} & codes


def assert_let_in_or_kept_out(data: bytes, folder: Path) -> None:
    """What must hold of any bytes whatever; `folder` is empty."""
    inspected, tree = _open(data, folder)
    if tree is None or _refused(inspected, tree):
        assert _everything_below(folder) == {NAME}
        return
    _assert_sound(tree)
    _assert_python_agrees(data, inspected, tree)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.one_of(_mutated(), _assembled()))
def test_no_mutation_gets_a_byte_through(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        assert_let_in_or_kept_out(data, Path(name))


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_survived(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        inspected, tree = _open(data, Path(name))
    assert tree is None
    assert not inspected.accepted

"""The parser against the writer without a conscience, and against Python's."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.archives.records import (
    DEFLATED,
    STORED,
    UTF8,
    Member,
    build,
    deflate,
    extra_field,
)
from grader.readers.steady_file import SteadyFile
from grader.readers.zip_directory import ZipDirectory, data_offset, read_zip_directory


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("directory") / "a.zip"


def _read(data: bytes, path: Path, max_entries: int = 10_000) -> ZipDirectory:
    path.write_bytes(data)
    with SteadyFile(path) as file:
        return read_zip_directory(file, max_entries=max_entries)


def test_one_member_field_by_field(scratch: Path) -> None:
    member = Member(b"a/b.py", b"x" * 500, method=DEFLATED, comment=b"said so", descriptor="signed")
    directory = _read(build([Member(b"first"), member]), scratch)
    assert directory.findings == ()
    entry = directory.entries[1]
    assert entry.name == b"a/b.py"
    assert (entry.method, entry.size_bytes) == (DEFLATED, 500)
    assert entry.compressed_bytes == len(deflate(b"x" * 500))
    assert entry.crc32 == zlib.crc32(b"x" * 500)
    assert entry.header_offset == 30 + len(b"first")
    assert (entry.made_by, entry.attributes >> 16) == (3, 0o100644)
    assert (entry.unicode_path, entry.links) == (None, False)


@pytest.mark.parametrize("shifted", [True, False])
def test_offsets_count_from_the_start_of_the_file(scratch: Path, shifted: bool) -> None:
    data = build([Member(b"a", b"data")], prefix=b"#!/bin/sh\n", shifted=shifted)
    directory = _read(data, scratch)
    assert [f.code for f in directory.findings] == ["zip.prefix-data"]
    with SteadyFile(scratch) as file:
        start = data_offset(file, directory.entries[0].header_offset)
    assert data[start : start + 4] == b"data"


def test_zip64_values_replace_the_full_ones(scratch: Path) -> None:
    full = 0xFFFFFFFF
    extra = extra_field(1, struct.pack("<QQQ", 5, 5, 0))
    member = Member(
        b"a",
        b"12345",
        extra=extra,
        local_extra=extra_field(1, struct.pack("<QQ", 5, 5)),
        local={"size": full, "compressed": full},
        central={"size": full, "compressed": full, "offset": full},
    )
    directory = _read(build([member], zip64={}, end={"count": 0xFFFF, "offset": full}), scratch)
    assert directory.findings == ()
    assert directory.entries[0].size_bytes == directory.entries[0].compressed_bytes == 5
    assert directory.entries[0].header_offset == 0


def test_zip64_values_that_repeat_what_is_known_are_no_lie(scratch: Path) -> None:
    extra = extra_field(1, struct.pack("<QQ", 5, 5))
    assert _read(build([Member(b"a", b"12345", extra=extra)]), scratch).findings == ()


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_descriptor_is_measured_by_what_follows(scratch: Path, count: int) -> None:
    # size 0: the 32-bit and the 64-bit form begin with the same bytes
    for form in ("signed", "bare", "signed64", "bare64"):
        members = [Member(b"%d" % n, b"x" * count, descriptor=form) for n in range(3)]
        assert _read(build(members), scratch).findings == ()


def test_a_directory_longer_than_the_window(scratch: Path) -> None:
    members = [Member(b"%0200d" % n, comment=b"c" * (n % 90)) for n in range(2000)]
    directory = _read(build(members), scratch)
    assert directory.findings == ()
    assert [entry.name for entry in directory.entries] == [member.name for member in members]


def test_no_more_entries_than_allowed_are_kept(scratch: Path) -> None:
    data = build(Member(b"%d" % n) for n in range(50))
    assert len(_read(data, scratch, max_entries=50).entries) == 50
    refused = _read(data, scratch, max_entries=49)
    assert refused.entries == ()
    assert [f.code for f in refused.findings] == ["zip.too-many-members"]


@pytest.mark.parametrize("comment_bytes", [0, 1, 65_535])
def test_any_comment_is_passed_over(scratch: Path, comment_bytes: int) -> None:
    directory = _read(build([Member(b"a")], comment=b"c" * comment_bytes), scratch)
    assert directory.findings == ()
    assert len(directory.entries) == 1


def test_a_signature_across_two_chunks_of_a_gap_is_found(scratch: Path) -> None:
    # the gap starts behind the first member's 31 bytes and is scanned in pieces of 1 MiB
    for before in range((1 << 20) - 5, (1 << 20) + 2):
        gap = b"." * before + b"PK\x03\x04" + b"." * 10
        directory = _read(build([Member(b"a", padding=gap), Member(b"b")]), scratch)
        assert [f.code for f in directory.findings] == ["zip.hidden-entries"]


@given(
    members=st.lists(
        st.builds(
            Member,
            name=st.binary(min_size=1, max_size=20),
            data=st.binary(max_size=60),
            method=st.sampled_from((STORED, DEFLATED)),
            descriptor=st.sampled_from(("", "signed", "bare", "signed64", "bare64")),
            comment=st.binary(max_size=9),
            extra=st.binary(max_size=9).map(lambda data: extra_field(0x9999, data)),
        ),
        max_size=5,
    ),
    zip64=st.sampled_from((None, {})),
)
def test_whatever_an_honest_writer_writes_is_read_as_python_reads_it(
    scratch: Path, members: list[Member], zip64: dict[str, int] | None
) -> None:
    data = build(members, zip64=zip64)
    directory = _read(data, scratch)
    assert directory.findings == ()
    assert [entry.name for entry in directory.entries] == [member.name for member in members]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry, info in zip(directory.entries, archive.infolist(), strict=True):
            assert entry.header_offset == info.header_offset
            assert entry.size_bytes == info.file_size
            assert entry.compressed_bytes == info.compress_size
            assert entry.crc32 == info.CRC
            assert entry.method == info.compress_type
            assert bool(entry.flags & UTF8) == bool(info.flag_bits & UTF8)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_finding_and_no_exception(scratch: Path, data: bytes) -> None:
    assert _read(data, scratch).findings

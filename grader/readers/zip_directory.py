"""The one trusted view of a zip: its directory, held against every other record in the file.

A zip says everything twice or three times (end record, central directory, local headers, data
descriptors), and programs differ in which they believe. This parser (PKWARE APPNOTE 6.3.10)
accepts a file only when all of them say the same and every byte between the first and the last
record belongs to exactly one of them:

    [prefix] (local header, data, [descriptor])* central directory [zip64 record, locator]
    end record, comment [trailing]

What lies outside that picture is a finding: a warning when it is inert, an error as soon as some
program could see another member, another name or other bytes than this one does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from grader.findings import found, quoted
from grader.frozen import frozen
from grader.model import Finding
from grader.readers.file_kind import HEAD_BYTES, archive_kind, file_kind
from grader.readers.steady_file import SteadyFile

_LOCAL_SIGNATURE = b"PK\x03\x04"
_CENTRAL_SIGNATURE = b"PK\x01\x02"
_END_SIGNATURE = b"PK\x05\x06"
_ZIP64_END_SIGNATURE = b"PK\x06\x06"
_ZIP64_LOCATOR_SIGNATURE = b"PK\x06\x07"
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_RECORD_SIGNATURES = (_LOCAL_SIGNATURE, _CENTRAL_SIGNATURE, _END_SIGNATURE)

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sBBHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_ZIP64_END = struct.Struct("<4sQHHLLQQQQ")
_ZIP64_LOCATOR = struct.Struct("<4sLQL")
_EXTRA_HEADER = struct.Struct("<HH")

_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF  # "the value stands in the zip64 record"
_END_FULL_VALUES = (_FULL_16, _FULL_16, _FULL_16, _FULL_16, _FULL_32, _FULL_32)
_NEWEST_VERSION = 63  # what a reader must understand of APPNOTE 6.3; nothing newer exists
_MAX_COMMENT_BYTES = 0xFFFF
_MAX_NAME_BYTES = 4096  # PATH_MAX: nothing longer can be a path; keeps the directory small
_MAX_DESCRIPTOR_BYTES = 24
_EXTRA_GUESS_BYTES = 64  # what most local headers carry: one read instead of two
_SCAN_CHUNK_BYTES = 1 << 20
_WINDOW_BYTES = 1 << 18

ENCRYPTED, DESCRIPTOR_FOLLOWS, STRONG_ENCRYPTION, UTF8, MASKED = (
    1 << 0,
    1 << 3,
    1 << 6,
    1 << 11,
    1 << 13,
)
_DEFLATE_LEVEL = 1 << 1 | 1 << 2  # how hard the writer tried: means nothing to a reader
# APPNOTE 4.4.4: patched data, enhanced methods and what is reserved change how data are read.
UNKNOWN_FLAGS = 0xFFFF & ~(
    ENCRYPTED | DESCRIPTOR_FOLLOWS | STRONG_ENCRYPTION | UTF8 | MASKED | _DEFLATE_LEVEL
)
_FLAGS_THAT_MUST_AGREE = 0xFFFF & ~(UTF8 | _DEFLATE_LEVEL)

_ZIP64_EXTRA, _PKWARE_UNIX_EXTRA, _ASI_UNIX_EXTRA, _UNICODE_PATH_EXTRA = (
    0x0001,
    0x000D,
    0x756E,
    0x7075,
)


@frozen
class DirectoryEntry:
    """One member as the central directory tells it and its local header bears out.

    `name` is the raw bytes; `header_offset` counts from the start of the file, whatever lies
    before the archive; `links` is True when an extra field names the target of a link.
    """

    name: bytes
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    header_offset: int
    made_by: int
    attributes: int
    unicode_path: bytes | None
    links: bool

    @property
    def shown(self) -> str:
        """The name for a message."""
        return quoted(self.name.decode("utf-8", "backslashreplace"), 120)


@frozen
class ZipDirectory:
    """All members in the directory's order; none when a finding says that it cannot be read."""

    entries: tuple[DirectoryEntry, ...]
    findings: tuple[Finding, ...]


class _Refused(Exception):
    """The archive has no directory that every reader would find. Never leaves this module."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.finding = found(code, message)


@frozen
class _End:
    """What the end of the file says about the directory; offsets count from the file's start."""

    directory_start: int
    directory_end: int
    shift_bytes: int  # how far the archive's offset 0 lies from the file's
    count: int


def read_zip_directory(file: SteadyFile, *, max_entries: int) -> ZipDirectory:
    """Read and cross-check the directory of `file`.

    Memory is bounded by `max_entries` names of at most 4096 bytes, whatever the file claims. A
    directory of more entries gives the finding zip.too-many-members and no entries. Raises
    UsageError when the file changes or cannot be read.
    """
    findings: list[Finding] = []
    try:
        end = _find_end(file, findings)
        entries = _read_entries(file, end, max_entries)
        _check_layout(file, end, entries, findings)
    except _Refused as refusal:
        return ZipDirectory((), (*findings, refusal.finding))
    return ZipDirectory(tuple(entries), tuple(findings))


def data_offset(file: SteadyFile, header_offset: int) -> int:
    """Where the bytes of the member begin whose vetted local header lies at `header_offset`."""
    fields = _LOCAL.unpack(file.read(header_offset, _LOCAL.size))
    return header_offset + _LOCAL.size + int(fields[9]) + int(fields[10])


# ------------------------------------------------------------------------------- the end


def _find_end(file: SteadyFile, findings: list[Finding]) -> _End:
    head = file.read(0, HEAD_BYTES)
    kind = archive_kind(head)
    if kind is not None and not head.startswith(b"PK"):
        # A checkpoint is a zip itself: stored in a tar or RAR, its end record would be found.
        raise _Refused("zip.not-a-zip", f"this is {kind}, not a zip")
    tail_start = max(0, file.size_bytes - _END.size - _MAX_COMMENT_BYTES)
    tail = file.read(tail_start, file.size_bytes - tail_start)
    position = _choose_end_record(tail, head)
    _, disk, directory_disk, disk_count, count, size, offset, comment_bytes = _END.unpack_from(
        tail, position
    )
    comment_end = position + _END.size + comment_bytes
    _check_comment(tail[position + _END.size : comment_end])
    _check_trailing(tail[comment_end:], findings)

    end_offset = directory_end = tail_start + position
    zip64 = _read_zip64_end(file, end_offset)
    if zip64 is not None:
        directory_end = end_offset - _ZIP64_LOCATOR.size - _ZIP64_END.size
        said = (disk, directory_disk, disk_count, count, size, offset)
        for short, value, full in zip(said, zip64.values, _END_FULL_VALUES, strict=True):
            if short not in {value, full}:
                raise _Refused(
                    "zip.zip64-lies", f"the end record says {short:,}, its zip64 record {value:,}"
                )
        disk, directory_disk, disk_count, count, size, offset = zip64.values
    if disk or directory_disk or disk_count != count:
        raise _Refused("zip.multi-disk", "this is one part of an archive in several parts")

    start = directory_end - size
    shift = start - offset
    if start < 0 or shift < 0:
        raise _Refused(
            "zip.truncated",
            f"the directory should be {size:,} bytes at byte {offset:,}, but the file holds only "
            f"{directory_end:,} bytes before its end record",
        )
    if zip64 is not None and zip64.record_offset + shift != directory_end:
        raise _Refused("zip.zip64-lies", "the zip64 locator points elsewhere than to the record")
    if shift and count and file.read(offset, 4) == _CENTRAL_SIGNATURE:
        raise _Refused(
            "zip.several-end-records", "the file holds two directories; programs differ in which"
        )
    return _End(start, directory_end, shift, count)


def _choose_end_record(tail: bytes, head: bytes) -> int:
    """The position in `tail` of the one end record that every reader would take."""
    positions = list(_occurrences(tail, _END_SIGNATURE, len(tail) - _END.size))
    if not positions:
        if head.startswith(_LOCAL_SIGNATURE):
            raise _Refused(
                "zip.truncated", "the file begins as a zip and has no end: a part of it is missing"
            )
        raise _Refused("zip.not-a-zip", f"this is {file_kind(head)}, not a zip")
    ends = {
        position: position
        + _END.size
        + int.from_bytes(tail[position + 20 : position + 22], "little")
        for position in positions
    }
    exact = [position for position, end in ends.items() if end == len(tail)]
    if len(exact) > 1 or (exact and exact[-1] != positions[-1]):
        raise _Refused(
            "zip.several-end-records",
            "the file ends in more than one end record; programs differ in which they believe",
        )
    if not exact and ends[positions[-1]] > len(tail):
        raise _Refused("zip.truncated", "the comment at the end of the zip is cut off")
    return positions[-1]


def _check_comment(comment: bytes) -> None:
    if any(signature in comment for signature in _RECORD_SIGNATURES):
        raise _Refused("zip.hidden-entries", "the zip's comment holds parts of another zip")


def _check_trailing(trailing: bytes, findings: list[Finding]) -> None:
    if not trailing:
        return
    if any(signature in trailing for signature in _RECORD_SIGNATURES):
        raise _Refused("zip.hidden-entries", "parts of another zip follow after the end record")
    if not trailing.strip(b"\0 \t\r\n"):
        findings.append(
            found("zip.trailing-padding", f"{len(trailing)} blank bytes after the end of the zip")
        )
    else:
        findings.append(
            found("zip.trailing-data", f"{len(trailing)} bytes follow after the end of the zip")
        )


@frozen
class _Zip64End:
    """`values`: disk, directory's disk, count on this disk, count, directory's size and offset."""

    record_offset: int  # as the locator gives it
    values: tuple[int, int, int, int, int, int]


def _read_zip64_end(file: SteadyFile, end_offset: int) -> _Zip64End | None:
    """The zip64 record before the end record at `end_offset`; None when there is no locator."""
    locator_offset = end_offset - _ZIP64_LOCATOR.size
    record_start = locator_offset - _ZIP64_END.size
    if locator_offset < 0:
        return None
    locator = file.read(locator_offset, _ZIP64_LOCATOR.size)
    if not locator.startswith(_ZIP64_LOCATOR_SIGNATURE):
        return None
    record = file.read(record_start, _ZIP64_END.size) if record_start >= 0 else b""
    if not record.startswith(_ZIP64_END_SIGNATURE):
        raise _Refused("zip.zip64-lies", "a zip64 locator without its zip64 record")
    _, record_disk, record_offset, disks = _ZIP64_LOCATOR.unpack(locator)
    _, record_bytes, _, _, *values = _ZIP64_END.unpack(record)
    if record_bytes != _ZIP64_END.size - 12:  # APPNOTE 4.3.14.1: counted without its first 12
        raise _Refused("zip.zip64-lies", f"a zip64 record that claims {record_bytes:,} bytes")
    if record_disk or disks > 1:
        raise _Refused("zip.multi-disk", "this is one part of an archive in several parts")
    disk, directory_disk, disk_count, count, size, offset = values
    return _Zip64End(record_offset, (disk, directory_disk, disk_count, count, size, offset))


def _occurrences(data: bytes, wanted: bytes, last: int) -> Iterator[int]:
    position = data.find(wanted)
    while 0 <= position <= last:
        yield position
        position = data.find(wanted, position + 1)


# ------------------------------------------------------------------------------- the directory


class _Window:
    """The bytes of [start, end) in order, read in pieces; `take` never returns fewer."""

    def __init__(self, file: SteadyFile, start: int, end: int) -> None:
        self._file = file
        self._next = start
        self._end = end
        self._buffer = b""
        self._used = 0

    @property
    def left_bytes(self) -> int:
        return self._end - self._next + len(self._buffer) - self._used

    def take(self, length_bytes: int) -> bytes:
        if length_bytes > self.left_bytes:
            raise _Refused("zip.directory-malformed", "an entry runs out of the zip's directory")
        if len(self._buffer) - self._used < length_bytes:
            wanted = min(max(length_bytes, _WINDOW_BYTES), self._end - self._next)
            self._buffer = self._buffer[self._used :] + self._file.read(self._next, wanted)
            self._next += wanted
            self._used = 0
        taken = self._buffer[self._used : self._used + length_bytes]
        self._used += length_bytes
        return taken


def _read_entries(file: SteadyFile, end: _End, max_entries: int) -> list[DirectoryEntry]:
    entries: list[DirectoryEntry] = []
    window = _Window(file, end.directory_start, end.directory_end)
    too_many = f"more than {max_entries:,} members are allowed in no submission"
    if end.count > max_entries:
        raise _Refused("zip.too-many-members", f"{end.count:,} members; {too_many}")
    while window.left_bytes:
        if len(entries) == max_entries:
            raise _Refused("zip.too-many-members", too_many)
        entries.append(_read_entry(window, end))
    if len(entries) != end.count:
        raise _Refused(
            "zip.directory-malformed",
            f"the end record counts {end.count:,} members, the directory holds {len(entries):,}",
        )
    return entries


def _read_entry(window: _Window, end: _End) -> DirectoryEntry:
    fields = _CENTRAL.unpack(window.take(_CENTRAL.size))
    signature, _, made_by, version, flags, method, _, _, crc32, compressed, size = fields[:11]
    name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset = fields[11:]
    if signature != _CENTRAL_SIGNATURE:
        raise _Refused("zip.directory-malformed", "the zip's directory holds something else")
    name = window.take(name_bytes)
    extra = window.take(extra_bytes)
    window.take(comment_bytes)

    def refused(code: str, what: str) -> _Refused:
        shown = quoted(name[:200].decode("utf-8", "backslashreplace"), 120)
        return _Refused(code, f"{shown}: {what}")

    if name_bytes > _MAX_NAME_BYTES:
        raise refused("zip.name-too-long", f"a name of {name_bytes:,} bytes")
    fields_of = _read_extra(extra)
    if fields_of is None:
        raise refused("zip.extra-malformed", "its extra fields overlap or are cut off")
    if version & 0xFF > _NEWEST_VERSION:
        raise refused("zip.method-unsupported", f"asks for version {version & 0xFF} of the format")
    values = _resolve_zip64(fields_of.get(_ZIP64_EXTRA), (size, compressed, offset), disk)
    if values is None:
        raise refused("zip.zip64-lies", "its sizes and its zip64 field do not agree")
    size, compressed, offset, disk = values
    if disk:
        raise refused("zip.multi-disk", "should lie in another part of the archive")
    return DirectoryEntry(
        name=name,
        flags=flags,
        method=method,
        crc32=crc32,
        compressed_bytes=compressed,
        size_bytes=size,
        header_offset=offset + end.shift_bytes,
        made_by=made_by,
        attributes=attributes,
        unicode_path=fields_of.get(_UNICODE_PATH_EXTRA),
        links=_names_a_link(fields_of),
    )


def _read_extra(extra: bytes) -> dict[int, bytes] | None:
    """Extra fields by their id; None when they are malformed or one that matters comes twice."""
    fields: dict[int, bytes] = {}
    position = 0
    while position + _EXTRA_HEADER.size <= len(extra):
        kind, length = _EXTRA_HEADER.unpack_from(extra, position)
        position += _EXTRA_HEADER.size
        if position + length > len(extra):
            return None
        if kind in fields and kind in {_ZIP64_EXTRA, _UNICODE_PATH_EXTRA}:
            return None
        fields[kind] = extra[position : position + length]
        position += length
    # zipalign pads with up to three zero bytes
    return fields if not extra[position:].strip(b"\0") else None


def _resolve_zip64(
    field: bytes | None, values: tuple[int, int, int], disk: int
) -> tuple[int, int, int, int] | None:
    """(size, compressed, offset, disk) with full values put in from the zip64 field, in that
    order (APPNOTE 4.5.3); None when the field lacks one, or says another where none was asked."""
    data = field or b""
    position = 0
    resolved = []
    for value in values:
        if value != _FULL_32:
            resolved.append(value)
            continue
        if position + 8 > len(data):
            return None
        resolved.append(int.from_bytes(data[position : position + 8], "little"))
        position += 8
    if disk == _FULL_16:
        if position + 4 > len(data):
            return None
        disk = int.from_bytes(data[position : position + 4], "little")
        position += 4
    size, compressed, offset = resolved
    whole = struct.pack("<QQQL", size, compressed, offset, disk)
    # Some writers always give all values; what was not asked for must then repeat the rest.
    if position != len(data) and not (len(data) in {8, 16, 24, 28} and whole.startswith(data)):
        return None
    return size, compressed, offset, disk


def _names_a_link(fields: dict[int, bytes]) -> bool:
    """Whether PKWARE's Unix field (12 bytes, then the target) or ASi's (mode at 4, target from
    14) makes the member a link."""
    asi = fields.get(_ASI_UNIX_EXTRA, b"")
    return (
        len(fields.get(_PKWARE_UNIX_EXTRA, b"")) > 12
        or len(asi) > 14
        or (len(asi) >= 6 and int.from_bytes(asi[4:6], "little") & 0o170000 == 0o120000)
    )


# ------------------------------------------------------------------------------- the whole file


def _check_layout(
    file: SteadyFile, end: _End, entries: list[DirectoryEntry], findings: list[Finding]
) -> None:
    """Hold every local header against the directory, and every byte against its record."""
    position = 0
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    starts = [min(entry.header_offset, end.directory_start) for entry in ordered]
    followings = [*starts, end.directory_start][1:]
    for entry, start, following in zip(ordered, starts, followings, strict=True):
        if start < position:
            findings.append(
                found(
                    "zip.overlap",
                    f"{entry.shown} shares its bytes with another member",
                    path=entry.shown,
                )
            )
        _check_gap(file, position, start, findings)
        data_end = _check_local(file, entry, end, findings)
        if data_end is None:
            # Without its header nobody knows where this member ends, nor what lies behind it.
            position = max(position, following)
            continue
        position = max(position, data_end)
        if entry.flags & DESCRIPTOR_FOLLOWS:
            position = max(position, _check_descriptor(file, entry, data_end, following, findings))
    _check_gap(file, position, end.directory_start, findings)


def _check_local(
    file: SteadyFile, entry: DirectoryEntry, end: _End, findings: list[Finding]
) -> int | None:
    """Where the data of `entry` ends; None (and a finding) when its header is not its own."""

    def mismatch(what: str) -> None:
        findings.append(found("zip.header-mismatch", f"{entry.shown}: {what}", path=entry.shown))

    start = entry.header_offset
    expected_bytes = _LOCAL.size + len(entry.name)
    header = file.read(start, expected_bytes + _EXTRA_GUESS_BYTES)
    if start + _LOCAL.size > end.directory_start or not header.startswith(_LOCAL_SIGNATURE):
        mismatch("where the directory says that it lies, there is no member")
        return None
    _, _, flags, method, _, _, crc32, compressed, size, name_bytes, extra_bytes = (
        _LOCAL.unpack_from(header)
    )
    data_start: int = start + _LOCAL.size + name_bytes + extra_bytes
    data_end = data_start + entry.compressed_bytes
    if data_end > end.directory_start:
        findings.append(
            found(
                "zip.overlap",
                f"{entry.shown}: its {entry.compressed_bytes:,} bytes run into the zip's directory",
                path=entry.shown,
            )
        )
        return None
    if name_bytes != len(entry.name) or header[_LOCAL.size : expected_bytes] != entry.name:
        there = header[_LOCAL.size : _LOCAL.size + name_bytes].decode("utf-8", "backslashreplace")
        mismatch(f"the member itself says that it is called {quoted(there, 120)}")
        return data_end
    if (flags ^ entry.flags) & _FLAGS_THAT_MUST_AGREE:
        mismatch("the member itself says otherwise how it is written (flags)")
    elif (flags ^ entry.flags) & UTF8 and not entry.name.isascii():
        mismatch("the member itself says otherwise how its name is encoded")
    if method != entry.method:
        mismatch(f"the member itself gives compression method {method}, not {entry.method}")
    extra = header[expected_bytes : expected_bytes + extra_bytes]
    if len(extra) < extra_bytes:
        extra = file.read(start + expected_bytes, extra_bytes)
    _check_local_extra(entry, flags, extra, (size, compressed, crc32), findings)
    return data_end


def _check_local_extra(
    entry: DirectoryEntry,
    flags: int,
    extra: bytes,
    said: tuple[int, int, int],
    findings: list[Finding],
) -> None:
    fields = _read_extra(extra)
    size, compressed, crc32 = said
    resolved = None
    if fields is not None:
        resolved = _resolve_zip64(fields.get(_ZIP64_EXTRA), (size, compressed, 0), 0)
        if resolved is None and flags & DESCRIPTOR_FOLLOWS:
            # A streaming writer does not know yet; it reserves the field and fills it with zeros.
            resolved = (0, 0, 0, 0) if fields.get(_ZIP64_EXTRA) == bytes(16) else None
        if fields.get(_UNICODE_PATH_EXTRA, entry.unicode_path) != entry.unicode_path:
            findings.append(
                found(
                    "zip.unicode-path-mismatch",
                    f"{entry.shown}: the member itself gives another Unicode name",
                    path=entry.shown,
                )
            )
    if fields is None:
        code, message = "zip.extra-malformed", "its extra fields overlap or are cut off"
    elif resolved is None:
        code, message = "zip.zip64-lies", "its sizes and its zip64 field do not agree"
    elif _names_a_link(fields) and not entry.links:
        code, message = "zip.link", "a link by its own header"
    else:
        pairs = (
            ("size", resolved[0], entry.size_bytes),
            ("compressed size", resolved[1], entry.compressed_bytes),
            ("CRC-32", crc32, entry.crc32),
        )
        unknown_yet = {0} if flags & DESCRIPTOR_FOLLOWS else set()
        wrong = [
            f"{what} {here:,} where the directory has {there:,}"
            for what, here, there in pairs
            if here not in {there, *unknown_yet}
        ]
        if not wrong:
            return
        code, message = "zip.header-mismatch", f"the member itself gives {'; '.join(wrong)}"
    findings.append(found(code, f"{entry.shown}: {message}", path=entry.shown))


def _check_descriptor(
    file: SteadyFile,
    entry: DirectoryEntry,
    data_end: int,
    following: int,
    findings: list[Finding],
) -> int:
    """Where the descriptor at `data_end` ends. It may lack its signature and have 32- or 64-bit
    sizes (APPNOTE 4.3.9); what the directory says must fit one of the four forms."""
    data = file.read(data_end, min(_MAX_DESCRIPTOR_BYTES, max(0, following - data_end)))
    fitting = []
    for sizes in ("<LLL", "<LQQ"):
        if sizes == "<LLL" and max(entry.compressed_bytes, entry.size_bytes) > _FULL_32:
            continue
        body = struct.pack(sizes, entry.crc32, entry.compressed_bytes, entry.size_bytes)
        forms = (_DESCRIPTOR_SIGNATURE + body, body)
        fitting += [data_end + len(form) for form in forms if data.startswith(form)]
    if fitting:
        return following if following in fitting else max(fitting)
    findings.append(
        found(
            "zip.descriptor-lies",
            f"{entry.shown}: what follows its data does not repeat the directory's size and CRC-32",
            path=entry.shown,
        )
    )
    return max(data_end, following)


def _check_gap(file: SteadyFile, start: int, end: int, findings: list[Finding]) -> None:
    """What lies in [start, end) belongs to no member."""
    if start >= end:
        return
    before = " before the first member" if start == 0 else f" at byte {start:,}"
    if _holds_record(file, start, end):
        findings.append(
            found(
                "zip.hidden-entries",
                f"{end - start:,} bytes{before} belong to no member of the directory and hold "
                "parts of a zip",
            )
        )
    elif start == 0:
        head = file.read(0, min(end, HEAD_BYTES))
        findings.append(
            found(
                "zip.prefix-data",
                f"the zip begins after {end:,} other bytes: {file_kind(head)}",
            )
        )
    else:
        findings.append(
            found("zip.unused-bytes", f"{end - start:,} bytes{before} belong to no member")
        )


def _holds_record(file: SteadyFile, start: int, end: int) -> bool:
    overlap = len(_LOCAL_SIGNATURE) - 1
    for offset in range(start, end, _SCAN_CHUNK_BYTES):
        chunk = file.read(offset, min(_SCAN_CHUNK_BYTES + overlap, end - offset))
        if any(signature in chunk for signature in _RECORD_SIGNATURES):
            return True
    return False

"""Vet a zip by its name, its structure and its directory, before a byte of it is unpacked."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.errors import UsageError
from grader.findings import found, listed, quoted
from grader.model import Assignment, Finding, InspectedZip, Severity, ZipLimits, ZipMember
from grader.readers.member_name import MemberPath, collision_key, decode_name, read_path
from grader.readers.steady_file import SteadyFile
from grader.readers.zip_directory import (
    ENCRYPTED,
    MASKED,
    STRONG_ENCRYPTION,
    UNKNOWN_FLAGS,
    UTF8,
    DirectoryEntry,
    read_zip_directory,
)

STORED, DEFLATED = 0, 8
_METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    95: "xz",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}
_AES_METHOD = 99
_WINDOWS_SYSTEMS = {0, 10, 11}  # "made by": MS-DOS, Windows NTFS, VFAT (APPNOTE 4.4.2)
_REPARSE_POINT = 0x400  # Windows' links
_DOS_FOLDER = 0x10
_MIN_RATIO_BYTES = 1 << 20  # a blank file of less compresses a thousandfold and harms nobody
_MAX_FINDINGS_OF_A_CODE = 5
_MIB = 1 << 20

# What operating systems and Python leave behind. Bytecode, because it would run in place of the
# source that is checked.
_JUNK_FOLDERS = frozenset({"__MACOSX", "__pycache__"})
_JUNK_FILES = frozenset(
    {".DS_Store", ".localized", "Icon\r", "Thumbs.db", "ehthumbs.db", "desktop.ini"}
)
_JUNK_PREFIX = "._"  # AppleDouble: macOS's resource forks

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def inspect_zip(path: Path, assignment: Assignment) -> InspectedZip:
    """Vet the zip at `path` against the assignment's names and limits; unpacks nothing.

    Reads the file once for its SHA-256 and its headers again, in pieces: memory is bounded by
    `zip_limits.members`, not by the file. Raises UsageError when there is nothing at `path`, or
    when the file changes while it is read.
    """
    entry_number, findings = read_entry_number(path.name, assignment)
    limits = assignment.zip_limits

    def refused(code: str, message: str, size_bytes: int = 0) -> InspectedZip:
        named = (*findings, found(code, message, path=quoted(path.name, 200)))
        return InspectedZip(path, "", size_bytes, entry_number, (), named)

    status = _look_at(path)
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        return refused("zip.not-a-zip", f"this is {kind}, not a zip")
    if status.st_size > limits.zip_bytes:
        return refused(
            "zip.archive-too-large",
            f"the zip is {_mib(status.st_size)}, at most {_mib(limits.zip_bytes)} are allowed",
            status.st_size,
        )
    try:
        file = SteadyFile(path)
    except OSError as error:
        return refused(
            "zip.unreadable", f"the file cannot be read: {error.strerror}", status.st_size
        )
    with file:
        sha256 = file.sha256()
        directory = read_zip_directory(file, max_entries=limits.members)
    findings += directory.findings
    members = _vet_members(directory.entries, limits, findings)
    _check_cost(members, file.size_bytes, limits, findings)
    return InspectedZip(
        path=path,
        sha256=sha256,
        size_bytes=file.size_bytes,
        entry_number=entry_number,
        members=tuple(members),
        findings=tuple(_bounded(findings)),
        identity=file.identity,
    )


def _look_at(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file can be called so"
        raise UsageError(
            f"{quoted(str(path), 300)}: {reason}", hint="check the spelling of the zip's path"
        ) from error


# ------------------------------------------------------------------------------- the zip's name


def read_entry_number(name: str, assignment: Assignment) -> tuple[str | None, list[Finding]]:
    """The student's entry number, and a finding when the name is not one of the accepted ones."""
    templates = assignment.zip_names
    entry = f"(?P<entry>{assignment.entry_number})"
    for flags in (re.ASCII, re.ASCII | re.IGNORECASE):
        for template in templates:
            before, _, after = template.partition("{entry}")
            match = re.fullmatch(re.escape(before) + entry + re.escape(after), name, flags)
            if match is None:
                continue
            number = _as_issued(match["entry"], assignment)
            right = template.replace("{entry}", number)
            return number, [] if name == right else [_misnamed(name, f"it should be {right}")]
    # Browsers and people add to names: "2022AIZ8170_A2 (1).zip", "final-2022AIZ8170.zip".
    apart = re.compile(rf"(?<![A-Za-z0-9]){entry}(?![A-Za-z0-9])", re.ASCII | re.IGNORECASE)
    numbers = {_as_issued(match["entry"], assignment) for match in apart.finditer(name)}
    found_in_it = numbers.pop() if len(numbers) == 1 else None
    shown = found_in_it or assignment.entry_example
    expected = " or ".join(template.replace("{entry}", shown) for template in templates)
    if found_in_it is None:
        expected = f"no entry number was found in it; it should be like {expected}"
    else:
        expected = f"it should be {expected}"
    return found_in_it, [_misnamed(name, expected)]


def _as_issued(number: str, assignment: Assignment) -> str:
    """The entry number in the capitals that the assignment's pattern has."""
    spellings = (number, number.upper(), number.lower())
    return next(
        (s for s in spellings if re.fullmatch(assignment.entry_number, s, re.ASCII)), number
    )


def _misnamed(name: str, expected: str) -> Finding:
    shown = quoted(name, 120)
    return found("zip.name", f"the zip is called {shown}; {expected}", path=quoted(name, 200))


# ------------------------------------------------------------------------------- the members


def _vet_members(
    entries: Iterable[DirectoryEntry], limits: ZipLimits, findings: list[Finding]
) -> list[ZipMember]:
    """The members that may be unpacked when no finding forbids it."""
    entries = tuple(entries)
    windows = _wrote_backslashes(entries)
    if windows:
        findings.append(
            found(
                "zip.windows-separators",
                "the names in the zip have backslashes between folders; read as slashes",
            )
        )
    names = _Names(limits.members)
    members: list[ZipMember] = []
    junk: list[str] = []
    tidied: list[str] = []
    legacy: list[Finding] = []
    for entry in entries:
        findings += _check_entry(entry)
        text, noted = decode_name(
            entry.name, utf8=bool(entry.flags & UTF8), unicode_path=entry.unicode_path
        )
        if text is None:
            findings += noted
            continue
        legacy += noted
        place, noted = read_path(text, windows_separators=windows, max_depth=limits.depth)
        findings += noted
        findings += _check_kind(entry, place)
        if any(finding.code == "zip.too-deep" for finding in noted):
            continue
        if _is_junk(place.path):
            junk.append(place.path)
            continue
        if place.tidied and not windows:
            tidied.append(text)
        if not place.path:  # "./", which some writers give first: the top folder itself
            continue
        findings += names.add(place.path, text, place.is_dir)
        members.append(
            ZipMember(
                path=place.path,
                is_dir=place.is_dir,
                size_bytes=entry.size_bytes,
                compressed_bytes=entry.compressed_bytes,
                crc32=entry.crc32,
                method=entry.method,
                header_offset=entry.header_offset,
            )
        )
    if names.count > limits.members:
        findings.append(
            found(
                "zip.too-many-members",
                f"with the folders that hold them, more than {limits.members:,} members are made",
            )
        )
    _note_oddities(findings, junk, tidied, legacy)
    refused = any(finding.severity is Severity.ERROR for finding in findings)
    if not refused and all(member.is_dir for member in members):
        findings.append(found("zip.empty", "there is no file in the zip"))
    return members


def _note_oddities(
    findings: list[Finding], junk: list[str], tidied: list[str], legacy: list[Finding]
) -> None:
    if junk:
        what = "file" if len(junk) == 1 else "files and folders"
        findings.append(
            found(
                "zip.junk",
                f"{len(junk)} {what} left out: {listed(sorted(junk))}",
                evidence={"paths": [quoted(path, 200) for path in sorted(junk)[:100]]},
            )
        )
    if tidied:
        findings.append(
            found("zip.name-untidy", f"names that were tidied: {listed(sorted(tidied))}")
        )
    findings += legacy


def _wrote_backslashes(entries: Iterable[DirectoryEntry]) -> bool:
    """Whether the whole archive was written by a program that takes "\\" for "/"."""
    names = [(entry.name, entry.made_by in _WINDOWS_SYSTEMS) for entry in entries]
    return any(b"\\" in name for name, _ in names) and all(
        windows and b"/" not in name for name, windows in names
    )


def _check_entry(entry: DirectoryEntry) -> Iterator[Finding]:
    """How the member is written: encryption and compression."""
    if entry.flags & (ENCRYPTED | STRONG_ENCRYPTION | MASKED) or entry.method == _AES_METHOD:
        code, what = "zip.encrypted", "is protected by a password"
    elif entry.method not in {STORED, DEFLATED}:
        name = _METHODS.get(entry.method, "an unknown one")
        code, what = "zip.method-unsupported", f"uses compression method {entry.method} ({name})"
    elif entry.flags & UNKNOWN_FLAGS:
        code, what = "zip.method-unsupported", "is written in a way that no program writes (flags)"
    elif entry.method == STORED and entry.compressed_bytes != entry.size_bytes:
        code = "zip.size-lie"
        what = f"has {entry.size_bytes:,} bytes, stored as {entry.compressed_bytes:,}"
    else:
        return
    yield found(code, f"{entry.shown} {what}", path=entry.shown)


def _check_kind(entry: DirectoryEntry, place: MemberPath) -> Iterator[Finding]:
    """Whether the member is what its name says: a file or a folder, and nothing else."""
    kind = stat.S_IFMT(entry.attributes >> 16)
    if kind == stat.S_IFLNK or entry.links or entry.attributes & _REPARSE_POINT:
        code, what = "zip.link", "is a link"
    elif kind in {stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK}:
        code, what = "zip.device", f"is {_KINDS[kind]}"
    elif not place.is_dir and (kind == stat.S_IFDIR or entry.attributes & _DOS_FOLDER):
        code, what = "zip.kind-mismatch", "is a folder by its mode and a file by its name"
    elif place.is_dir and entry.size_bytes:
        code, what = "zip.folder-with-data", f"is a folder with {entry.size_bytes:,} bytes in it"
    elif kind == stat.S_IFREG and entry.attributes >> 16 & (stat.S_ISUID | stat.S_ISGID):
        code, what = "zip.special-mode", "asks to run with the rights of another user"
    else:
        return
    yield found(code, f"{entry.shown} {what}", path=entry.shown)


def _is_junk(path: str) -> bool:
    parts = path.split("/")
    return (
        not _JUNK_FOLDERS.isdisjoint(parts)
        or parts[-1] in _JUNK_FILES
        or parts[-1].startswith(_JUNK_PREFIX)
    )


class _Names:
    """Every path that unpacking would make, and what each is confused with."""

    def __init__(self, max_paths: int) -> None:
        self._seen: dict[str, tuple[str, str, bool]] = {}
        self._folders: set[str] = set()
        self._max_paths = max_paths

    @property
    def count(self) -> int:
        return len(self._seen)

    def add(self, path: str, spelling: str, is_dir: bool) -> Iterator[Finding]:
        """Add `path` and the folders above it; `spelling` is the archive's own."""
        if self.count > self._max_paths:
            return
        parts = path.split("/")
        for length in range(1, len(parts)):
            folder = "/".join(parts[:length])
            if folder not in self._folders:
                self._folders.add(folder)
                yield from self._register(folder, folder, is_dir=True)
        if is_dir:
            self._folders.add(path)
        yield from self._register(path, spelling, is_dir=is_dir)

    def _register(self, path: str, spelling: str, *, is_dir: bool) -> Iterator[Finding]:
        key = collision_key(path)
        if key not in self._seen:
            self._seen[key] = (path, spelling, is_dir)
            return
        other_path, other_spelling, other_is_dir = self._seen[key]
        if path == other_path and is_dir and other_is_dir:
            return
        shown, other_shown = quoted(spelling, 100), quoted(other_spelling, 100)
        if path == other_path and is_dir != other_is_dir:
            code, message = "zip.file-folder-conflict", f"{shown} is both a file and a folder"
        elif spelling == other_spelling:
            code, message = "zip.duplicate-name", f"{shown} is in the zip more than once"
        else:
            code, why = _collision(path, other_path, spelling, other_spelling)
            message = f"{shown} and {other_shown} {why}"
        yield found(code, message, path=quoted(path, 200))


def _collision(path: str, other: str, spelling: str, other_spelling: str) -> tuple[str, str]:
    """The code, and how two names that share a key differ."""
    if path == other:
        if unicodedata.normalize("NFC", spelling) == unicodedata.normalize("NFC", other_spelling):
            return "zip.unicode-collision", "are one name, written in two ways"
        return "zip.duplicate-name", "are one path"
    if path.lower() == other.lower():
        return "zip.case-collision", "differ only in capitals"
    if path.isascii() and other.isascii():
        return "zip.windows-collision", "differ only in dots and spaces that Windows drops"
    return "zip.unicode-collision", "are one name to some systems"


# ------------------------------------------------------------------------------- what it costs


def _check_cost(
    members: Iterable[ZipMember], zip_bytes: int, limits: ZipLimits, findings: list[Finding]
) -> None:
    total = 0
    for member in members:
        total += member.size_bytes
        shown = quoted(member.path, 120)
        if member.size_bytes > limits.member_bytes:
            findings.append(
                found(
                    "zip.member-too-large",
                    f"{shown} unpacks to {_mib(member.size_bytes)}, at most "
                    f"{_mib(limits.member_bytes)} are allowed",
                    path=quoted(member.path, 200),
                )
            )
        if _is_bomb(member.size_bytes, member.compressed_bytes, limits.ratio):
            findings.append(
                found(
                    "zip.ratio",
                    f"{shown} unpacks to {_mib(member.size_bytes)} from "
                    f"{member.compressed_bytes:,} bytes, more than {limits.ratio:g} times as much",
                    path=quoted(member.path, 200),
                )
            )
    if total > limits.unpacked_bytes:
        findings.append(
            found(
                "zip.too-large",
                f"the zip unpacks to {_mib(total)}, at most {_mib(limits.unpacked_bytes)} are "
                "allowed",
            )
        )
    if _is_bomb(total, zip_bytes, limits.ratio):
        findings.append(
            found(
                "zip.ratio",
                f"the zip unpacks to {_mib(total)} from {zip_bytes:,} bytes, more than "
                f"{limits.ratio:g} times as much",
            )
        )


def _is_bomb(size_bytes: int, compressed_bytes: int, ratio: float) -> bool:
    return size_bytes > _MIN_RATIO_BYTES and size_bytes > ratio * max(compressed_bytes, 1)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:,.1f} MiB"


def _bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first findings of each code and, where there are more, one that counts the rest."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    for code, alike in by_code.items():
        yield from alike[:_MAX_FINDINGS_OF_A_CODE]
        rest = alike[_MAX_FINDINGS_OF_A_CODE:]
        if rest:
            places = [finding.place.path for finding in rest if finding.place is not None]
            yield found(
                code,
                f"and {len(rest):,} more like this",
                evidence={"count": len(rest), "paths": places[:100]},
            )

"""Write the members of a vetted zip into a fresh folder, believing nothing that they say.

Every byte is counted and hashed while it is inflated; nothing is opened by a path, only by a name
below a folder that this module itself has just made.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from grader.errors import InternalFault, UsageError
from grader.findings import found, listed, quoted
from grader.model import Finding, InspectedZip, TreeFile, UnpackedTree, ZipLimits, ZipMember
from grader.readers.file_kind import HEAD_BYTES, archive_kind
from grader.readers.steady_file import SteadyFile
from grader.readers.zip_directory import data_offset
from grader.stages.inspect_zip import DEFLATED

_CHUNK_BYTES = 1 << 18
# Readable by the unprivileged user of the sandbox, writable by nobody; folders stay the owner's
# to write, so that the tree can be removed.
_FILE_MODE, _FOLDER_MODE = 0o444, 0o755
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# Formats that are zips or compressed by nature: a checkpoint is no archive that someone forgot.
_COMPRESSED_BY_NATURE = frozenset(
    {".pt", ".pth", ".ckpt", ".th", ".bin", ".npz", ".keras", ".whl", ".docx", ".xlsx", ".pptx"}
    | {".odt", ".ods", ".svgz", ".onnx", ".mar", ".model"}
)


class _Spoiled(Exception):
    """A member is not what the directory promised. Never leaves this module."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def unpack(inspected: InspectedZip, dest: Path, limits: ZipLimits) -> UnpackedTree:
    """Unpack `inspected.members` into `dest`, which must not exist yet (its parent must).

    A member that is damaged or lies about its size makes the zip unusable: the tree is removed
    again, `files` is empty and the one error in `findings` names the member. `findings` holds
    only what unpacking found. Files are 0444, folders 0755, whatever the archive or the umask
    say; files are sorted by path.

    Raises UsageError when the zip is no longer the one that was inspected, InternalFault when it
    was refused then, or when `dest` cannot be written. Nothing stays behind in either case.
    """
    if not inspected.accepted:
        raise InternalFault(f"{quoted(str(inspected.path), 300)}: refused, so not to be unpacked")
    try:
        file = SteadyFile(inspected.path)
    except OSError as error:
        raise UsageError(
            f"{quoted(str(inspected.path), 300)}: {error.strerror}",
            hint="the zip must stay where it is until the command has ended",
        ) from error
    with file:
        if file.identity != inspected.identity and file.sha256() != inspected.sha256:
            raise UsageError(
                f"{quoted(str(inspected.path), 300)}: the file was replaced after it was vetted",
                hint="wait until the download or the copy has ended, then run the command again",
            )
        try:
            return _unpack_all(file, inspected, dest, limits)
        except OSError as error:
            raise InternalFault(
                f"{quoted(str(dest), 300)}: cannot unpack here: {error.strerror}",
                hint="the folder must be new and the disk needs room; TMPDIR names another place",
            ) from error


def _unpack_all(
    file: SteadyFile, inspected: InspectedZip, dest: Path, limits: ZipLimits
) -> UnpackedTree:
    dest.mkdir(mode=0o700)  # before the `try`: what was there already is not ours to remove
    kept = False
    findings: list[Finding] = []
    try:
        files = _write_members(file, inspected.members, dest, limits, findings)
        kept = True
        return UnpackedTree(inspected, dest, tuple(files), tuple(findings))
    except _Spoiled as spoiled:
        return UnpackedTree(inspected, dest, (), (*findings, spoiled.finding))
    finally:
        if not kept or not file.is_unchanged():
            shutil.rmtree(dest)


def _write_members(
    file: SteadyFile,
    members: tuple[ZipMember, ...],
    dest: Path,
    limits: ZipLimits,
    findings: list[Finding],
) -> list[TreeFile]:
    files: list[TreeFile] = []
    nested: list[str] = []
    left_bytes = limits.unpacked_bytes
    with _Tree(dest) as tree:
        for member in members:
            allowed_bytes = min(left_bytes, limits.member_bytes)
            chunks = _contents(file, member, allowed_bytes)
            if member.is_dir:
                tree.make_folder(member.path)
                for _ in chunks:  # nothing comes, or the member is refused
                    pass
                continue
            sha256, head = tree.write_file(member.path, chunks)
            left_bytes -= member.size_bytes
            files.append(TreeFile(member.path, member.size_bytes, sha256))
            # every suffix: "model_best.pth.tar" is a common name for a checkpoint
            suffixes = {suffix.lower() for suffix in Path(member.path).suffixes}
            if archive_kind(head) is not None and suffixes.isdisjoint(_COMPRESSED_BY_NATURE):
                nested.append(member.path)
    if nested:
        findings.append(
            found(
                "zip.nested-archive",
                f"not looked into: {listed(sorted(nested))}",
                path=quoted(min(nested), 200),
                evidence={"paths": [quoted(path, 200) for path in sorted(nested)[:100]]},
            )
        )
    return sorted(files, key=lambda entry: entry.path)


# ------------------------------------------------------------------------------- bytes


def _contents(file: SteadyFile, member: ZipMember, allowed_bytes: int) -> Iterator[bytes]:
    """The member's bytes in pieces; raises _Spoiled as soon as they are not what was promised."""
    chunks = _inflated(file, member) if member.method == DEFLATED else _stored(file, member)
    size_bytes = crc32 = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > member.size_bytes:
            raise _spoiled(
                "zip.size-lie", member, f"unpacks to more than its {member.size_bytes:,} bytes"
            )
        if size_bytes > allowed_bytes:
            raise _spoiled("zip.too-large", member, "unpacks to more than is allowed")
        crc32 = zlib.crc32(chunk, crc32)
        yield chunk
    if size_bytes != member.size_bytes:
        raise _spoiled(
            "zip.size-lie",
            member,
            f"unpacks to {size_bytes:,} bytes, not to its {member.size_bytes:,}",
        )
    if crc32 != member.crc32:
        raise _spoiled(
            "zip.crc-mismatch",
            member,
            f"is damaged: its bytes have the CRC-32 {crc32:08x}, not {member.crc32:08x}",
        )


def _stored(file: SteadyFile, member: ZipMember) -> Iterator[bytes]:
    start = data_offset(file, member.header_offset)
    end = start + member.compressed_bytes
    for offset in range(start, end, _CHUNK_BYTES):
        yield file.read(offset, min(_CHUNK_BYTES, end - offset))


def _inflated(file: SteadyFile, member: ZipMember) -> Iterator[bytes]:
    """A raw deflate stream (RFC 1951) that ends exactly where the member's bytes end."""
    if member.is_dir and not member.compressed_bytes:
        return  # some writers give folders their method, and no stream
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in _stored(file, member):
        waiting = piece
        while True:
            if inflater.eof:
                raise _spoiled("zip.hidden-data", member, "more bytes follow after its data ended")
            try:
                chunk = inflater.decompress(waiting, _CHUNK_BYTES)
            except zlib.error as error:
                raise _spoiled(
                    "zip.corrupt-data", member, f"is damaged: {quoted(str(error))}"
                ) from error
            if chunk:
                yield chunk
            if inflater.unused_data:
                raise _spoiled("zip.hidden-data", member, "more bytes follow after its data ended")
            waiting = inflater.unconsumed_tail
            # A full chunk may leave output inside zlib even when all input has been taken.
            if inflater.eof or (not waiting and len(chunk) < _CHUNK_BYTES):
                break
    if not inflater.eof:
        raise _spoiled("zip.corrupt-data", member, "is damaged: its compressed data end too early")


def _spoiled(code: str, member: ZipMember, what: str) -> _Spoiled:
    shown = quoted(member.path, 120)
    return _Spoiled(found(code, f"{shown} {what}", path=quoted(member.path, 200)))


# ------------------------------------------------------------------------------- files


class _Tree:
    """A folder that is written by descriptors only: no link below it is ever followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: list[tuple[str, int]] = []  # the folders down to the one written last
        self._made: set[str] = set()

    def __enter__(self) -> _Tree:
        self._root_fd = os.open(self._root, _FOLDER)
        os.fchmod(self._root_fd, _FOLDER_MODE)
        return self

    def __exit__(self, *exception: object) -> None:
        self._leave(0)
        os.close(self._root_fd)

    def make_folder(self, path: str) -> None:
        """Make `path` and what is above it."""
        self._enter(_safe_parts(path))

    def _enter(self, parts: list[str]) -> int:
        """The descriptor of a folder, made where it is missing; good until the next call."""
        common = 0
        while common < min(len(parts), len(self._open)) and parts[common] == self._open[common][0]:
            common += 1
        self._leave(common)
        for depth in range(common, len(parts)):
            parent = self._open[-1][1] if self._open else self._root_fd
            so_far = "/".join(parts[: depth + 1])
            if so_far not in self._made:
                os.mkdir(parts[depth], mode=0o700, dir_fd=parent)
            fd = os.open(parts[depth], _FOLDER, dir_fd=parent)
            self._open.append((parts[depth], fd))
            if so_far not in self._made:
                self._made.add(so_far)
                os.fchmod(fd, _FOLDER_MODE)
        return self._open[-1][1] if self._open else self._root_fd

    def write_file(self, path: str, chunks: Iterator[bytes]) -> tuple[str, bytes]:
        """Write a new file; its SHA-256 and its first HEAD_BYTES."""
        *above, name = _safe_parts(path)
        fd = os.open(name, _NEW_FILE, _FILE_MODE, dir_fd=self._enter(above))
        try:
            digest = hashlib.sha256()
            head = b""
            for chunk in chunks:
                digest.update(chunk)
                if len(head) < HEAD_BYTES:
                    head += chunk[: HEAD_BYTES - len(head)]
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(fd, rest) :]
            if stat.S_IMODE(os.fstat(fd).st_mode) != _FILE_MODE:  # an umask took something away
                os.fchmod(fd, _FILE_MODE)
        finally:
            os.close(fd)
        return digest.hexdigest(), head

    def _leave(self, depth: int) -> None:
        while len(self._open) > depth:
            os.close(self._open.pop()[1])


def _safe_parts(path: str) -> list[str]:
    """The names in `path`. The vetting promised that each stays below its folder; this is the
    lock behind that door."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise InternalFault(f"{quoted(path)}: an unsafe path came through the vetting")
    return parts

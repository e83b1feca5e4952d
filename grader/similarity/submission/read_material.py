"""A zip or folder → everything that is compared beside the source: nothing is run or unpickled."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grader.errors import UsageError
from grader.model import Assignment, Severity
from grader.readers.json_file import parse_json
from grader.readers.regular_file import RefusedFileError, read_regular_head
from grader.similarity.source.read_sources import FoundSubmission, decode_text
from grader.stages.inspect_zip import inspect_zip, read_entry_number
from grader.stages.unpack import unpack

CHECKPOINT_SUFFIXES = frozenset({".pth", ".pt", ".ckpt", ".th", ".safetensors", ".bin"})
_TEXT_SUFFIXES = frozenset(
    {".py", ".ipynb", ".md", ".txt", ".log", ".json", ".csv", ".tsv", ".yaml", ".yml", ".toml"}
    | {".cfg", ".ini", ".sh", ".tex", ".html", ".xml", ".out", ".err", ".rst", ".sbatch", ".pbs"}
)
_TEXT_BYTES = 256 << 10
_NOTEBOOK_BYTES = 8 << 20
_ALL_TEXT_BYTES = 4 << 20
_BINARY_HEAD_BYTES = 64 << 10  # where pictures and documents keep who made them
_MAX_FILES = 5_000
_SKIPPED = frozenset({"__pycache__", "__MACOSX", ".git", ".venv", "venv", "node_modules"})
_UNIX_TIMES = 0x5455  # extra field "UT": seconds since 1970 in UTC (Info-ZIP, appnote-iz)


@dataclass(frozen=True, slots=True)
class MaterialFile:
    """One file. `written`: when it was last changed; without a zone where the zip has none."""

    path: str
    size_bytes: int
    sha256: str
    written: datetime | None


@dataclass(frozen=True, slots=True)
class MaterialText:
    """What one file says, line by line. `numbered`: as the file's own lines; a notebook's texts are
    not. `binary`: printable pieces of a picture or document."""

    path: str
    lines: tuple[str, ...]
    numbered: bool = True
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Material:
    """One submission. `entry_number`: by the name of its zip; `checkpoints`: paths below `root`;
    `readable` is False when a finding forbade unpacking: everything else is empty then."""

    name: str
    entry_number: str | None
    root: Path
    files: tuple[MaterialFile, ...]
    texts: tuple[MaterialText, ...]
    checkpoints: tuple[str, ...] = ()
    readable: bool = True
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # checkpoint → its names


def read_material(found: FoundSubmission, assignment: Assignment, scratch: Path) -> Material:
    """Open a submission. `scratch` must not exist: a zip is unpacked there, and stays until the
    caller removes it. What cannot be read is left out; the comparison of sources has said so."""
    number, _ = read_entry_number(f"{found.name}.zip", assignment)
    empty = Material(found.name, number, scratch, (), (), readable=False)
    if found.path.is_dir():
        written = {path: _disk_time(found.path / path) for path in _below(found.path)}
        zips = [path for path in written if path.lower().endswith(".zip")]
        if len(zips) == 1 and not any(path.endswith((".py", ".ipynb")) for path in written):
            # Platforms pack each student's upload into a folder.
            return _read_zip(found.path / zips[0], empty, assignment)
        return _gather(replace(empty, root=found.path, readable=True), written)
    if found.path.suffix.lower() == ".zip":
        return _read_zip(found.path, empty, assignment)
    written = {found.path.name: _disk_time(found.path)}
    return _gather(replace(empty, root=found.path.parent, readable=True), written)


def _read_zip(path: Path, empty: Material, assignment: Assignment) -> Material:
    inspected = inspect_zip(path, assignment)
    if not inspected.accepted:
        return empty
    try:
        tree = unpack(inspected, empty.root, assignment.zip_limits)
    except UsageError:
        return empty  # replaced while it was read: the comparison of sources has said so
    if any(finding.severity is Severity.ERROR for finding in tree.findings):
        return empty
    times = _zip_times(path)
    number = inspected.entry_number or empty.entry_number
    written = {file.path: times.get(file.path) for file in tree.files}
    return _gather(replace(empty, readable=True, entry_number=number), written)


def _below(folder: Path) -> Iterator[str]:
    """Paths of regular files, sorted; links are not followed."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(names):
            path = Path(place, name)
            if path.is_symlink() or not path.is_file():
                continue
            count += 1
            if count > _MAX_FILES:
                return
            yield path.relative_to(folder).as_posix()


def _disk_time(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _zip_times(path: Path) -> dict[str, datetime]:
    """When each member was changed: in UTC where the extra field says so, else as DOS keeps it."""
    times = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.replace("\\", "/").removeprefix("./").rstrip("/")
                time = _extra_time(info.extra) or _dos_time(info.date_time)
                if time is not None:
                    times[name] = time
    except (OSError, zipfile.BadZipFile, ValueError):
        return {}  # vetted and unpacked already: without dates it is as good
    return times


def _extra_time(extra: bytes) -> datetime | None:
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == _UNIX_TIMES and size >= 5 and extra[4] & 1 and len(extra) >= 9:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
                seconds=struct.unpack("<l", extra[5:9])[0]
            )
        extra = extra[4 + size :]
    return None


def _dos_time(parts: tuple[int, int, int, int, int, int]) -> datetime | None:
    try:
        return datetime(*parts) if parts[0] > 1980 else None  # 1980: the writer kept no time
    except ValueError:
        return None


def _gather(material: Material, written: Mapping[str, datetime | None]) -> Material:
    files, texts, checkpoints = [], [], []
    left_bytes = _ALL_TEXT_BYTES
    for path in sorted(written):
        if not _SKIPPED.isdisjoint(path.split("/")):
            continue
        place = material.root / path
        try:
            with place.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = place.stat().st_size
            text = _text(place, path, min(left_bytes, _TEXT_BYTES))
        except (OSError, RefusedFileError):
            continue  # gone, or none of the student's regular files
        files.append(MaterialFile(path, size, digest, written[path]))
        if text is not None:
            left_bytes -= sum(map(len, text.lines))
            texts.append(text)
        if Path(path).suffix.lower() in CHECKPOINT_SUFFIXES:
            checkpoints.append(path)
    return replace(material, files=tuple(files), texts=tuple(texts), checkpoints=tuple(checkpoints))


def _text(place: Path, path: str, limit_bytes: int) -> MaterialText | None:
    if limit_bytes <= 0:
        return None
    suffix = Path(path).suffix.lower()
    if suffix == ".ipynb":
        lines = _notebook_lines(read_regular_head(place, _NOTEBOOK_BYTES))
        return MaterialText(path, tuple(lines), numbered=False)
    if suffix in _TEXT_SUFFIXES or not suffix:
        text = decode_text(read_regular_head(place, limit_bytes))
        return None if text is None else MaterialText(path, tuple(text.splitlines()))
    if suffix in CHECKPOINT_SUFFIXES:
        return None
    head = read_regular_head(place, min(limit_bytes, _BINARY_HEAD_BYTES))
    pieces = (piece.decode("ascii") for piece in _PRINTABLE.findall(head))
    return MaterialText(path, tuple(pieces), numbered=False, binary=True)


_PRINTABLE = re.compile(rb"[\x20-\x7e]{6,400}")


def _notebook_lines(data: bytes) -> list[str]:
    """Every text in a notebook, cells, outputs and metadata, without pictures."""
    try:
        document = parse_json(data)
    except ValueError:
        return []
    lines: list[str] = []
    waiting = [document]
    while waiting and len(lines) < 20_000:
        value = waiting.pop()
        if isinstance(value, str):
            if len(value) < 20_000:  # longer ones are pictures
                lines += value.splitlines()
        elif isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, dict):
            waiting += reversed(list(value.values()))
    return lines

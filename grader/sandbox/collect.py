"""Bring out what a program left, after everything that could change it is dead.

The folders are reached by descriptors that were opened before the program started, so they outlive
its namespace. Only wanted names are opened; only regular files with one link, on the folder's own
file system, within the limits, are copied. Everything else is refused with a reason.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.errors import SandboxError
from grader.model import RunLimits
from grader.sandbox.limits import in_units
from grader.sandbox.policy import WORKDIR, is_below

_MAX_DEPTH = 16
_MAX_REFUSED = 100
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


@dataclass(frozen=True, slots=True)
class CollectedFiles:
    """Paths below `outputs` that were copied, and paths that were refused with the reason."""

    collected: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def collect_files(
    folders: Mapping[str, int], wanted: tuple[str, ...], limits: RunLimits, outputs: Path
) -> CollectedFiles:
    """Copy what is `wanted` of the inside `folders` (inside path → descriptor) to `outputs`.

    What does not exist is passed over: later stages say what is missing.
    """
    collection = _Collection(limits, outputs)
    for path in wanted:
        inside = PurePosixPath(WORKDIR, path)
        base = next(folder for folder in folders if is_below(str(inside), folder))
        target = PurePosixPath(path.lstrip("/"))
        collection.take(os.dup(folders[base]), inside.relative_to(base).parts, target)
    return CollectedFiles(tuple(collection.collected), tuple(collection.refused))


@dataclass
class _Collection:
    limits: RunLimits
    outputs: Path
    collected: dict[str, None] = field(default_factory=dict)  # a set that keeps its order
    refused: list[tuple[str, str]] = field(default_factory=list)
    entries: int = 0
    total_bytes: int = 0
    made: set[PurePosixPath] = field(default_factory=set)  # folders of `outputs`

    def refuse(self, path: PurePosixPath, reason: str) -> None:
        if len(self.refused) < _MAX_REFUSED:
            self.refused.append((str(path), reason))
        elif len(self.refused) == _MAX_REFUSED:
            self.refused.append(("...", "more was refused than is listed"))

    def take(self, folder: int, parts: tuple[str, ...], target: PurePosixPath) -> None:
        """Walk down `parts` from `folder`, which is closed here, and take what is there."""
        try:
            for part in parts[:-1]:
                inner = os.open(part, _OPEN_FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            if parts:
                self.take_entry(folder, parts[-1], target, 0)
            else:
                self.take_folder(folder, target, 0)
        except FileNotFoundError:
            return
        except OSError as error:
            self.refuse(target, f"cannot be opened ({error.strerror})")
        finally:
            os.close(folder)

    def take_entry(self, folder: int, name: str, target: PurePosixPath, depth: int) -> None:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            inner = os.open(name, _OPEN_FOLDER, dir_fd=folder)
            try:
                self.take_folder(inner, target, depth + 1)
            finally:
                os.close(inner)
            return
        if not stat.S_ISREG(status.st_mode):
            kinds = (words for test, words in _KINDS if test(status.st_mode))
            self.refuse(target, next(kinds, "not a regular file"))
            return
        if str(target) in self.collected:  # wanted by itself and as a part of a folder
            return
        descriptor = os.open(name, _OPEN_FILE, dir_fd=folder)
        try:
            self.take_file(descriptor, os.fstat(folder).st_dev, target)
        finally:
            os.close(descriptor)

    def take_folder(self, folder: int, target: PurePosixPath, depth: int) -> None:
        if depth > _MAX_DEPTH:
            self.refuse(target, f"more than {_MAX_DEPTH} folders deep")
            return
        names: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self.entries += 1
                if self.entries > self.limits.files:
                    self.refuse(target, f"holds too many files ({self.limits.files} are allowed)")
                    break
                names.append(entry.name)
        for name in sorted(names):
            path = target / name
            if not name.isprintable() or "\\" in name:
                self.refuse(path, "a name with control characters, backslashes or bad encoding")
                continue
            try:
                self.take_entry(folder, name, path, depth)
            except OSError as error:
                self.refuse(path, f"cannot be opened ({error.strerror})")

    def take_file(self, descriptor: int, device: int, target: PurePosixPath) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_dev != device:
            self.refuse(target, "not a regular file of the folder")
        elif status.st_nlink != 1:
            self.refuse(target, "a hard link: the file has more than one name")
        elif status.st_size > self.limits.file_bytes:
            allowed = in_units(self.limits.file_bytes)
            self.refuse(target, f"too large: {in_units(status.st_size)}, {allowed} are allowed")
        elif self.total_bytes + status.st_size > self.limits.disk_bytes:
            allowed = in_units(self.limits.disk_bytes)
            self.refuse(target, f"too much in all: {allowed} are allowed")
        else:
            self.total_bytes += status.st_size
            self.copy(descriptor, status.st_size, target)

    def copy(self, reader: int, size_bytes: int, target: PurePosixPath) -> None:
        path = self.outputs / target
        try:
            if target.parent not in self.made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self.made.add(target.parent)
            writer = os.open(path, _NEW_FILE, 0o666)
            try:
                while size_bytes > 0 and (sent := os.sendfile(writer, reader, None, size_bytes)):
                    size_bytes -= sent
            finally:
                os.close(writer)
        except OSError as error:
            raise SandboxError(
                f"{path}: a collected file could not be written ({error.strerror})",
                hint="The folder for outputs must be new, writable and have room.",
            ) from error
        self.collected[str(target)] = None

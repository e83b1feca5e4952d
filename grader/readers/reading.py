"""What every reader of outputs takes and returns, and the one way to open a stranger's file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.model import Finding, OutputSpec

# A working directory of more entries than this is not searched to its end.
_MAX_ENTRIES = 20_000


@dataclass(frozen=True, slots=True)
class Expected:
    """What a reader may know of the truth: names, sizes and classes, never labels or masks.

    `names`: staged image names; `sizes_px`: staged stem → (width, height) of the images that want
    a mask; `classes`: the class names in their order.
    """

    names: tuple[str, ...]
    sizes_px: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader made of an output: `value` is None when there is nothing to go on with."""

    value: Any
    findings: tuple[Finding, ...]


Reader = Callable[[Path, OutputSpec, Expected], Reading]
"""(folder of outputs, what to read there, what is expected) → Reading."""


class RefusedFileError(Exception):
    """A file is not opened, or not read to its end; the message says why."""


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file with one name, refused when they are more than `max_bytes`.

    Links, devices, pipes and sockets are never followed or waited for. Raises RefusedFileError.
    """
    data, size_bytes = _read(path, max_bytes + 1)
    if size_bytes > max_bytes:
        raise RefusedFileError(f"it has {size_bytes} bytes, {max_bytes} are read at most")
    if len(data) > max_bytes:
        raise RefusedFileError(f"it grew while it was read, past {max_bytes} bytes")
    return data


def read_regular_head(path: Path, head_bytes: int) -> bytes:
    """The first bytes of a regular file, opened like `read_regular_file`."""
    return _read(path, head_bytes)[0]


def _read(path: Path, wanted_bytes: int) -> tuple[bytes, int]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RefusedFileError("it is not a regular file")
            if status.st_nlink != 1:
                raise RefusedFileError("it has more than one name (a hard link)")
            return file.read(wanted_bytes), status.st_size
    except OSError as error:
        raise RefusedFileError(f"it cannot be read: {error.strerror}") from error


def regular_files(root: Path) -> Iterator[str]:
    """Paths of regular files below `root`, relative, POSIX, sorted within each folder."""
    seen = 0
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            seen += 1
            if seen > _MAX_ENTRIES:
                return
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path.relative_to(root).as_posix()


def find_file(root: Path, wanted: str) -> str | None:
    """The relative path of the file that plays `wanted` below `root`.

    That path itself; else one whose name differs only in case, underscores or an `s`; else the
    only file with that suffix. None when there is no such file, or no saying which it is.
    """
    if (root / wanted).is_file() and not (root / wanted).is_symlink():
        return wanted
    suffix = Path(wanted).suffix.lower()
    paths = [path for path in regular_files(root) if Path(path).suffix.lower() == suffix]
    alike = [path for path in paths if _key(Path(path).stem) == _key(Path(wanted).stem)]
    if alike:
        return min(alike, key=lambda path: (path.count("/"), path))
    return paths[0] if len(paths) == 1 else None


def _key(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum()).rstrip("s")

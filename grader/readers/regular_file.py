"""The one way to open a stranger's file: a regular file, one name, a bounded number of bytes."""

from __future__ import annotations

import os
import stat
from pathlib import Path


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

"""A file that must not change while it is read: one descriptor, its identity before and after."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from types import TracebackType

from grader.errors import UsageError
from grader.findings import quoted

_CHUNK_BYTES = 1 << 20


class SteadyFile:
    """A regular file, opened once; leaving the `with` block checks that it is still the same.

    `identity` is (device, inode, size, mtime_ns, ctime_ns). Raises UsageError when what lies at
    `path` is no regular file any more or changes before the block ends, and OSError as `os.open`
    does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # O_NONBLOCK: a FIFO put here since the caller looked must not hang us.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        self.fd = os.open(path, flags)
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self.fd)
            raise _changed(path)
        self.size_bytes = status.st_size
        self.identity = _identity(status)

    def __enter__(self) -> SteadyFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        changed = not self.is_unchanged()
        os.close(self.fd)
        if changed and (error is None or isinstance(error, UsageError)):
            raise _changed(self.path)

    def read(self, offset: int, length_bytes: int) -> bytes:
        """Up to `length_bytes` from `offset`; fewer only where the file ended when it was opened.

        Raises UsageError when it has become shorter since, or cannot be read.
        """
        wanted = max(0, min(length_bytes, self.size_bytes - offset))
        parts: list[bytes] = []
        while wanted:
            try:
                part = os.pread(self.fd, wanted, offset)
            except OSError as error:
                raise UsageError(
                    f"{quoted(str(self.path), 300)}: cannot be read: {error.strerror}",
                    hint="copy the file to another disk and try again",
                ) from error
            if not part:
                raise _changed(self.path)
            if len(part) == wanted and not parts:
                return part
            parts.append(part)
            offset += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def is_unchanged(self) -> bool:
        """Whether size and times are still those of the moment it was opened."""
        return _identity(os.fstat(self.fd)) == self.identity

    def sha256(self) -> str:
        """The hexadecimal digest of the whole file, read in pieces."""
        digest = hashlib.sha256()
        for offset in range(0, self.size_bytes, _CHUNK_BYTES):
            digest.update(self.read(offset, _CHUNK_BYTES))
        return digest.hexdigest()


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _changed(path: Path) -> UsageError:
    return UsageError(
        f"{quoted(str(path), 300)}: the file changed while it was read",
        hint="wait until the download or the copy has ended, then run the command again",
    )

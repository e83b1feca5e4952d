"""A folder of source seen lazily: only what an import asks for is listed or read.

Names are compared as they are spelled, also on a disk that ignores case, because the course's
disk does not.
"""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path


class SourceTree:
    """The files below `root`; paths are relative to it, POSIX, "" is the root itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, dict[str, bool]] = {}

    def is_file(self, path: str) -> bool:
        """Whether `path` is a regular file (through links, which an unpacked zip has none of)."""
        folder, name = posixpath.split(path)
        return bool(name) and self._entries(folder).get(name) is True

    def is_dir(self, path: str) -> bool:
        folder, name = posixpath.split(path)
        if not name:
            return not folder and self.root.is_dir()
        return self._entries(folder).get(name) is False

    def names(self, path: str) -> tuple[str, ...]:
        """The names of the files and folders in the folder `path`, sorted."""
        return tuple(sorted(self._entries(path)))

    def read(self, path: str, limit_bytes: int) -> bytes:
        """At most `limit_bytes` + 1 bytes of a regular file. Raises OSError."""
        # Not blocking: what was a file when it was listed may have become a pipe.
        descriptor = os.open(self.root / path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(f"{path} is not a regular file")
            return file.read(limit_bytes + 1)

    def _entries(self, path: str) -> dict[str, bool]:
        """Name → whether it is a regular file (False: a folder; other kinds are left out)."""
        if path not in self._folders:
            self._folders[path] = self._list(path)
        return self._folders[path]

    def _list(self, path: str) -> dict[str, bool]:
        if path and not self.is_dir(path):
            return {}
        entries: dict[str, bool] = {}
        try:
            with os.scandir(self.root / path) as listing:
                for entry in listing:
                    if entry.is_file():
                        entries[entry.name] = True
                    elif entry.is_dir():
                        entries[entry.name] = False
        except OSError:
            # A folder that may not be listed holds nothing that Python could import.
            return entries
        return entries

"""Shared memory that a run without namespaces may leave on the host.

Data loaders pass batches through files in /dev/shm. With namespaces these die with the run; without
them a killed run leaves them behind, and only its own may be removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

SHARED_MEMORY = Path("/dev/shm")  # the name that shm_open(3) uses

_BLOCK_BYTES = 512  # the unit of st_blocks


class SharedMemory:
    """Remembers what was there before a run; `clear` removes what the run left.

    With a `uid` of the run's own that is whatever this user owns. Without, it is what the grader's
    user has made since, unless a living process still has it open or mapped.
    """

    def __init__(self, uid: int | None, folder: Path = SHARED_MEMORY) -> None:
        self._uid = uid
        self._folder = folder
        self._before: set[tuple[str, int]] = set()

    def __enter__(self) -> Self:
        self._before = {(path.name, status.st_ino) for path, status in self._files()}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        owner = os.getuid() if self._uid is None else self._uid
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                status = path.lstat()
                if status.st_uid == owner:
                    yield path, status

    def _made(self) -> list[tuple[Path, os.stat_result]]:
        return [
            (path, status)
            for path, status in self._files()
            if (path.name, status.st_ino) not in self._before
        ]

    @property
    def device(self) -> int:
        """The number of the file system; no file's when there is none."""
        return self._folder.stat().st_dev if self._folder.is_dir() else -1

    def used_bytes(self) -> int:
        """What the files made since have taken."""
        return sum(status.st_blocks for _, status in self._made()) * _BLOCK_BYTES

    def clear(self) -> None:
        """Remove the files made since; call it when the run's processes are dead."""
        made = self._made()
        if not made:
            return
        used = _inodes_in_use(self._folder) if self._uid is None else set()
        for path, status in made:
            if status.st_ino not in used:
                with contextlib.suppress(OSError):
                    path.unlink()


def _inodes_in_use(folder: Path) -> set[int]:
    """Of the files below `folder` that this user's processes have mapped or open."""
    used: set[int] = set()
    prefix = f"{folder}/"
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for line in (process / "maps").read_text("utf-8", "replace").splitlines():
                fields = line.split(maxsplit=5)
                if len(fields) == 6 and fields[5].startswith(prefix):
                    used.add(int(fields[4]))
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(link.readlink()).startswith(prefix):
                        used.add(link.stat().st_ino)
    return used

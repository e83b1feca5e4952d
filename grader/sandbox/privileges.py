"""Giving up root: which user to become, and which paths that user cannot reach by itself.

No back end ever runs as root: process limits are not enforced for root, and a sandbox made by root
can still write some of the kernel's settings. An unprivileged grader needs nothing of this module.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from grader.errors import SandboxError

# Between the ranges that systemd gives to containers and the largest id that all systems accept.
_UNUSED_IDS = range(1_900_000_000, 2_000_000_000)
_counter = itertools.count()


def is_root() -> bool:
    return os.geteuid() == 0


def choose_uid(uid_map: str | None = None) -> int:
    """A user id that nobody has, another one for each run of this process.

    `uid_map`: the text of /proc/self/uid_map. In a container only some ids exist; then one near the
    end of the largest range is taken. Raises SandboxError when root is the only user there is.
    """
    if uid_map is None:
        uid_map = Path("/proc/self/uid_map").read_text()
    ranges = [range(int(a), int(a) + int(n)) for a, _, n in map(str.split, uid_map.splitlines())]
    number = (os.getpid() * 1000 + next(_counter)) % len(_UNUSED_IDS)
    wanted = _UNUSED_IDS[number]
    if any(wanted in ids for ids in ranges):
        return wanted
    largest = max(ranges, key=len, default=range(0))
    if len(largest) < 2:
        raise SandboxError(
            "the grader is root, and there is no other user to become",
            hint="Run the grader as an ordinary user.",
        )
    spare = min(10_000, len(largest) // 2)
    return largest[-1 - number % spare]


def find_covers(needed: Iterable[Path]) -> list[tuple[str, list[str]]]:
    """[(folder that other users may not enter, needed paths below it)], outermost folders only."""
    covers: dict[str, list[str]] = {}
    for path in sorted(set(needed)):
        for ancestor in reversed(path.parents):
            if not ancestor.stat().st_mode & stat.S_IXOTH:
                covers.setdefault(str(ancestor), []).append(str(path))
                break
    return sorted(covers.items())


def check_shown(path: Path, uid: int | None) -> None:
    """Raise SandboxError when `path` does not exist, or when the user `uid` that root is about to
    become could not read it or something below it."""
    try:
        status = path.stat()
    except OSError as error:
        raise SandboxError(f"{path} cannot be shown in the sandbox: {error.strerror}") from error
    if uid is None:
        return
    unreadable = _find_unreadable(str(path), status.st_dev, status.st_ino, status.st_mtime_ns)
    if unreadable is not None:
        raise SandboxError(
            f"{unreadable}: the sandbox gives up root and could not read this",
            hint=f"Let others read it (chmod -R o+rX {path}), or run the grader as its owner.",
        )


@lru_cache(maxsize=64)
def _find_unreadable(path: str, device: int, inode: int, mtime_ns: int) -> str | None:  # noqa: ARG001
    """The first file or folder that others may not read; the other arguments key the cache."""
    mode = os.stat(path).st_mode  # noqa: PTH116
    if not stat.S_ISDIR(mode):
        return None if mode & stat.S_IROTH else path
    folders = [path]
    while folders:
        folder = folders.pop()
        if os.stat(folder).st_mode & 0o005 != 0o005:  # noqa: PTH116
            return folder
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not entry.stat(follow_symlinks=False).st_mode & stat.S_IROTH:
                    return entry.path
    return None

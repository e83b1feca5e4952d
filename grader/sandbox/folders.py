"""Folders that untrusted code has filled: measured and erased without following anything.

Names may be any bytes, trees deeper than the longest path, modes hostile; so everything goes by
descriptors, and no recursion follows the tree.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MAX_DEPTH = 64
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def count_tree(folder: Path) -> tuple[int, int]:
    """Bytes and number of the entries below a host folder of the grader's own, as copied later:
    each file rounded up to whole pages."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    total_bytes = files = 0
    for directory, folders, names in os.walk(folder):
        files += len(folders) + len(names)
        for name in names:
            size = os.lstat(os.path.join(directory, name)).st_size  # noqa: PTH118
            total_bytes += -(-size // page_bytes) * page_bytes
    return total_bytes, files


def measure_untrusted(folder: int, enough: int) -> tuple[int, int]:
    """Bytes on disk and entries below the descriptor `folder` while others change it.

    Stops at more than `enough` entries; a tree deeper than any program makes counts as more.
    """
    return _measure(folder, enough, _MAX_DEPTH)


def _measure(folder: int, enough: int, depth: int) -> tuple[int, int]:
    total_bytes = files = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            files += 1
            if files > enough or depth == 0:
                return total_bytes, enough + 1
            try:
                status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
                total_bytes += status.st_blocks * _BLOCK_BYTES
                if not stat.S_ISDIR(status.st_mode):
                    continue
                inner = os.open(entry.name, _OPEN_FOLDER, dir_fd=folder)
            except OSError:
                continue  # it went away, or was closed to us: it counts as an entry all the same
            try:
                inner_bytes, inner_files = _measure(inner, enough - files, depth - 1)
            finally:
                os.close(inner)
            total_bytes += inner_bytes
            files += inner_files
    return total_bytes, files


def erase_tree(folder: Path) -> None:
    """Remove `folder` and everything below, whatever its depth, names or modes.

    Goes down one folder at a time and back by "..", so that no path grows long and no more than two
    descriptors are open. Nobody may be changing the tree any more.
    """
    current = os.open(folder, _OPEN_FOLDER)
    names: list[str] = []  # of the folders between `folder` and here
    pending = [_unlink_files(current)]  # for each of them, and for here: folders still to be erased
    try:
        while pending[-1] or names:
            if pending[-1]:
                name = pending[-1].pop()
                os.chmod(name, 0o700, dir_fd=current)
                following = os.open(name, _OPEN_FOLDER, dir_fd=current)
                names.append(name)
                pending.append(_unlink_files(following))
            else:
                following = os.open("..", _OPEN_FOLDER, dir_fd=current)
                os.rmdir(names.pop(), dir_fd=following)
                pending.pop()
            os.close(current)
            current = following
    finally:
        os.close(current)
    folder.rmdir()


def _unlink_files(folder: int) -> list[str]:
    """Remove what is no folder, and name the folders."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    return folders

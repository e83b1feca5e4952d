"""Folders that untrusted code has filled: measured and erased without following anything.

Names may be any bytes, trees deeper than the longest path, modes hostile; so everything goes by
descriptors, and no recursion follows the tree.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MAX_DEPTH = 64
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system
_NAME_IS_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
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

    A folder that is not empty has its own folders moved up to the top first, so that no path grows
    long and no more than two descriptors are open.
    """
    top = os.open(folder, _OPEN_FOLDER)
    moved = 0
    try:
        while True:
            with os.scandir(top) as entries:
                names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            if not names:
                break
            for name, is_folder in names:
                if not is_folder:
                    os.unlink(name, dir_fd=top)
                    continue
                os.chmod(name, 0o700, dir_fd=top)
                inner = os.open(name, _OPEN_FOLDER, dir_fd=top)
                try:
                    moved = _empty(inner, top, moved)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    folder.rmdir()


def _empty(inner: int, top: int, moved: int) -> int:
    """Unlink the files of `inner`, and move its folders to `top` under names not used before."""
    with os.scandir(inner) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in names:
        if not is_folder:
            os.unlink(name, dir_fd=inner)
            continue
        os.chmod(name, 0o700, dir_fd=inner)
        while True:
            moved += 1
            try:
                os.rename(name, f"erased-{moved}", src_dir_fd=inner, dst_dir_fd=top)
                break
            except OSError as error:
                if error.errno not in _NAME_IS_TAKEN:
                    raise
    return moved

"""The way from root to an unprivileged user, before any sandbox is built.

For a grader that is root. A user that owns nothing cannot enter folders such as root's home, where
the interpreter may lie. So in a mount namespace of its own, each such folder is covered by a small
empty tmpfs in which only the paths that the sandbox needs appear again, at their own names (and
everything else of the folder is gone). Then root is given up for good and the launcher's program is
started.
"""

# Importing pathlib would take longer than all the rest.
# ruff: noqa: PTH103, PTH112, PTH120
from __future__ import annotations

import os

from grader.sandbox.inside.libc import (
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    c_function,
    check,
    prctl,
)

TYPE_CHECKING = False  # as in `typing`, which is slow to import
if TYPE_CHECKING:
    from grader.sandbox.launch import Entry

# linux/sched.h, linux/mount.h, asm/signal.h
_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_SIGKILL = 9


def enter(order: Entry, parent: int) -> None:
    """Carry out `order`, as a child of the process `parent`; does not return. Raises OSError."""
    os.umask(0o022)
    if order["covers"]:
        open_the_way(order["covers"])
    os.setgroups([])
    os.setresgid(order["uid"], order["uid"], order["uid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    # set after the change of user, which forgets it; so look whether the parent is still there
    check(prctl(PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        raise OSError("the grader is gone")
    os.execve(order["argv"][0], order["argv"], order["env"])


def open_the_way(covers: list[tuple[str, list[str]]]) -> None:
    """`covers`: [(folder that is closed to others, [paths below it that are needed])]."""
    closed = ", ".join(folder for folder, _ in covers)
    check(
        c_function("unshare")(_CLONE_NEWNS),
        f"{closed} may be entered by root only (let others: chmod o+x, or keep Python and the "
        "files to grade elsewhere), and no mount namespace can be made to get around that",
    )
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    kept = [  # opened here, because a mount of another namespace cannot be bound
        (folder, [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in paths])
        for folder, paths in covers
    ]
    for folder, paths in kept:
        mount("tmpfs", folder, b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=755,size=1m")
        for path, descriptor in paths:
            source = f"/proc/self/fd/{descriptor}"
            if os.path.isdir(source):
                os.makedirs(path, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
            mount(source, path, None, _MS_BIND | _MS_REC)


def mount(
    source: str, target: str, kind: bytes | None, flags: int, data: bytes | None = None
) -> None:
    """mount(2); raises OSError."""
    function = c_function("mount")
    check(function(os.fsencode(source), os.fsencode(target), kind, flags, data), f"mount {target}")

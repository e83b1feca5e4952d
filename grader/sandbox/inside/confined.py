"""One of the grader's own helpers, which gives up what it does not need before it meets a stranger.

    python -I -m grader.sandbox.inside.confined DESCRIPTOR MODULE

DESCRIPTOR holds a marshalled `Confinement` (grader/sandbox/launch.py). MODULE is imported, its
`prepare` imports what it will need; then Landlock leaves reading below the listed folders, the
filter leaves the calls of a program that only computes, and MODULE's `serve` answers standard input
on standard output. A hole in an image library is worth no more than a wrong answer.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib import import_module

from grader.sandbox.inside.init import filter_calls, restrict_files
from grader.sandbox.inside.libc import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, check, prctl

TYPE_CHECKING = False  # as in `typing`, which is slow to import
if TYPE_CHECKING:
    from grader.sandbox.launch import Confinement


def main(descriptor: int, module: str) -> None:
    """Serve one request of `module`'s."""
    with open(descriptor, "rb") as file:
        order: Confinement = marshal.loads(file.read())
    helper = import_module(module)
    helper.prepare()
    confine(order)
    helper.serve(sys.stdin.buffer, sys.stdout.buffer)


def confine(order: Confinement) -> None:
    """Give up everything but what `order` leaves, for good. Raises OSError when that fails."""
    threads = os.listdir("/proc/self/task")  # noqa: PTH208
    if len(threads) != 1:
        raise OSError("a helper with threads cannot confine itself: each of them would have to")
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
    if order["landlock"]:
        restrict_files(order["landlock"], order["syscalls"])
    if order["seccomp"]:
        filter_calls(order["seccomp"], order["syscalls"]["seccomp"], False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""One of the grader's own helpers, which divides, and gives up what it does not need before it
meets a stranger.

    python -I -m grader.sandbox.inside.confined MODULE DESCRIPTOR

MODULE is imported, its `prepare` imports what it will need. DESCRIPTOR is a SOCK_SEQPACKET socket
to the grader, on which is said:

    grader → helper   b"answer" with three descriptors: a marshalled `Confinement`
                      (grader/sandbox/launch.py), the request, and where the answer goes
    grader → helper   b"end"
    helper → grader   b"ended"

For every request the helper forks. In the copy Landlock leaves reading below the listed folders,
the filter leaves the calls of a program that only computes, and MODULE's `serve` answers. A hole in
an image library is worth no more than a wrong answer, and only to him whose image it was: "ended"
says that the copy is dead, whether it wanted to or not, and the next request gets another one.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import sys
from importlib import import_module
from types import ModuleType

from grader.sandbox.inside.init import filter_calls, restrict_files
from grader.sandbox.inside.libc import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, check, prctl

TYPE_CHECKING = False  # as in `typing`, which is slow to import
if TYPE_CHECKING:
    from grader.sandbox.launch import Confinement

_MESSAGE_BYTES = 16
_DESCRIPTORS = 3


def main(module: str, descriptor: int) -> None:
    """Answer requests by `module` until the grader has gone."""
    helper = import_module(module)
    helper.prepare()
    threads = os.listdir("/proc/self/task")  # noqa: PTH208
    if len(threads) != 1:
        raise OSError("a helper with threads cannot divide: a copy would lack all but one of them")
    check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    while True:
        _, given, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, _DESCRIPTORS)
        if len(given) != _DESCRIPTORS:
            return  # the grader has gone
        copy = os.fork()
        if copy == 0:
            control.close()
            answer(helper, *given)
        for one in given:
            os.close(one)
        control.recv(_MESSAGE_BYTES)  # "end", or nothing: the grader has gone
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
        try:
            control.send(b"ended")
        except BrokenPipeError:
            return


def answer(helper: ModuleType, order: int, question: int, reply: int) -> None:
    """Answer one request in this fresh copy; it does not outlive it."""
    try:
        with open(order, "rb") as file:
            confine(marshal.loads(file.read()))
        with open(question, "rb") as requested, open(reply, "wb") as answered:
            helper.serve(requested, answered)
    finally:
        os._exit(0)  # what it answered says how it went; whatever it raised is the stranger's doing


def confine(order: Confinement) -> None:
    """Give up everything but what `order` leaves, for good. Raises OSError when that fails."""
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    if order["landlock"]:
        restrict_files(order["landlock"], order["syscalls"])
    if order["seccomp"]:
        filter_calls(order["seccomp"], order["syscalls"]["seccomp"], False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""One of the grader's own helpers, which divides, and gives up what it does not need before it
meets a stranger.

    python -I -m grader.sandbox.inside.confined MODULE DESCRIPTOR

MODULE is imported, its `prepare` imports what it will need. DESCRIPTOR is a SOCK_SEQPACKET socket
to the grader, on which is said:

    grader → helper   b"answer" with three descriptors: a marshalled `Confinement`
                      (grader/sandbox/launch.py), the request, and where the answer goes
    grader → helper   b"end"
    helper → grader   b"ended"

For every request the helper has forked a copy, which rehearses and waits for it. In the copy
Landlock leaves reading below the listed folders, the filter leaves the calls of a program that only
computes, and MODULE's `serve` answers; the helper forks the next one when it is dead. A hole in
an image library is worth no more than a wrong answer, and only to him whose image it was: "ended"
says that the copy is dead, whether it wanted to or not, and the next request gets another one.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import socket
import sys
from importlib import import_module
from types import ModuleType

from grader.sandbox.inside.init import filter_calls, restrict_files
from grader.sandbox.inside.libc import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    check,
    prctl,
)

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
    gc.freeze()  # what is never looked at is not copied
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    while True:
        copy, taken = stand_by(helper, control)
        os.read(taken, 1)  # nothing, as soon as the copy has a request, or the grader has gone
        os.close(taken)
        said = control.recv(_MESSAGE_BYTES)
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
        if said != b"end":
            return  # the grader has gone; or the copy had, before it took the request
        try:
            control.send(b"ended")
        except BrokenPipeError:
            return


def stand_by(helper: ModuleType, control: socket.socket) -> tuple[int, int]:
    """Fork the copy that answers the next request: its number, and a descriptor that comes to its
    end when the copy has taken the request."""
    taken, untaken = os.pipe()
    copy = os.fork()
    if copy:
        os.close(untaken)
        return copy, taken
    try:
        check(prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
        helper.rehearse()
        _, given, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, _DESCRIPTORS)
        control.close()
        os.close(taken)
        os.close(untaken)
        if len(given) == _DESCRIPTORS:  # else the grader has gone
            answer(helper, *given)
    finally:
        os._exit(0)


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

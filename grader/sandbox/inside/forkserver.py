"""Starts the processes that leave root: each is a copy of this one, which stands ready.

Run when the grader is root; one argument: the descriptor of a SOCK_SEQPACKET socket, on which is
said

    grader → here   b"start" and descriptors: a file with the marshalled order of `inside/enter.py`,
                    then those that the new process is to have, under the numbers order["inherits"]
    here → grader   the new process's id in decimal, and a descriptor of the process

To start an interpreter takes ten times as long as to divide one. Nothing of a stranger is read
here, and nothing comes back from the copies. Whoever is started is killed when this process ends,
which it does when the grader has gone.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import marshal
import os
import struct
import sys

from grader.sandbox.inside.enter import enter

_MESSAGE_BYTES = 16
_MOST_DESCRIPTORS = 64


def main(descriptor: int) -> None:
    """Serve until the grader has gone."""
    control = _socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    reaper, here = Reaper(), os.getpid()
    _signal.signal(_signal.SIGCHLD, reaper)
    while True:
        room = _socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS)
        message, rights, _, _ = control.recvmsg(_MESSAGE_BYTES, room, _socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        given = struct.unpack(f"{len(rights[0][2]) // 4}i", rights[0][2])
        reaper.waits = True
        process = os.fork()
        if process == 0:
            become(given[0], given[1:], here)
        watched = os.pidfd_open(process)
        reaper.waits = False
        reaper()
        for one in given:
            os.close(one)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", watched))]
        control.sendmsg([b"%d" % process], rights)
        os.close(watched)


class Reaper:
    """Buries the dead, who else would keep their process ids; but `waits` until there is a
    descriptor of the one that was started last, who may be among them."""

    waits = False

    def __call__(self, *_: object) -> None:
        try:
            while not self.waits and os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def become(order_file: int, given: tuple[int, ...], parent: int) -> None:
    """Turn this fresh copy into what the order says; what goes wrong is told on its stderr."""
    try:
        with open(order_file, "rb") as file:
            order = marshal.loads(file.read())
        place(given, order["inherits"])
        enter(order, parent)
    except Exception as error:  # noqa: BLE001 - whatever it is, the grader reads it there
        os.write(2, f"giving up root failed: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(1)


def place(given: tuple[int, ...], wanted: list[int]) -> None:
    """Let the descriptors `given` have the numbers `wanted`, and outlive the start of a program."""
    above = max(*wanted, *given) + 1
    moved = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, above) for one in given]
    for one, number in zip(moved, wanted, strict=True):
        os.dup2(one, number)


if __name__ == "__main__":
    main(int(sys.argv[2]))

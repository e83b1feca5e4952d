"""A sandbox's outermost process: started, as another user where the grader is root, and ended."""

from __future__ import annotations

import os
import select
import signal
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from grader.errors import SandboxError
from grader.sandbox.forkserver import start_as_user
from grader.sandbox.launch import Entry, Launch
from grader.sandbox.privileges import find_covers
from grader.sandbox.process import Child, spawn

_WAIT_SECONDS = 20.0


@dataclass(slots=True)
class Process:
    """A started sandbox: its control socket and its two output streams (non-blocking).

    `_watched` is a descriptor of the process; `_child` is there where this process has to reap it.
    """

    control: socket.socket
    stdout: int
    stderr: int
    pid: int
    _watched: int
    _child: Child | None

    def __enter__(self) -> Self:
        return self

    def kill(self) -> None:
        """End the outermost process, and with it a namespace that is still being set up."""
        try:
            signal.pidfd_send_signal(self._watched, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.control.close()  # init ends when the grader falls silent
        self.kill()
        poll = select.poll()
        poll.register(self._watched, select.POLLIN)
        has_ended = bool(poll.poll(1000 * _WAIT_SECONDS))
        for descriptor in (self.stdout, self.stderr, self._watched):
            os.close(descriptor)
        if not has_ended:
            raise SandboxError("the sandbox's own process could not be ended")
        if self._child is not None:
            self._child.wait()


def start_process(launch: Launch) -> Process:
    """Start `launch`, as another user when it names one. Raises SandboxError when that fails."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stdout, its_stdout = os.pipe()
    stderr, its_stderr = os.pipe()
    handed = (theirs.fileno(), *launch.descriptors)
    argv = [*launch.argv, str(theirs.fileno())]
    child = None
    try:
        if launch.uid is None:
            child = spawn(argv, handed, its_stdout, its_stderr)
            pid, watched = child.pid, os.pidfd_open(child.pid)
        else:
            pid, watched = _start_as(launch.uid, launch, argv, handed, its_stdout, its_stderr)
    except BaseException:
        ours.close()
        os.close(stdout)
        os.close(stderr)
        raise
    finally:
        theirs.close()
        for descriptor in (its_stdout, its_stderr, *launch.descriptors):
            os.close(descriptor)
    for stream in (stdout, stderr):
        os.set_blocking(stream, False)
    return Process(ours, stdout, stderr, pid, watched, child)


def _start_as(
    uid: int, launch: Launch, argv: list[str], handed: tuple[int, ...], stdout: int, stderr: int
) -> tuple[int, int]:
    nothing = os.open(os.devnull, os.O_RDONLY)
    order = Entry(
        uid=uid,
        covers=find_covers(launch.needed),
        argv=argv,
        env={},
        inherits=[0, 1, 2, *handed],
    )
    try:
        return start_as_user(order, [nothing, stdout, stderr, *handed])
    finally:
        os.close(nothing)

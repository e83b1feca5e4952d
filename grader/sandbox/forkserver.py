"""Start processes that leave root, for a grader that is root: see `inside/forkserver.py`.

One of them serves all threads of this process, from the first sandbox on until the grader ends.
"""

from __future__ import annotations

import atexit
import marshal
import os
import socket
import threading
from collections.abc import Sequence

from grader.errors import SandboxError
from grader.sandbox.launch import Entry
from grader.sandbox.process import Companion, inside_program, sealed_file

_WAIT_SECONDS = 20.0
_MESSAGE_BYTES = 16

_server: ForkServer | None = None
_taking_turns = threading.Lock()


def start_as_user(order: Entry, descriptors: Sequence[int]) -> tuple[int, int]:
    """Start what `order` says: the new process's id and a descriptor of it. Nobody has to reap it.

    `descriptors` are its own under the numbers order["inherits"]. Raises SandboxError.
    """
    global _server  # noqa: PLW0603 - one for all threads of the process
    with _taking_turns:
        for _ in range(2):  # the first may have been killed as it waited: out of memory, say
            if _server is None:
                _server = ForkServer()
            try:
                return _server.start(order, descriptors)
            except BaseException as error:
                # Interrupted, too: its answer would be taken for that to the next question.
                _server.end()
                _server = None
                if not isinstance(error, OSError):
                    raise
                why = error
    raise SandboxError(f"the process that starts sandboxes does not answer: {why}")


@atexit.register
def end_server() -> None:
    """End the server of this process; the next sandbox starts another."""
    global _server  # noqa: PLW0603
    if _server is not None:
        _server.end()
        _server = None


def _forget() -> None:
    """A forked process would speak on its parent's socket."""
    global _server, _taking_turns
    _server, _taking_turns = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


class ForkServer:
    """A started one."""

    def __init__(self) -> None:
        program, code = inside_program("libc", "enter", "forkserver")
        try:
            self._companion = Companion(program, code)
        finally:
            os.close(code)
        self._companion.control.settimeout(_WAIT_SECONDS)
        self.end = self._companion.end

    def start(self, order: Entry, descriptors: Sequence[int]) -> tuple[int, int]:
        """A new process's id and a descriptor of it. Raises OSError when this server is no more."""
        control, sent = self._companion.control, sealed_file(marshal.dumps(dict(order)))
        try:
            socket.send_fds(control, [b"start"], [sent, *descriptors])
            message, given, _, _ = socket.recv_fds(
                control, _MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC
            )
        finally:
            os.close(sent)
        if not message:
            raise ConnectionResetError("the process that starts sandboxes has ended")
        return int(message), given[0]

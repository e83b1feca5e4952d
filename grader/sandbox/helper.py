"""What the grader's own decoders of strangers' bytes answer: each request in a process of its own.

To start an interpreter and to import an image library takes ten times as long as to decode a
submission's masks. So a helper is started once, imports what it needs, and from then on only
divides (`grader.sandbox.inside.confined`): every request is answered by a fresh copy of it, which
stands ready, gives up everything but computing before it meets the first strange byte, and is dead
before its answer is used. The helper itself reads no request and no answer, nothing flows back to
it from its copies, and so a copy that was taken over is the last one that is.
"""

from __future__ import annotations

import atexit
import marshal
import os
import platform
import select
import socket
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from grader.errors import SandboxError
from grader.sandbox.interpreter import find_interpreter
from grader.sandbox.landlock import READ, build_landlock, landlock_abi
from grader.sandbox.launch import Confinement
from grader.sandbox.process import Companion, sealed_file
from grader.sandbox.seccomp import decoder_filter
from grader.sandbox.syscalls import syscall_numbers

_PROGRAM = "grader.sandbox.inside.confined"
# The decoder's own limits end it long before; this is for one that only sleeps.
_ANSWER_SECONDS = 900.0
_END_SECONDS = 20.0
_CHUNK_BYTES = 1 << 20
_MESSAGE_BYTES = 16


class Helper:
    """A started helper: `words` are its command but for the control socket's descriptor."""

    def __init__(self, words: Sequence[str]) -> None:
        companion = Companion(words)
        self._control, self.end = companion.control, companion.end

    def answer(
        self, order: Confinement, question: bytes, seconds: float = _ANSWER_SECONDS
    ) -> bytes | None:
        """What a copy, confined by `order`, answers within `seconds`; it is dead then.

        None when the helper is no longer there, or cannot say that the copy is dead.
        """
        reading, writing = os.pipe()
        sent = [sealed_file(marshal.dumps(dict(order))), sealed_file(question), writing]
        try:
            socket.send_fds(self._control, [b"answer"], sent)
        except OSError:
            os.close(reading)
            return None
        finally:
            for descriptor in sent:
                os.close(descriptor)
        try:
            answer = _read_until_closed(reading, seconds)
            return answer if self._told_of_end() else None
        finally:
            os.close(reading)

    def _told_of_end(self) -> bool:
        try:
            self._control.settimeout(_END_SECONDS)
            self._control.send(b"end")
            return self._control.recv(_MESSAGE_BYTES) == b"ended"
        except OSError:
            return False


_idle: dict[str, list[Helper]] = {}
# A forked process would speak on its parent's sockets.
os.register_at_fork(after_in_child=_idle.clear)


def answer_of(module: str, question: bytes, folder: Path) -> bytes:
    """What one of the grader's own helpers answers, whatever became of it.

    `module` is a decoder of strangers' bytes with the functions `prepare()`, `rehearse()` and
    `serve(requested, answered)`; before the last one, its process gives up everything but reading
    below `folder` and answering. It limits its own memory and time, and is given no variables of
    the grader's environment; its answer is for the caller to doubt. Several threads may ask at the
    same time.
    """
    order = confinement(folder)
    waiting = _idle.setdefault(module, [])
    for _ in range(2):  # the first may have been killed as it waited: a machine out of memory, say
        try:
            helper = waiting.pop()
        except IndexError:
            helper = _started(module)
        answer = None
        try:
            answer = helper.answer(order, question)
        finally:
            if answer is None:
                helper.end()
        if answer is not None:
            waiting.append(helper)
            return answer
    return b""


def get_ready(module: str) -> None:
    """Have a helper stand ready: it imports what it needs while the grader does something else."""
    waiting = _idle.setdefault(module, [])
    if not waiting:
        waiting.append(_started(module))


def _started(module: str) -> Helper:
    return Helper([sys.executable, "-I", "-m", _PROGRAM, module])


@atexit.register
def end_helpers() -> None:
    """End all that wait for a request; the next one starts another."""
    for waiting in _idle.values():
        while waiting:
            waiting.pop().end()


def confinement(folder: Path) -> Confinement:
    """Reading below `folder` and computing, by the rules that this machine's kernel has; on one
    without any, limits alone are left."""
    machine = platform.machine()
    try:
        numbers = syscall_numbers(machine)
    except SandboxError:
        return Confinement(landlock=None, seccomp=b"", syscalls={})
    abi = landlock_abi(numbers["landlock_create_ruleset"])
    readable = [*find_interpreter().folders, folder]
    return Confinement(
        landlock=build_landlock(abi, [(path, READ) for path in readable]) if abi else None,
        seccomp=_filter(machine),
        syscalls=numbers,
    )


_filter = cache(decoder_filter)


def _read_until_closed(descriptor: int, seconds: float) -> bytes:
    """Everything until the other end is closed, or as much as comes in that time."""
    until, pieces = time.monotonic() + seconds, []
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while (left := until - time.monotonic()) > 0:
        if not poll.poll(1000 * left):
            continue
        piece = os.read(descriptor, _CHUNK_BYTES)
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)

"""Start programs. The one module that uses subprocess."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from grader.errors import SandboxError
from grader.sandbox.interpreter import find_interpreter

_INSIDE = Path(__file__).parent / "inside"
_WAIT_SECONDS = 20.0

Child: TypeAlias = subprocess.Popen[bytes]


def sealed_file(content: bytes) -> int:
    """A descriptor of an unnamed file in memory that holds `content`, read from its start."""
    descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


# Makes each module of the bundle importable, in order; the last one is the program.
_BOOT = """
import marshal, sys
for name, code in marshal.loads(open(int(sys.argv[1]), "rb").read()):
    module = sys.modules[name] = type(sys)(name)
    exec(code, module.__dict__)
"""


def inside_program(*modules: str) -> tuple[list[str], int]:
    """The command for a program of `inside/`, and the descriptor that it must inherit.

    `modules` are what it imports of `inside/`, then the program itself. They are compiled here and
    handed over, which is faster than letting every run compile them again, and leaves nothing of
    the grader to be found inside. The interpreter starts without site-packages or environment.
    """
    descriptor = sealed_file(_compiled(modules))
    return [
        str(find_interpreter().executable),
        "-I",
        "-S",
        "-c",
        _BOOT,
        str(descriptor),
    ], descriptor


@cache
def _compiled(modules: tuple[str, ...]) -> bytes:
    bundle = []
    for module in modules:
        path = _INSIDE / f"{module}.py"
        name = f"grader.sandbox.inside.{module}" if module != modules[-1] else "__main__"
        code = compile(path.read_text("utf-8"), path.name, "exec", dont_inherit=True)
        bundle.append((name, code))
    return marshal.dumps(bundle)


def spawn(argv: Sequence[str], descriptors: Sequence[int], stdout: int, stderr: int) -> Child:
    """Start a sandbox's outermost process, which has `descriptors` under the same numbers and no
    environment. Raises SandboxError."""
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={},
            pass_fds=descriptors,
            cwd="/",
        )
    except OSError as error:
        raise SandboxError(f"{argv[0]} could not be started: {error}") from error


def ask_version(program: str) -> str:
    """What a program of the system answers to --version, empty when it does not: for reports."""
    try:
        completed = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_WAIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return completed.stdout.strip()


class Companion:
    """One of the grader's own helpers: a started program, which no signal of the terminal reaches,
    and the socket to it, `control`. It ends when that is closed."""

    def __init__(self, words: Sequence[str], *descriptors: int) -> None:
        """Start `words`, to which the number of its end of the socket is added; it inherits that
        and `descriptors`, and nothing else. Raises SandboxError when that fails."""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._child = subprocess.Popen(
                    [*words, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={"PYTHONDONTWRITEBYTECODE": "1"},
                    pass_fds=[theirs.fileno(), *descriptors],
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            self.control.close()
            raise SandboxError(f"{words[0]} could not be started: {error}") from error

    def end(self) -> None:
        """End it, and whatever it has started."""
        self.control.close()
        try:
            self._child.wait(_WAIT_SECONDS)
        finally:
            self._child.kill()
            self._child.wait()

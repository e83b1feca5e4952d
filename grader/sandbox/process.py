"""Start the sandbox's outermost process. The one module that uses subprocess."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from grader.errors import SandboxError
from grader.sandbox.interpreter import find_interpreter
from grader.sandbox.launch import Launch
from grader.sandbox.privileges import find_covers

_INSIDE = Path(__file__).parent / "inside"
_WAIT_SECONDS = 20.0


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


@dataclass(slots=True)
class Process:
    """A started sandbox: its control socket and its two output streams (non-blocking)."""

    control: socket.socket
    stdout: int
    stderr: int
    pid: int
    _popen: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        return self

    def kill(self) -> None:
        """End the outermost process, and with it a namespace that is still being set up."""
        if self._popen.poll() is None:
            self._popen.kill()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.control.close()  # init ends when the grader falls silent
        self.kill()
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()
        try:
            self._popen.wait(_WAIT_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise SandboxError("the sandbox's own process could not be ended") from late


def start_process(launch: Launch) -> Process:
    """Start `launch`, as another user when it names one. Raises SandboxError when that fails."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    files = list(launch.descriptors)
    argv = [*launch.argv, str(theirs.fileno())]
    try:
        if launch.uid is not None:
            files.append(sealed_file(_order_to_enter(launch, launch.uid, argv)))
            program, code = inside_program("libc", "enter")
            files.append(code)
            argv = [*program, str(files[-2])]
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            pass_fds=[*files, theirs.fileno()],
            cwd="/",
            bufsize=0,
        )
    except OSError as error:
        ours.close()
        raise SandboxError(f"{argv[0]} could not be started: {error}") from error
    finally:
        theirs.close()
        for descriptor in files:
            os.close(descriptor)
    return Process(ours, _unblocked(popen.stdout), _unblocked(popen.stderr), popen.pid, popen)


def _order_to_enter(launch: Launch, uid: int, argv: list[str]) -> bytes:
    """What `inside/enter.py` is told: whom to become, what that user could not reach by itself."""
    return marshal.dumps(
        {
            "uid": uid,
            "gid": uid,
            "covers": find_covers(launch.needed),
            "parent": os.getpid(),
            "argv": argv,
            "env": {},
        }
    )


def _unblocked(stream: IO[bytes] | None) -> int:
    if stream is None:  # pragma: no cover - both are pipes
        raise SandboxError("a started process has no output stream")
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()


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


def start_helper(argv: Sequence[str], control: int) -> subprocess.Popen[bytes]:
    """Start one of the grader's own helpers, which inherits the descriptor `control` and nothing
    else, and which no signal of the terminal reaches. Raises SandboxError when that fails."""
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
            pass_fds=[control],
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(f"{argv[0]} could not be started: {error}") from error

"""One run at a time in one results folder. The lock ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grader.errors import UsageError

_FILE_NAME = ".running"


@contextmanager
def only_run(results: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises UsageError when another run holds it."""
    path = results / _FILE_NAME
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{results}: another run is at work here: {_told(descriptor)}",
                hint=f"watch it with `grader status {results}`, or stop it with Ctrl-C first",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def who_runs(results: Path) -> str:
    """The process that is at work in the folder, in words; "" when none is."""
    try:
        descriptor = os.open(results / _FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(descriptor)
    finally:
        os.close(descriptor)
    return ""


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}", hint="choose another --out"
        ) from error


def _told(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "an unknown process"

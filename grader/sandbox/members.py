"""The processes of a run: counted, measured and ended together."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from grader.errors import SandboxError

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_BLOCK_BYTES = 512  # the unit of st_blocks
# What the kernel lets a socket hold in each direction where nobody has changed net.core.wmem_max.
_SOCKET_BYTES = 2 * 212_992
_READ_BYTES = 4096
_NUMBER_BYTES = 32  # enough for spaces and any number
_PRIVATE = (b"RssAnon", b"VmSwap", b"VmPTE")  # resident, swapped out, and what maps them
_DEATH_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sample:
    """All processes of a run together at one moment.

    `private_bytes` counts a page twice that forked processes still share; see `exact_bytes`.
    `shared_bytes`: shared memory that they have mapped, each counted for itself.
    `socket_bytes`: what the kernel may hold for their sockets at most.
    """

    tasks: int = 0
    cpu_seconds: float = 0.0
    private_bytes: int = 0
    shared_bytes: int = 0
    socket_bytes: int = 0

    def plus(self, process: _Process) -> Sample:
        return replace(
            self,
            tasks=self.tasks + process.threads,
            cpu_seconds=self.cpu_seconds + process.cpu_seconds,
            private_bytes=self.private_bytes + process.private_bytes,
            shared_bytes=self.shared_bytes + process.shared_bytes,
        )


class Members(Protocol):
    """The processes of one run."""

    def sample(self) -> Sample: ...

    def exact_bytes(self) -> int:
        """Private memory with shared pages counted once: exact, but slow."""
        ...

    def kill(self) -> None:
        """End all of them for good. Raises SandboxError when some cannot be ended."""
        ...


@dataclass(frozen=True, slots=True)
class _Process:
    state: str
    threads: int
    cpu_seconds: float
    private_bytes: int
    shared_bytes: int
    uid: int


def _read(process_list: int, path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=process_list)
    try:
        return os.read(descriptor, _READ_BYTES)
    finally:
        os.close(descriptor)


def _read_all(path: str) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
        return file.read()


def _read_process(process_list: int, pid: int) -> _Process | None:
    """What /proc says of one process (proc(5): stat, status); None when it is gone."""
    try:
        # the name in parentheses is the student's; nothing after the last ")" is
        fields = _read(process_list, f"{pid}/stat").rpartition(b")")[2].split()
        status = _read(process_list, f"{pid}/status")
    except OSError:
        return None
    if len(fields) < 18:
        return None
    return _Process(
        state=fields[0].decode("ascii", "replace"),
        threads=int(fields[17]),
        cpu_seconds=sum(map(int, fields[11:15])) / _TICKS,  # with the children it has reaped
        private_bytes=sum(_number(status, label) for label in _PRIVATE) * 1024,
        shared_bytes=_number(status, b"RssShmem") * 1024,
        uid=_number(status, b"Uid"),
    )


def _number(text: bytes, label: bytes) -> int:
    """The first number behind a line's label; 0 where it is missing, as for a dead process."""
    start = text.find(b"\n" + label + b":")
    if start < 0:
        return 0
    start += len(label) + 2
    return int(text[start : start + _NUMBER_BYTES].split(None, 1)[0])


def _exact(process_list: int, pid: int) -> int:
    """Proportional private memory of one process, 0 when it is gone."""
    try:
        rollup = _read(process_list, f"{pid}/smaps_rollup")
        status = _read(process_list, f"{pid}/status")
    except OSError:
        return 0
    kib = _number(rollup, b"Pss_Anon") + _number(rollup, b"SwapPss") + _number(status, b"VmPTE")
    return kib * 1024


def _numbers(process_list: int) -> list[int]:
    return [int(name) for name in os.listdir(process_list) if name.isdigit()]


def count_tasks(uid: int) -> int:
    """Processes and threads of the user `uid` now: the kernel's own limit counts all of them."""
    process_list = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        processes = (_read_process(process_list, pid) for pid in _numbers(process_list))
        return sum(p.threads for p in processes if p is not None and p.uid == uid)
    finally:
        os.close(process_list)


class NamespaceMembers:
    """The members of a process namespace, read from the namespace's own /proc.

    `init` is a pidfd of its process 1. When that dies, the kernel ends all others first.
    """

    def __init__(self, process_list: int, init: int) -> None:
        self._process_list = process_list
        self._init = init

    def sample(self) -> Sample:
        sample = Sample()
        for pid in _numbers(self._process_list):
            process = _read_process(self._process_list, pid)
            if process is not None and pid == 1:  # init: only the time of those it has reaped
                sample = replace(sample, cpu_seconds=sample.cpu_seconds + process.cpu_seconds)
            elif process is not None:
                sample = sample.plus(process)
        return replace(sample, socket_bytes=self._socket_bytes())

    def _socket_bytes(self) -> int:
        """All sockets of the network namespace, sent away and forgotten ones too."""
        try:
            text = _read(self._process_list, "1/net/sockstat")
        except OSError:
            return 0
        words = text.split()  # b"sockets: used 3 TCP: inuse 0 ..."
        counts = dict(pairwise(words))
        return int(counts.get(b"used", 0)) * _SOCKET_BYTES

    def exact_bytes(self) -> int:
        return sum(_exact(self._process_list, pid) for pid in _numbers(self._process_list))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._init, select.POLLIN)
        if not poll.poll(_DEATH_SECONDS * 1000):
            raise SandboxError("the processes of a run could not be ended")


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise SandboxError("the processes of a run could not be ended")


class DescendantMembers:
    """The descendants of a supervising process that adopts their orphans and reaps the dead.

    `init` is its process id; `uid` is the user that only this run has, None when it shares one.
    """

    def __init__(self, process_list: int, init: int, uid: int | None) -> None:
        self._process_list = process_list
        self._init = init
        self._uid = uid
        self._sockets = 0

    def _children(self, pid: int) -> Iterator[int]:
        # Strings, not paths: this is done for every process twenty times a second.
        try:
            threads = list(os.scandir(f"/proc/{pid}/task"))
        except OSError:
            return
        for thread in threads:
            with contextlib.suppress(OSError):
                yield from map(int, _read_all(f"{thread.path}/children").split())

    def _descendants(self) -> Iterator[int]:
        pending = [self._init]
        while pending:
            for child in self._children(pending.pop()):
                yield child
                pending.append(child)

    def sample(self) -> Sample:
        init = _read_process(self._process_list, self._init)
        sample = Sample(cpu_seconds=init.cpu_seconds if init is not None else 0.0)
        for pid in self._descendants():
            process = _read_process(self._process_list, pid)
            if process is not None:
                sample = sample.plus(process)
        return replace(sample, socket_bytes=self._sockets * _SOCKET_BYTES)

    def exact_bytes(self) -> int:
        return sum(_exact(self._process_list, pid) for pid in self._descendants())

    def unlinked_files(self) -> dict[tuple[int, int], int]:
        """(device, inode) → bytes of the regular files without a name that are still open.

        Looking at every descriptor, it counts the sockets too, for the next `sample`.
        """
        found = {}
        sockets = set()
        for pid in self._descendants():
            with contextlib.suppress(OSError):
                for link in os.scandir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        status = link.stat()
                        if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                            found[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK_BYTES
                        elif stat.S_ISSOCK(status.st_mode):
                            sockets.add(status.st_ino)
        self._sockets = len(sockets)
        return found

    def _strays(self) -> list[int]:
        """Living processes of the run's own user that are not descendants."""
        if self._uid is None:
            return []
        return [
            pid
            for pid in _numbers(self._process_list)
            if pid != self._init
            and self._is_ours(pid)
            and (process := _read_process(self._process_list, pid)) is not None
            and process.state not in "ZX"
        ]

    def _is_ours(self, pid: int) -> bool:
        """By its status: the folder of a process that is not dumpable belongs to root."""
        try:
            return _number(_read(self._process_list, f"{pid}/status"), b"Uid") == self._uid
        except OSError:
            return False

    def kill(self) -> None:
        """Until nobody is left but the supervisor, who ends last: orphans come to it meanwhile.

        It reaps the dead, so that no child of its own at all, not even a dead one, is the proof
        that no descendant lives: whoever dies hands its children over in the same moment.
        """
        deadline = time.monotonic() + _DEATH_SECONDS
        while True:
            while any(self._children(self._init)):
                for pid in self._descendants():
                    self._end(pid)
                _check(deadline)
            strays = self._strays()
            if not strays:
                break
            for pid in strays:
                self._end(pid)
            _check(deadline)
        self._end(self._init)

    def _end(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

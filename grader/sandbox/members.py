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
from pathlib import Path
from typing import Protocol

from grader.errors import SandboxError

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_BLOCK_BYTES = 512  # the unit of st_blocks
_READ_BYTES = 4096
_DEATH_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sample:
    """All processes of a run together at one moment.

    `private_bytes` counts a page twice that forked processes still share; see `exact_bytes`.
    `mapped_shared_bytes`: shared memory that they have mapped, each for itself; 0 where all of it
    lies in a file system of the sandbox's own and is counted there.
    """

    tasks: int = 0
    cpu_seconds: float = 0.0
    private_bytes: int = 0
    mapped_shared_bytes: int = 0

    def plus(self, process: _Process) -> Sample:
        return Sample(
            self.tasks + process.threads,
            self.cpu_seconds + process.cpu_seconds,
            self.private_bytes + process.private_bytes,
            self.mapped_shared_bytes + process.mapped_shared_bytes,
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
    parent: int
    threads: int
    cpu_seconds: float
    private_bytes: int
    mapped_shared_bytes: int = 0


def _read(process_list: int, path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=process_list)
    try:
        return os.read(descriptor, _READ_BYTES)
    finally:
        os.close(descriptor)


def _read_process(process_list: int, pid: int) -> _Process | None:
    """What /proc says of one process (proc(5): stat, statm); None when it is gone."""
    try:
        # the name in parentheses is the student's; nothing after the last ")" is
        fields = _read(process_list, f"{pid}/stat").rpartition(b")")[2].split()
        memory = _read(process_list, f"{pid}/statm").split()
    except OSError:
        return None
    if len(fields) < 18 or len(memory) < 3:
        return None
    return _Process(
        state=fields[0].decode("ascii", "replace"),
        parent=int(fields[1]),
        threads=int(fields[17]),
        cpu_seconds=sum(map(int, fields[11:15])) / _TICKS,  # with the children it has reaped
        private_bytes=(int(memory[1]) - int(memory[2])) * _PAGE_BYTES,
    )


def _mapped_shared_bytes(process_list: int, pid: int) -> int:
    return _field(process_list, f"{pid}/status", b"RssShmem:") * 1024


def _field(process_list: int, path: str, label: bytes) -> int:
    """The number behind `label` in one of a process's files, 0 when it or the process is gone."""
    try:
        text = _read(process_list, path)
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith(label)), None)
    return int(line.split()[1]) if line is not None else 0


def _exact(process_list: int, pid: int) -> int:
    """Proportional private memory of one process, 0 when it is gone."""
    return _field(process_list, f"{pid}/smaps_rollup", b"Pss_Anon:") * 1024


def _numbers(process_list: int) -> list[int]:
    return [int(name) for name in os.listdir(process_list) if name.isdigit()]


def _owner(process_list: int, pid: int) -> int | None:
    """The real user of a process, None when it is gone; a folder's owner would be root's for one
    that is not dumpable."""
    try:
        text = _read(process_list, f"{pid}/status")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith(b"Uid:")), None)
    return int(line.split()[1]) if line is not None else None


def count_tasks(uid: int) -> int:
    """Processes and threads of the user `uid` now: the kernel's own limit counts all of them."""
    process_list = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return sum(
            process.threads
            for pid in _numbers(process_list)
            if _owner(process_list, pid) == uid
            and (process := _read_process(process_list, pid)) is not None
        )
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
        return sample

    def exact_bytes(self) -> int:
        return sum(_exact(self._process_list, pid) for pid in _numbers(self._process_list))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._init, select.POLLIN)
        if not poll.poll(_DEATH_SECONDS * 1000):
            raise SandboxError("the processes of a run could not be ended")


class DescendantMembers:
    """The descendants of a supervising process that adopts their orphans.

    `init` is its process id; `uid` is the user that only this run has, None when it shares one.
    """

    def __init__(self, process_list: int, init: int, uid: int | None) -> None:
        self._process_list = process_list
        self._init = init
        self._uid = uid

    def _children(self, pid: int) -> Iterator[int]:
        try:
            threads = list(Path(f"/proc/{pid}/task").iterdir())
        except OSError:
            return
        for thread in threads:
            with contextlib.suppress(OSError):
                yield from map(int, (thread / "children").read_bytes().split())

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
                shared = _mapped_shared_bytes(self._process_list, pid)
                sample = sample.plus(replace(process, mapped_shared_bytes=shared))
        return sample

    def exact_bytes(self) -> int:
        return sum(_exact(self._process_list, pid) for pid in self._descendants())

    def unlinked_files(self) -> dict[tuple[int, int], int]:
        """(device, inode) → bytes of the regular files without a name that are still open."""
        found = {}
        for pid in self._descendants():
            with contextlib.suppress(OSError):
                for link in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        status = link.stat()
                        if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                            found[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK_BYTES
        return found

    def _alive(self) -> list[int]:
        """Descendants, and whoever else has the run's own user, that are not dead already."""
        candidates = set(self._descendants())
        if self._uid is not None:
            everybody = _numbers(self._process_list)
            candidates.update(p for p in everybody if _owner(self._process_list, p) == self._uid)
        candidates.discard(self._init)
        return [
            pid
            for pid in candidates
            if (process := _read_process(self._process_list, pid)) is not None
            and process.state not in "ZX"
        ]

    def kill(self) -> None:
        """Until nobody is left but the supervisor, who ends last: orphans come to it meanwhile."""
        deadline = time.monotonic() + _DEATH_SECONDS
        while True:
            # what forks and exits is fastest caught where it turns up: below the supervisor
            for pid in self._descendants():
                self._end(pid)
            alive = self._alive()
            if not alive:
                break
            for pid in alive:
                self._end(pid)
            if time.monotonic() > deadline:
                raise SandboxError(f"processes of a run could not be ended: {alive}")
        self._end(self._init)

    def _end(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

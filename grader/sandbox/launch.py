"""What a back end hands to the supervisor: a program to start, an order for its first process."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from grader.model import RunLimits
from grader.sandbox.leftovers import SharedMemory


class Landlock(TypedDict):
    """`ruleset`: the kernel's attribute struct; `rules`: (path, access rights)."""

    ruleset: bytes
    rules: list[tuple[str, int]]


class Order(TypedDict):
    """What `inside/init.py` is told, in marshalled form.

    `alone`: it is process 1 of its own namespace. `copy`: (source, destination) folders. `watch`:
    folders whose descriptors it sends back. `socket_roots`: folders whose unix sockets the command
    may connect to through init; empty when a network namespace makes that unnecessary.
    """

    alone: bool
    copy: list[tuple[str, str]]
    watch: list[str]
    workdir: str
    argv: list[str]
    env: dict[str, str]
    rlimits: dict[str, tuple[int, int]]
    landlock: Landlock | None
    seccomp: bytes
    socket_roots: list[str]
    syscalls: dict[str, int]


class Entry(TypedDict):
    """What `inside/enter.py` is told when the grader is root.

    `covers`: [(folder that is closed to others, [paths below it that are needed])]. `inherits`: the
    numbers under which the new program finds the descriptors that it is given.
    """

    uid: int
    covers: list[tuple[str, list[str]]]
    argv: list[str]
    env: dict[str, str]
    inherits: list[int]


class Confinement(TypedDict):
    """What `inside/confined.py` is told; without Landlock or a known machine, the less of it."""

    landlock: Landlock | None
    seccomp: bytes
    syscalls: dict[str, int]


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a sandbox.

    `argv` begins with an absolute host path and lacks the last word, the control socket's
    descriptor, which the supervisor appends. `descriptors` stay open in the new process. `needed`
    are the host paths that it must be able to read after root is given up. `disks` maps the inside
    names of the writable folders to their paths as init sees them, in the order of order["watch"],
    which goes on with the folder of shared memory (where the sandbox has one of its own) and ends
    with the list of processes. `shared` is the machine's shared memory for a sandbox without.
    `uid`: the user to become, None when the grader is unprivileged already.
    """

    argv: tuple[str, ...]
    order: Order
    needed: tuple[Path, ...]
    disks: Mapping[str, str]
    shared: SharedMemory | None
    uid: int | None
    descriptors: tuple[int, ...] = ()


# A refusal by the kernel should come after the watchdog had its chance to see, and to say, what
# happened; these are the margins above the promised limits.
_TASKS_MARGIN = 16
_CPU_MARGIN_SECONDS = 1
_THREAD_STACK_BYTES = 8 << 20
_OPEN_FILES = 1024
# Not 0: that keeps a crash off the disk, but where the machine pipes crashes to a program of its
# own, it would still be fed; only this number stops both (fs/coredump.c).
_NO_CORE_BYTES = 1


def resource_limits(limits: RunLimits, tasks_already: int) -> dict[str, tuple[int, int]]:
    """`setrlimit` values for the command; `tasks_already` of the same user are not its own.

    RLIMIT_DATA and not RLIMIT_AS, because CUDA and thread pools reserve far more addresses than
    they use; stacks of threads count as data, so each processor's share is added. A file may grow
    as large as shared memory may, because a data loader's batches are files too.
    """
    data = limits.memory_bytes + _THREAD_STACK_BYTES * 4 * (os.cpu_count() or 1)
    tasks = tasks_already + limits.processes + _TASKS_MARGIN
    cpu = int(limits.cpu_seconds) + _CPU_MARGIN_SECONDS
    file_bytes = max(limits.file_bytes, limits.memory_bytes)
    wanted = {
        "RLIMIT_NPROC": tasks,
        "RLIMIT_DATA": data,
        "RLIMIT_CPU": cpu,
        "RLIMIT_FSIZE": file_bytes,
        "RLIMIT_NOFILE": _OPEN_FILES,
        "RLIMIT_STACK": _THREAD_STACK_BYTES,
        "RLIMIT_CORE": _NO_CORE_BYTES,
        "RLIMIT_MSGQUEUE": 0,
    }
    result = {}
    for name, value in wanted.items():
        ceiling = resource.getrlimit(getattr(resource, name))[1]  # cannot be raised again
        hard = value + _CPU_MARGIN_SECONDS if name == "RLIMIT_CPU" else value
        if ceiling != resource.RLIM_INFINITY:
            hard = min(hard, ceiling)
        result[name] = (min(value, hard), hard)
    return result

"""What a run has written so far, measured while it writes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from grader.sandbox.folders import measure_untrusted
from grader.sandbox.leftovers import SharedMemory
from grader.sandbox.members import DescendantMembers

_SLOW_SHARE = 0.05  # of the time may go into measurements that cost more than a glance


class Paced:
    """Allows a slow measurement as often as keeps its share of the time small."""

    def __init__(self) -> None:
        self._next = 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        ended = time.monotonic()
        self._next = ended + (ended - started) / _SLOW_SHARE


@dataclass(frozen=True, slots=True)
class Written:
    """`disk_bytes` and `files` (with folders) were added in the disposable folders;
    `shared_bytes` lie in files of shared memory."""

    disk_bytes: int = 0
    files: int = 0
    shared_bytes: int = 0


class Storage(Protocol):
    """Where a run writes."""

    def measure(self, *, final: bool = False) -> Written:
        """The state now; `final` asks for it exactly, whatever it costs."""
        ...


class NamespaceStorage:
    """File systems of the sandbox's own: they count for themselves, hidden and unlinked files too.

    `disks` and `memory` are descriptors.
    """

    def __init__(self, disks: Mapping[str, int], memory: int) -> None:
        self._disks = tuple(disks.values())
        self._memory = memory
        self._baseline = [_used(disk) for disk in (*self._disks, memory)]

    def measure(self, *, final: bool = False) -> Written:  # noqa: ARG002 - exact at any time
        now = [_used(disk) for disk in (*self._disks, self._memory)]
        added = [
            (max(0, used - used_before), max(0, files - files_before))
            for (used, files), (used_before, files_before) in zip(now, self._baseline, strict=True)
        ]
        return Written(
            disk_bytes=sum(used for used, _ in added[:-1]),
            files=sum(files for _, files in added),
            shared_bytes=added[-1][0],
        )


def _used(folder: int) -> tuple[int, int]:
    status = os.fstatvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize, status.f_files - status.f_ffree


class HostStorage:
    """Folders on the host's disk, walked now and then; and the machine's own shared memory.

    A file without a name counts for as long as a process of the run has it open.
    """

    def __init__(
        self,
        disks: Mapping[str, int],
        shared: SharedMemory,
        members: DescendantMembers,
        enough_files: int,
    ) -> None:
        self._disks = tuple(disks.values())
        self._shared = shared
        self._members = members
        self._enough = enough_files
        self._paced = Paced()
        self._last = Written()
        self._baseline = self._walk(enough_files)

    def _walk(self, enough: int) -> tuple[int, int]:
        measured = [measure_untrusted(disk, enough) for disk in self._disks]
        return sum(size for size, _ in measured), sum(files for _, files in measured)

    def measure(self, *, final: bool = False) -> Written:
        if final or self._paced.due:
            with self._paced.measured():
                self._last = self._measure()
        return self._last

    def _measure(self) -> Written:
        bytes_before, files_before = self._baseline
        used_bytes, files = self._walk(self._enough + files_before)
        unlinked = self._members.unlinked_files()
        memory_device = self._shared.device
        on_disk = sum(size for (device, _), size in unlinked.items() if device != memory_device)
        in_memory = sum(size for (device, _), size in unlinked.items() if device == memory_device)
        return Written(
            disk_bytes=max(0, used_bytes - bytes_before) + on_disk,
            files=max(0, files - files_before),
            shared_bytes=self._shared.used_bytes() + in_memory,
        )

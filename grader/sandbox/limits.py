"""What a run has used, which limit that exceeds, and how an end is told in words. All pure."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from grader.model import CaseStatus, RunLimits

# A program may print far more than is kept: a progress bar is no offence. Only a flood ends it.
FLOOD_FACTOR = 64


@dataclass(frozen=True, slots=True)
class Usage:
    """What all processes of a run have used together so far.

    `memory_bytes`: private memory (pages shared between forks once) and shared-memory files.
    `tasks`: processes and threads now. `disk_bytes` and `files`: added in the disposable folders.
    `flood_bytes`: the longer one of stdout and stderr.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    tasks: int = 0
    disk_bytes: int = 0
    files: int = 0
    flood_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that was met: its status and the words for it."""

    status: CaseStatus
    words: str


def find_exceeded(usage: Usage, limits: RunLimits) -> Exceeded | None:
    """The first limit that `usage` goes beyond, None when it keeps them all."""
    flood_bytes = limits.output_bytes * FLOOD_FACTOR
    bounds: tuple[tuple[CaseStatus, float, float, str], ...] = (
        (
            CaseStatus.PROCESSES,
            usage.tasks,
            limits.processes,
            f"{usage.tasks} processes and threads at once; {limits.processes} are allowed",
        ),
        (
            CaseStatus.MEMORY,
            usage.memory_bytes,
            limits.memory_bytes,
            _of("memory", usage.memory_bytes, limits.memory_bytes),
        ),
        (
            CaseStatus.DISK,
            usage.disk_bytes,
            limits.disk_bytes,
            _of("disk", usage.disk_bytes, limits.disk_bytes),
        ),
        (
            CaseStatus.DISK,
            usage.files,
            limits.files,
            f"more than the {limits.files} files and folders that are allowed were made",
        ),
        (
            CaseStatus.OUTPUT,
            usage.flood_bytes,
            flood_bytes,
            _of("output", usage.flood_bytes, flood_bytes),
        ),
        (
            CaseStatus.CPU_TIME,
            usage.cpu_seconds,
            limits.cpu_seconds,
            f"stopped after {usage.cpu_seconds:.1f} s of processor time; "
            f"{limits.cpu_seconds:g} s are allowed",
        ),
        (
            CaseStatus.WALL_TIME,
            usage.wall_seconds,
            limits.wall_seconds,
            f"stopped after {usage.wall_seconds:.1f} s; {limits.wall_seconds:g} s are allowed, "
            f"{usage.cpu_seconds:.1f} s of processor time were used",
        ),
    )
    return next(
        (Exceeded(status, words) for status, used, allowed, words in bounds if used > allowed), None
    )


def _of(what: str, used_bytes: int, allowed_bytes: int) -> str:
    return f"{in_units(used_bytes)} of {what} used; {in_units(allowed_bytes)} are allowed"


def in_units(count_bytes: int) -> str:
    """A count of bytes as a person says it, in binary units: 1536 → "1.5 KiB"."""
    size = float(count_bytes)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


@dataclass(frozen=True, slots=True)
class End:
    """How the command itself ended; `limit` in words, empty when none was met."""

    status: CaseStatus
    exit_code: int | None
    signal: int | None
    limit: str


# What a refusal by the kernel looks like from within, at the end of a failed program's stderr. The
# text is the student's to forge, and forging it gains nothing: a failure stays a failure.
_SYMPTOMS = (
    ("MemoryError", CaseStatus.MEMORY),
    ("std::bad_alloc", CaseStatus.MEMORY),
    ("Cannot allocate memory", CaseStatus.MEMORY),
    ("can't allocate memory", CaseStatus.MEMORY),
    ("No space left on device", CaseStatus.DISK),
    ("File too large", CaseStatus.DISK),
    ("Resource temporarily unavailable", CaseStatus.PROCESSES),
    ("can't start new thread", CaseStatus.PROCESSES),
)
_SYMPTOM_CHARACTERS = 4096

# What lies in the folders is measured once more at the end, so that no verdict depends on whether
# the watchdog looked in time.
_LEFT_BEHIND = (CaseStatus.MEMORY, CaseStatus.DISK)

_SIGNALS: dict[int, CaseStatus] = {
    signal.SIGXCPU: CaseStatus.CPU_TIME,
    signal.SIGXFSZ: CaseStatus.DISK,
}


def explain_end(wait_status: int, stderr: str, usage: Usage, limits: RunLimits) -> End:
    """Tell a program that ended by itself from one that ran into a limit of the kernel's.

    `wait_status` as waitpid gives it; `usage` as last measured, with the final state of the disks.
    """
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        status = _SIGNALS.get(number)
        if status is not None:
            return End(status, None, number, _kernel_words(status, limits))
        return End(CaseStatus.KILLED, None, number, "")
    code = os.WEXITSTATUS(wait_status)
    exceeded = find_exceeded(usage, limits)
    if exceeded is not None and exceeded.status in _LEFT_BEHIND:
        return End(exceeded.status, code, None, exceeded.words)
    if code == 0:
        return End(CaseStatus.FINISHED, 0, None, "")
    tail = stderr[-_SYMPTOM_CHARACTERS:]
    for symptom, status in _SYMPTOMS:
        if symptom in tail:
            return End(status, code, None, f"{_kernel_words(status, limits)} ({symptom})")
    return End(CaseStatus.FAILED, code, None, "")


def _kernel_words(status: CaseStatus, limits: RunLimits) -> str:
    match status:
        case CaseStatus.MEMORY:
            return f"asked for more memory than the {in_units(limits.memory_bytes)} allowed"
        case CaseStatus.DISK:
            return (
                f"wrote more than allowed: {in_units(limits.disk_bytes)} in all, "
                f"{in_units(limits.file_bytes)} in one file"
            )
        case CaseStatus.PROCESSES:
            return f"started more than the {limits.processes} processes and threads allowed"
        case _:
            return f"used more than the {limits.cpu_seconds:g} s of processor time allowed"

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from grader.model import CaseStatus, RunLimits
from grader.sandbox.limits import FLOOD_FACTOR, Usage, explain_end, find_exceeded, in_units

LIMITS = RunLimits(
    wall_seconds=10,
    cpu_seconds=5,
    memory_bytes=1 << 30,
    processes=8,
    disk_bytes=1 << 20,
    file_bytes=1 << 19,
    files=100,
    output_bytes=1000,
)
QUIET = Usage(1, 1, 1000, 2, 10, 3, 5)


def exited(code: int) -> int:
    return code << 8


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"tasks": 9}, CaseStatus.PROCESSES, "9 processes and threads at once; 8 are allowed"),
        ({"memory_bytes": 3 << 29}, CaseStatus.MEMORY, "1.5 GiB of memory used; 1.0 GiB"),
        ({"disk_bytes": 2 << 20}, CaseStatus.DISK, "2.0 MiB of disk used; 1.0 MiB"),
        ({"files": 101}, CaseStatus.DISK, "100 files"),
        ({"flood_bytes": 1000 * FLOOD_FACTOR + 1}, CaseStatus.OUTPUT, "of output used"),
        ({"cpu_seconds": 5.1}, CaseStatus.CPU_TIME, "5.1 s of processor time; 5 s"),
        ({"wall_seconds": 10.2}, CaseStatus.WALL_TIME, "after 10.2 s; 10 s are allowed"),
    ],
)
def test_each_limit_is_named_with_how_far_it_got(
    change: dict[str, float], status: CaseStatus, words: str
) -> None:
    exceeded = find_exceeded(replace(QUIET, **change), LIMITS)
    assert exceeded is not None
    assert exceeded.status is status
    assert words in exceeded.words


def test_exactly_the_limit_is_kept() -> None:
    usage = Usage(10, 5, 1 << 30, 8, 1 << 20, 100, 1000 * FLOOD_FACTOR)
    assert find_exceeded(usage, LIMITS) is None


def test_an_end_is_the_programs_own() -> None:
    assert explain_end(exited(0), "", QUIET, LIMITS).status is CaseStatus.FINISHED
    failed = explain_end(exited(137), "", QUIET, LIMITS)
    assert (failed.status, failed.exit_code, failed.signal) == (CaseStatus.FAILED, 137, None)
    killed = explain_end(signal.SIGSEGV, "", QUIET, LIMITS)
    assert (killed.status, killed.exit_code, killed.signal) == (CaseStatus.KILLED, None, 11)
    assert os.WTERMSIG(signal.SIGSEGV) == 11
    assert not failed.limit


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGXCPU, CaseStatus.CPU_TIME), (signal.SIGXFSZ, CaseStatus.DISK)],
)
def test_a_signal_of_the_kernels_is_a_limit(number: int, status: CaseStatus) -> None:
    end = explain_end(number, "", QUIET, LIMITS)
    assert (end.status, end.signal) == (status, number)
    assert end.limit


@pytest.mark.parametrize(
    ("stderr", "status"),
    [
        ("Traceback\nMemoryError\n", CaseStatus.MEMORY),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried", CaseStatus.MEMORY),
        ("OSError: [Errno 28] No space left on device", CaseStatus.DISK),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", CaseStatus.PROCESSES),
        ("ValueError: shapes", CaseStatus.FAILED),
    ],
)
def test_a_refusal_by_the_kernel_is_told_from_a_mistake(stderr: str, status: CaseStatus) -> None:
    end = explain_end(exited(1), stderr, QUIET, LIMITS)
    assert (end.status, end.exit_code) == (status, 1)
    assert bool(end.limit) is (status is not CaseStatus.FAILED)
    assert explain_end(exited(0), stderr, QUIET, LIMITS).status is CaseStatus.FINISHED


def test_what_is_left_behind_counts_whether_or_not_anybody_looked_in_time() -> None:
    full = replace(QUIET, disk_bytes=2 << 20)
    for code in (0, 1):
        end = explain_end(exited(code), "", full, LIMITS)
        assert (end.status, end.exit_code) == (CaseStatus.DISK, code)


def test_bytes_in_words() -> None:
    assert [in_units(n) for n in (0, 1023, 1536, 5 << 20, 3 << 30, 5 << 40)] == [
        "0 bytes", "1023 bytes", "1.5 KiB", "5.0 MiB", "3.0 GiB", "5120.0 GiB",
    ]  # fmt: skip

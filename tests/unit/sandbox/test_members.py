"""Reading and ending processes, on living ones of the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from grader.sandbox.members import DescendantMembers, Sample, _number, count_tasks

# says when it is ready, then waits to be ended; its name is hostile
CHILD = """
import ctypes, os, socket, sys, tempfile, time
ctypes.CDLL(None).prctl(15, b") R 1 1\\n", 0, 0, 0)
kept = bytearray(b"x" * (40 << 20))
unlinked = tempfile.TemporaryFile()
unlinked.write(b"y" * 100_000)
unlinked.flush()
pair = socket.socketpair()
if os.fork() == 0:
    time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def family() -> Iterator[DescendantMembers]:
    """A supervisor that does nothing, with a child and a grandchild."""
    parent = (
        "import ctypes, os, subprocess, sys, time\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER\n"
        f"child = subprocess.Popen([sys.executable, '-c', {CHILD!r}])\n"
        "try:\n"
        "    while True: os.wait()\n"
        "except ChildProcessError:\n"
        "    time.sleep(600)\n"
    )
    process_list = os.open("/proc", os.O_RDONLY)
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        members = DescendantMembers(process_list, supervisor.pid, None)
        try:
            assert supervisor.stdout.readline() == b"ready\n"
            yield members
        finally:
            members.kill()
            os.close(process_list)


def test_a_family_is_measured_together_and_ended_together() -> None:
    with family() as members:
        sample = members.sample()
        assert sample.tasks == 2
        assert sample.private_bytes > 2 * (40 << 20)  # both have the array
        assert 40 << 20 < members.exact_bytes() < 70 << 20  # which is there once
        unlinked = members.unlinked_files()
        assert sum(unlinked.values()) >= 100_000
        with_sockets = members.sample()
        assert with_sockets.socket_bytes >= 2 * 212_992
        children = list(members._descendants())
        assert len(children) == 2
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_process_that_is_gone_counts_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
        process_list = os.open("/proc", os.O_RDONLY)
        try:
            members = DescendantMembers(process_list, process.pid, None)
            assert members.sample() == Sample()
            assert members.exact_bytes() == 0
            assert members.unlinked_files() == {}
        finally:
            os.close(process_list)


def test_tasks_of_a_user_are_counted() -> None:
    before = count_tasks(os.getuid())
    assert before >= 1
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        assert count_tasks(os.getuid()) >= 1
        process.send_signal(signal.SIGKILL)
    assert count_tasks(2_123_456_789) == 0


@given(st.binary(max_size=60), st.integers(0, 10**15))
def test_a_number_is_found_behind_its_label_only(noise: bytes, number: int) -> None:
    noise = noise.replace(b"\n", b" ")
    text = b"Name:\tVmPTE:" + noise + b"\nVmPTE:\t%9d kB\nVmPTEX: 7\n" % number
    assert _number(text, b"VmPTE") == number
    assert _number(text, b"VmSwap") == 0

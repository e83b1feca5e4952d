"""Watch over one run: drain what it prints, measure what it uses, end it at a limit.

Theory of operation. One loop in the grader's own process selects on four things: the run's stdout,
its stderr, the control socket to its first process (`inside/init.py`), and a clock. Every
`_LOOK_SECONDS` all processes of the run are measured together from outside; the student's code can
neither see nor stop that. Whatever happens (an end, a limit, a fault of ours) the members are
killed before anything is collected, so what is read afterwards cannot change any more.
"""

from __future__ import annotations

import array
import contextlib
import marshal
import os
import re
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from grader.errors import SandboxError
from grader.model import RunLimits
from grader.sandbox.captured import Captured
from grader.sandbox.collect import CollectedFiles
from grader.sandbox.launch import Launch
from grader.sandbox.limits import End, Usage, explain_end, find_exceeded
from grader.sandbox.members import DescendantMembers, Members, NamespaceMembers
from grader.sandbox.outermost import Process, start_process
from grader.sandbox.policy import Outcome
from grader.sandbox.storage import HostStorage, NamespaceStorage, Paced, Storage

_LOOK_SECONDS = 0.05
_SETUP_SECONDS = 120.0  # copying a large submission from a slow disk
_DRAIN_SECONDS = 2.0
_CHUNK_BYTES = 1 << 18
_MESSAGE_BYTES = 1 << 13
_EXIT = re.compile(rb"exit (\d{1,5}) (\d{1,15}) (\d{1,12})")


@dataclass(frozen=True, slots=True)
class Ended:
    """A run whose processes are all dead. `folders`: inside path → descriptor of what it left."""

    end: End
    usage: Usage
    peak_memory_bytes: int
    stdout: Captured
    stderr: Captured
    folders: Mapping[str, int]

    def outcome(self, backend: str, files: CollectedFiles) -> Outcome:
        """The caller's view of it."""
        return Outcome(
            status=self.end.status,
            exit_code=self.end.exit_code,
            signal=self.end.signal,
            limit=self.end.limit,
            wall_seconds=self.usage.wall_seconds,
            cpu_seconds=self.usage.cpu_seconds,
            peak_memory_bytes=self.peak_memory_bytes,
            stdout=self.stdout.text(),
            stderr=self.stderr.text(),
            stdout_truncated=self.stdout.truncated,
            stderr_truncated=self.stderr.truncated,
            collected=files.collected,
            refused=files.refused,
            backend=backend,
        )


@dataclass(frozen=True, slots=True)
class ExitMessage:
    """What init reports of the command's end."""

    wait_status: int
    cpu_seconds: float
    peak_bytes: int


def parse_exit(message: bytes) -> ExitMessage | None:
    """Init's last message, None when it is anything else: then the sandbox has failed."""
    match = _EXIT.fullmatch(message)
    if match is None or int(match[1]) > 0xFFFF:
        return None
    return ExitMessage(int(match[1]), int(match[2]) / 1e6, int(match[3]) * 1024)


@contextlib.contextmanager
def supervised(launch: Launch, limits: RunLimits) -> Iterator[Ended]:
    """Run `launch` to its end or to a limit; the folders stay open inside the context.

    Raises SandboxError when the sandbox cannot be set up or breaks.
    """
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(start_process(launch))
        run = _Run(process, launch, limits)
        stack.callback(run.close)
        try:
            run.set_up()
            ended = run.watch()
        except OSError as error:
            raise SandboxError(f"the sandbox could not be watched: {error}") from error
        yield ended


class _Run:
    def __init__(self, process: Process, launch: Launch, limits: RunLimits) -> None:
        self._process = process
        self._launch = launch
        self._limits = limits
        self._streams = {
            process.stdout: Captured(limits.output_bytes),
            process.stderr: Captured(limits.output_bytes),
        }
        self._selector = selectors.DefaultSelector()
        for descriptor in (*self._streams, process.control.fileno()):
            self._selector.register(descriptor, selectors.EVENT_READ)
        self._descriptors: list[int] = []
        self._folders: dict[str, int] = {}
        self._members: Members | None = None
        self._storage: Storage | None = None
        self._usage = Usage()
        self._peak_bytes = 0
        self._exact = Paced()

    def close(self) -> None:
        try:
            if self._members is not None:
                self._members.kill()
        finally:
            self._selector.close()
            for descriptor in self._descriptors:
                os.close(descriptor)

    # -- before the command runs

    def set_up(self) -> None:
        """Give init its order and receive the descriptors of the folders it has made."""
        order = marshal.dumps(dict(self._launch.order))
        try:
            self._process.control.send(order)
        except OSError as error:
            raise self._broken(f"no order could be given ({error.strerror})") from error
        deadline = time.monotonic() + _SETUP_SECONDS
        while not self._poll(deadline - time.monotonic()):
            if time.monotonic() > deadline:
                raise self._broken(f"not ready after {_SETUP_SECONDS:g} s")
        most = len(self._launch.order["watch"]) + 1
        message, self._descriptors = _receive(self._process.control, most)
        if message != b"ready" or len(self._descriptors) != most:
            raise self._broken(message.decode("utf-8", "replace"))
        self._folders = dict(zip(self._launch.disks, self._descriptors, strict=False))
        *_, memory, process_list, init = self._descriptors
        if self._launch.shared is None:
            self._members = NamespaceMembers(process_list, init)
            self._storage = NamespaceStorage(self._folders, memory)
        else:
            members = DescendantMembers(process_list, self._process.pid, self._launch.uid)
            self._members = members
            self._storage = HostStorage(
                self._folders, self._launch.shared, members, self._limits.files
            )

    def _broken(self, why: str) -> SandboxError:
        self._process.kill()
        self._drain()  # what the launcher has said before it ended
        said = self._streams[self._process.stderr].text().strip()
        why = "; ".join(filter(None, (why, said))) or "its first process ended"
        return SandboxError(f"the sandbox could not be set up: {why}")

    # -- while the command runs

    def watch(self) -> Ended:
        """Let the command go, and come back when it and everything it started is dead."""
        assert self._members is not None
        assert self._storage is not None
        started = time.monotonic()
        wall_ends = started + self._limits.wall_seconds
        self._process.control.send(b"go")
        next_look = started + _LOOK_SECONDS
        exceeded = message = None
        while exceeded is None and message is None:
            now = time.monotonic()
            if self._poll(min(next_look, wall_ends) - now):
                message, _ = _receive(self._process.control, 0)
            now = time.monotonic()
            self._usage = replace(
                self._usage,
                wall_seconds=now - started,
                flood_bytes=max(stream.total_bytes for stream in self._streams.values()),
            )
            if message is None and now >= next_look:
                self._look(self._members, self._storage)
                next_look = time.monotonic() + _LOOK_SECONDS
            if message is None:
                exceeded = find_exceeded(self._usage, self._limits)
        self._members.kill()
        self._drain()
        stdout, stderr = self._streams.values()
        if exceeded is not None:
            end = End(exceeded.status, None, None, exceeded.words)
        else:
            report = parse_exit(message or b"")
            if report is None:
                raise SandboxError(
                    "the sandbox broke while the command ran: "
                    + ((message or b"").decode("utf-8", "replace") or "its first process is gone")
                )
            written = self._storage.measure(final=True)
            self._usage = replace(
                self._usage,
                cpu_seconds=max(report.cpu_seconds, self._usage.cpu_seconds),
                memory_bytes=written.shared_bytes,
                disk_bytes=written.disk_bytes,
                files=written.files,
            )
            self._peak_bytes = self._peak_bytes or report.peak_bytes
            end = explain_end(report.wait_status, stderr.text(), self._usage, self._limits)
        return Ended(end, self._usage, self._peak_bytes, stdout, stderr, self._folders)

    def _poll(self, timeout_seconds: float) -> bool:
        """Take in what the streams hold; whether the control socket has something to say."""
        spoken = False
        for key, _ in self._selector.select(max(0.0, timeout_seconds)):
            if key.fd == self._process.control.fileno():
                spoken = True
            else:
                self._take_in(key.fd)
        return spoken

    def _take_in(self, descriptor: int) -> None:
        try:
            chunk = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        self._streams[descriptor].feed(chunk)
        if not chunk:
            self._selector.unregister(descriptor)

    def _drain(self) -> None:
        """What was printed before the end; everybody who could print more is dead."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._process.control.fileno())
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._selector.get_map() and time.monotonic() < deadline:
            self._poll(deadline - time.monotonic())

    # -- measuring

    def _look(self, members: Members, storage: Storage) -> None:
        sample = members.sample()
        written = storage.measure()
        shared_bytes = max(written.shared_bytes, sample.shared_bytes) + sample.socket_bytes
        memory_bytes = sample.private_bytes + shared_bytes
        if memory_bytes > self._limits.memory_bytes:
            # forked processes share pages that were counted for each of them
            if self._exact.due:
                with self._exact.measured():
                    memory_bytes = members.exact_bytes() + shared_bytes
            else:
                memory_bytes = self._usage.memory_bytes
        self._peak_bytes = max(self._peak_bytes, memory_bytes)
        self._usage = replace(
            self._usage,
            cpu_seconds=max(self._usage.cpu_seconds, sample.cpu_seconds),
            memory_bytes=memory_bytes,
            tasks=sample.tasks,
            disk_bytes=written.disk_bytes,
            files=written.files,
        )


def _receive(control: socket.socket, most: int) -> tuple[bytes, list[int]]:
    """One message and the descriptors that came with it, closed on exec; b"" when init is gone."""
    descriptors = array.array("i")
    size = descriptors.itemsize
    try:
        message, ancillary, _, _ = control.recvmsg(
            _MESSAGE_BYTES, socket.CMSG_SPACE(most * size), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return b"", []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % size])
    return message, list(descriptors)

"""Unix sockets without a network namespace: the command connects through init.

Landlock does not hold back connections to the host's sockets (a desktop bus, a container engine),
and a filter cannot read an address. So the filter hands every `connect` to init, a process outside:
the address is read once, the socket file is opened once and its true place looked at, and init
itself connects a duplicate of the caller's socket. Nothing the program changes meanwhile matters.
"""

# Importing pathlib would take longer than all the rest.
# ruff: noqa: PTH115, PTH118, PTH123
from __future__ import annotations

import _socket
import _thread
import errno
import fcntl
import os
import stat
import struct

from grader.sandbox.inside.libc import check, syscall

# linux/seccomp.h: three requests and their structs
_RECEIVE, _ANSWER, _STILL_WAITING = 0xC0502100, 0xC0182101, 0x40082102
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, thread, flags, call, arch, instruction, arguments
_RESPONSE = struct.Struct("=QqiI")
_ADDRESS_BYTES = 110  # struct sockaddr_un


def serve_connections(listener: int, roots: list[str], pidfd_getfd: int) -> None:
    """Answer in a thread for as long as a process with the filter lives.

    Sockets below one of the folders `roots` may be connected to, and no other.
    """
    _thread.start_new_thread(_serve, (listener, roots, pidfd_getfd))


def _serve(listener: int, roots: list[str], pidfd_getfd: int) -> None:
    while True:
        notification = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, notification)
        except FileNotFoundError:
            continue  # the caller was killed while it waited
        fields = _NOTIFICATION.unpack(notification)
        identity, thread, arguments = fields[0], fields[1], fields[6:9]
        code = 0
        try:
            _connect(listener, identity, thread, arguments, roots, pidfd_getfd)
        except OSError as failure:
            code = failure.errno or errno.EACCES
        try:
            fcntl.ioctl(listener, _ANSWER, _RESPONSE.pack(identity, 0, -code, 0))
        except FileNotFoundError:
            continue  # the caller was killed meanwhile


def _connect(
    listener: int,
    identity: int,
    thread: int,
    arguments: tuple[int, int, int],
    roots: list[str],
    pidfd_getfd: int,
) -> None:
    """Connect the caller's socket; raises the OSError that the caller shall see."""
    descriptor, address, length = arguments
    path = _read_path(thread, address, length)
    with open(f"/proc/{thread}/status") as status:
        leader = next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))
    opened = []
    try:
        process = os.pidfd_open(leader)
        opened.append(process)
        # what was read is the caller's only if it is waiting still: numbers are used again
        fcntl.ioctl(listener, _STILL_WAITING, struct.pack("=Q", identity))
        target = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.append(target)
        place = os.readlink(f"/proc/self/fd/{target}")
        if not any(place.startswith(root + "/") for root in roots):
            raise PermissionError(errno.EACCES, "not a socket of this sandbox")
        if not stat.S_ISSOCK(os.fstat(target).st_mode):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "not a socket")
        duplicate = check(syscall(pidfd_getfd, process, descriptor, 0), "pidfd_getfd")
        connection = _socket.socket(fileno=duplicate)
        connection.connect(f"/proc/self/fd/{target}")
    finally:
        for number in opened:
            os.close(number)


def _read_path(thread: int, address: int, length: int) -> str:
    """The path in a struct sockaddr_un of another process; other families are refused."""
    memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        raw = os.pread(memory, min(length, _ADDRESS_BYTES), address)
    finally:
        os.close(memory)
    if len(raw) < 3 or struct.unpack("=H", raw[:2])[0] != _socket.AF_UNIX or raw[2] == 0:
        raise PermissionError(errno.EACCES, "not a socket of this sandbox")
    path = os.fsdecode(raw[2:].split(b"\0")[0])
    return os.path.join(os.readlink(f"/proc/{thread}/cwd"), path)

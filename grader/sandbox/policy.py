"""What a caller asks of the sandbox and what it gets back: pure data, no I/O.

The words *inside* and *host* are kept apart everywhere in this room: an inside path is what the
student's program sees (`/work`, `/test`), a host path is where the grader keeps the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from grader.errors import SandboxError
from grader.model import CaseStatus, RunLimits

WORKDIR = "/work"
TMPDIR = "/tmp"  # an inside path: a disposable folder of the sandbox, never the host's

# Inside paths that the sandbox itself furnishes; a mount there would hide or be hidden.
_RESERVED = ("/grader", "/proc", "/dev", "/sys", "/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64")

Isolation = Literal["full", "reduced", "none"]

# Attempts of a student's program that an isolation does not hold back, as the attack tests name
# them: they hold this list against what really happens.
NOT_HELD: Mapping[Isolation, tuple[str, ...]] = {
    "full": (),
    "reduced": (
        "ask for the size of a file whose path it knows",
        "open the grader's shared memory by its name",
        "change the grader's processor affinity",
    ),
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command for the sandbox.

    `argv[0] == "python"` means the grader's own interpreter, with its site-packages readable.
    `workdir` is a host folder whose copy is the disposable, writable working directory `/work`;
    the original never changes. `mounts` maps inside paths to host files or folders, read-only.
    `collect` names what is brought out afterwards: relative to the working directory, or absolute
    below one of `writable_dirs`; a folder stands for the regular files below it. Copies are written
    to the host folder `outputs`, which the caller has made: "x/y" to outputs/x/y and "/out/z" to
    outputs/out/z. `writable_dirs` are further disposable folders inside. `gpu` lets the program
    use the NVIDIA devices of the machine.

    Raises SandboxError for a command that no back end could carry out.
    """

    argv: tuple[str, ...]
    workdir: Path
    mounts: Mapping[str, Path]
    limits: RunLimits
    collect: tuple[str, ...]
    outputs: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    writable_dirs: tuple[str, ...] = ()
    gpu: bool = False

    def __post_init__(self) -> None:
        if not self.argv or any("\0" in word for word in self.argv):
            raise SandboxError(f"not a command: {self.argv!r}")
        for inside in (*self.mounts, *self.writable_dirs):
            _check_inside_path(inside)
        taken = [WORKDIR, TMPDIR, *self.writable_dirs]
        for inside in self.mounts:
            if any(is_below(inside, folder) for folder in taken):
                raise SandboxError(f"{inside} cannot be mounted below a writable folder")
        for wanted in self.collect:
            path = PurePosixPath(wanted)
            if not path.parts or ".." in path.parts:
                raise SandboxError(f"{wanted!r} is not a path that can be collected")
            if path.is_absolute() and not any(is_below(wanted, d) for d in self.writable_dirs):
                raise SandboxError(f"{wanted} is collected, but no writable folder holds it")


def _check_inside_path(inside: str) -> None:
    path = PurePosixPath(inside)
    if not path.is_absolute() or str(path) != inside or ".." in path.parts or inside == "/":
        raise SandboxError(f"{inside!r} is not a normal absolute path inside the sandbox")
    if any(is_below(inside, reserved) for reserved in _RESERVED):
        raise SandboxError(f"{inside} is a place that the sandbox furnishes itself")


def is_below(path: str, folder: str) -> bool:
    """Whether the inside path `path` is `folder` or lies in it."""
    return PurePosixPath(path).is_relative_to(folder)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, what it cost and what it left.

    `limit` says in words which limit was met and how far the program got; empty when none was.
    `peak_memory_bytes` is the largest sum over all processes that was seen; for a program so short
    that none was measured, the largest resident set of a single one.
    `stdout` and `stderr` keep the beginning and the end where they were longer than allowed;
    control characters are kept for the renderers to escape. `collected` are paths as they stand
    below `outputs`; `refused` are paths with the reason. Everything but the exit status and the
    costs is the student's to forge.
    """

    status: CaseStatus
    exit_code: int | None
    signal: int | None
    limit: str
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    stdout: str
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    collected: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    backend: str


class Backend(Protocol):
    """A way to run a command apart from the grader and the machine."""

    @property
    def name(self) -> str: ...

    @property
    def isolation(self) -> Isolation: ...

    @property
    def description(self) -> str:
        """What it is made of here, for `grader doctor`."""
        ...

    def run(self, command: Command) -> Outcome:
        """Run `command` to its end or to a limit; raises SandboxError when the sandbox fails."""
        ...


@dataclass(frozen=True, slots=True)
class BackendReport:
    """What a functional probe found: `detail` says what works or why it does not, `remedy` what to
    install or do about it (empty when there is nothing to do)."""

    name: str
    works: bool
    isolation: Isolation
    detail: str
    remedy: str

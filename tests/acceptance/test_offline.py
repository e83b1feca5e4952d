"""Names and marks stay where they are: no command asks the network for anything.

The commands run with the network cut off (a network namespace of their own, where the machine lets
users make one) and under a guard that reports every attempt, so that a call which merely fails
quietly is seen as well.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.course import Course
from tests.acceptance.conftest import GRADER

ROOT = Path(__file__).parents[2]
ENTRY = "2023AIB2080"

# Loaded by every Python of the command that does not run isolated. The sandbox's control sockets
# are pairs, which are neither connected nor bound; the reading of a host's own name asks nobody.
_GUARD = """
import os, sys

_WATCHED = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg",
            "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}

def _report(event, arguments):
    if event in _WATCHED and not (event == "socket.sendmsg" and arguments[-1] in (None, ())):
        with open(os.environ["GUARD_LOG"], "a") as log:
            log.write(f"{event} {arguments!r}\\n")

sys.addaudithook(_report)
"""
# Modules that talk to other machines; no part of the grader has any business with them.
_NETWORK = {
    *("aiohttp", "asyncio", "ftplib", "http", "httpx", "imaplib", "nntplib", "poplib", "requests"),
    *("smtplib", "socketserver", "ssl", "telnetlib", "urllib3", "webbrowser", "xmlrpc"),
    *("torch.hub", "torchvision.datasets", "urllib.request"),
}


def _cut_off() -> list[str]:
    """A command in front of others that takes the network away, empty where none works."""
    program = shutil.which("unshare")
    for words in ([program, "-n"], [program, "-rn"]) if program else ():
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            return [str(word) for word in words]
    return []


@pytest.fixture
def offline(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(_GUARD)
    log = tmp_path / "guard.log"

    def run(*argv: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*_cut_off(), *map(str, argv)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(guard), "GUARD_LOG": str(log)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert not log.exists(), log.read_text()
        return done

    return run


def test_the_guard_sees_and_the_cut_holds(tmp_path: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    (tmp_path / "sitecustomize.py").write_text(_GUARD)
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        done = subprocess.run(
            [*_cut_off(), sys.executable, "-c", program],
            env={"PYTHONPATH": str(tmp_path), "GUARD_LOG": str(log)},
            capture_output=True,
            check=False,
        )
    assert "socket.connect" in log.read_text()
    assert (done.returncode != 0) == bool(_cut_off())


def test_scoring_asks_nobody(
    offline: Callable[..., subprocess.CompletedProcess[str]],
    zip_of: Callable[[str], Path],
    course: Course,
    small_definition: Path,
    tmp_path: Path,
) -> None:
    arguments = ("--gt", course.masks, "--assignment", small_definition, "--out", tmp_path / "out")
    offline(GRADER, "score", zip_of("accepted/as-asked"), *arguments)
    assert (tmp_path / "out" / "report.html").is_file()


def test_checking_and_packing_ask_nobody(
    offline: Callable[..., subprocess.CompletedProcess[str]],
    zip_of: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    offline(GRADER, "check", zip_of("accepted/as-asked"), "--smoke")
    offline(GRADER, "init", "ail721-a2", tmp_path / "a2")
    offline(GRADER, "pack", tmp_path / "a2", "--entry-number", ENTRY, "--out", tmp_path / "a2")
    offline(GRADER, "doctor")


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (ROOT / "grader").rglob("*.py") if "starter" not in p.parts),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_module_can_reach_the_network_by_a_library(path: Path) -> None:
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        )
    }
    assert not {name for name in imported if name in _NETWORK or name.split(".")[0] in _NETWORK}


def test_a_students_report_holds_nothing_of_another_student(
    zip_of: Callable[[str], Path], course: Course, tmp_path: Path
) -> None:
    """Two zips, scored one after the other into the same folder of reports."""
    mine = zip_of("accepted/as-asked")
    other = mine.with_name("2022AIZ8170.zip")
    shutil.copy(mine, other)
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("notes.txt", "the work of somebody else")
    shown = {}
    for path in (other, mine):
        done = subprocess.run(
            [GRADER, "score", path, "--gt", course.masks, "--for", "student", "--no-independent"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        files = (tmp_path / "reports" / path.stem).iterdir()
        shown[path] = done.stdout + "".join(file.read_text("utf-8") for file in files)
    others = json.loads((tmp_path / "reports" / other.stem / "report.json").read_text("utf-8"))
    assert others["submission"]["entry_number"] == other.stem
    secrets = [other.stem, others["submission"]["zip_sha256"], str(course.root), str(tmp_path)]
    secrets += [f"{path.parent.name}/{path.name}" for path, _ in course.samples]
    secrets.append(socket.gethostname())
    assert not [secret for secret in secrets if secret in shown[mine]]

"""A grader that is root starts its sandboxes from one process that stands ready."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from grader.errors import SandboxError
from grader.sandbox.forkserver import end_server, start_as_user
from grader.sandbox.launch import Entry

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves root")
USER = 1_900_000_123


@pytest.fixture(autouse=True)
def _own_server() -> Iterator[None]:
    end_server()
    yield
    end_server()


def _servers() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "-S" in one.cmdline()]


def _start(
    script: str,
    *,
    shell: str = "/bin/sh",
    env: dict[str, str] | None = None,
    also: tuple[int, ...] = (),
) -> tuple[int, int, int]:
    """A shell as another user: its process id, what it prints, and what tells of its end."""
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    order = Entry(
        uid=USER,
        covers=[],
        argv=[shell, "-c", script],
        env=env or {},
        inherits=[0, 1, 2, *range(7, 7 + len(also))],
    )
    pid, watched = start_as_user(order, [nothing, writing, writing, *also])
    os.close(writing)
    os.close(nothing)
    return pid, reading, watched


def _all_of(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        return file.read()


def _await_end(watched: int) -> None:
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    assert poll.poll(60_000)
    os.close(watched)


def test_root_and_its_rights_are_gone(tmp_path: Path) -> None:
    script = "id -u; id -g; id -G; umask; grep -E 'NoNewPrivs|CapEff' /proc/self/status; env"
    _, reading, watched = _start(script, env={"ONLY": "this"})
    user, group, groups, umask, *status = _all_of(reading).split("\n")
    assert (user, group, groups, umask) == (str(USER), str(USER), str(USER), "0022")
    words = "\n".join(status).split()
    assert words[words.index("CapEff:") + 1] == "0" * 16
    assert words[words.index("NoNewPrivs:") + 1] == "1"
    assert "ONLY=this" in words
    assert not [word for word in words if word.startswith(("PATH=", "HOME="))]
    _await_end(watched)


def test_it_has_its_descriptors_and_no_other() -> None:
    first, second = (os.memfd_create(name) for name in ("first", "second"))
    os.write(first, b"one")
    os.write(second, b"two")
    for one in (first, second):
        os.lseek(one, 0, os.SEEK_SET)
    _, reading, watched = _start("cat <&8; cat <&7; ls /proc/$$/fd", also=(first, second))
    said = _all_of(reading)
    assert said.startswith("twoone")
    assert said.removeprefix("twoone").split() == ["0", "1", "2", "7", "8"]
    _await_end(watched)


def test_one_server_starts_all_and_lets_none_linger_dead() -> None:
    with ThreadPoolExecutor(4) as threads:
        started = list(threads.map(lambda n: _start(f"echo {n}"), range(24)))
    assert [_all_of(reading) for _, reading, _ in started] == [f"{n}\n" for n in range(24)]
    for _, _, watched in started:
        _await_end(watched)
    (server,) = _servers()
    psutil.wait_procs(server.children(), timeout=60)
    assert server.children() == []
    assert not any(psutil.pid_exists(pid) for pid, _, _ in started)


def test_nobody_outlives_the_server() -> None:
    pid, reading, watched = _start("echo here; sleep 600")
    assert os.read(reading, 5) == b"here\n"
    end_server()
    _await_end(watched)
    os.close(reading)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not _servers()


def test_a_server_that_was_killed_has_a_successor() -> None:
    _, reading, watched = _start("echo first")
    assert _all_of(reading) == "first\n"
    _await_end(watched)
    (server,) = _servers()
    server.send_signal(signal.SIGKILL)
    server.wait()
    _, reading, watched = _start("echo second")
    assert _all_of(reading) == "second\n"
    _await_end(watched)


def test_what_goes_wrong_is_told() -> None:
    _, reading, watched = _start("id", shell="/bin/no shell")
    assert "No such file or directory: '/bin/no shell'" in _all_of(reading)
    _await_end(watched)


def test_a_server_that_never_answers_is_the_sandboxs_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[int, int]:
        raise ConnectionResetError("gone")

    monkeypatch.setattr("grader.sandbox.forkserver.ForkServer.start", broken)
    with pytest.raises(SandboxError, match="does not answer: gone"):
        _start("id")
    assert not _servers()


def test_an_interrupted_start_is_not_answered_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> tuple[int, int]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("socket.recv_fds", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _start("echo first")
    _, reading, watched = _start("echo second")
    assert _all_of(reading) == "second\n"
    _await_end(watched)


def test_a_forked_process_starts_a_server_of_its_own() -> None:
    _, reading, watched = _start("echo parent")
    assert _all_of(reading) == "parent\n"
    _await_end(watched)
    (parents,) = _servers()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _, reading, _ = _start("echo child")
            said = _all_of(reading)
            status = 0 if said == "child\n" and parents not in _servers() else 2
            end_server()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _servers() == [parents]

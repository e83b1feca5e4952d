from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.model import RunLimits
from grader.sandbox import Command
from grader.sandbox.bubblewrap import Options, build_options
from grader.sandbox.interpreter import Interpreter, find_interpreter
from grader.sandbox.launch import resource_limits

LIMITS = RunLimits(
    wall_seconds=10,
    cpu_seconds=2.5,
    memory_bytes=1 << 30,
    processes=8,
    disk_bytes=5 << 20,
    file_bytes=1 << 20,
    files=100,
    output_bytes=1000,
)
MIB = 1 << 20


def interpreter(environment: Path | None, *packages: str, user: str = "") -> Interpreter:
    return Interpreter(
        executable=Path("/home/teacher/python/bin/python3.12"),
        launched_as=Path("/home/teacher/venv/bin/python"),
        prefixes=(Path("/home/teacher/python"), Path("/usr")),
        environment=environment,
        site_packages=tuple(map(Path, packages)),
        user_packages=(Path(user),) if user else (),
    )


def options(python: Interpreter, gpu: tuple[Path, ...] = ()) -> list[str]:
    command = Command(
        argv=("python", "evaluate.py"),
        workdir=Path("/host/submission"),
        mounts={"/test": Path("/host/images")},
        limits=LIMITS,
        collect=(),
        outputs=Path("/host/outputs"),
        writable_dirs=("/model_ckpt",),
    )
    made: Options = build_options(command, python, 3 * MIB, gpu)
    for descriptor in made.descriptors:
        os.close(descriptor)
    return list(made.words)


def after(words: list[str], *sequence: str) -> int:
    """Where the words of `sequence` follow each other; fails when they do not."""
    for position in range(len(words)):
        if tuple(words[position : position + len(sequence)]) == sequence:
            return position
    raise AssertionError(f"{sequence} is not among {words}")


VENV = interpreter(Path("/home/teacher/venv"), "/home/teacher/venv/lib/python3.12/site-packages")


def test_every_wall_is_asked_for() -> None:
    words = options(VENV)
    for wall in ("user", "ipc", "pid", "net", "uts"):
        after(words, f"--unshare-{wall}")
    for wall in (
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
        "--as-pid-1",
        "--clearenv",
    ):
        after(words, wall)
    after(words, "--cap-drop", "ALL")


def test_only_memory_file_systems_of_known_size_are_writable() -> None:
    words = options(VENV)
    after(words, "--size", str(8 * MIB + MIB), "--tmpfs", "/work")
    after(words, "--size", str(5 * MIB + MIB), "--tmpfs", "/tmp")
    after(words, "--size", str(5 * MIB + MIB), "--tmpfs", "/model_ckpt")
    after(words, "--size", str((1 << 30) + MIB), "--tmpfs", "/dev/shm")
    for position, word in enumerate(words):
        if word == "--tmpfs":
            assert words[position - 2] == "--size"
    assert "--bind" not in words
    assert after(words, "--remount-ro", "/dev") > after(words, "--tmpfs", "/dev/shm")
    assert after(words, "--remount-ro", "/") > after(words, "/host/images", "/test")


def test_the_inputs_are_shown_read_only() -> None:
    words = options(VENV)
    after(words, "--ro-bind", "/host/images", "/test")
    after(words, "--ro-bind", "/host/submission", "/grader/submission")
    assert "/host/outputs" not in words


def test_no_device_that_hides_memory_is_there() -> None:
    assert "/dev/zero" not in options(VENV)
    assert "--dev" not in options(VENV)


def test_a_virtual_environment_gets_a_neutral_name() -> None:
    words = options(VENV)
    packages = "/home/teacher/venv/lib/python3.12/site-packages"
    inside = f"/grader/env/{VENV.packages_folder}"
    after(words, "--ro-bind", packages, inside)
    after(words, "--symlink", "/home/teacher/python/bin/python3.12", "/grader/env/bin/python")
    after(words, "--ro-bind", "/home/teacher/python", "/home/teacher/python")
    assert "/home/teacher/venv" not in words
    assert words.count("/usr") == 2  # once shown, with source and place


def test_without_one_packages_keep_their_names() -> None:
    user = "/home/teacher/.local/lib/python3.12/site-packages"
    own = "/home/teacher/python/lib/python3.12/site-packages"
    python = interpreter(None, own, user=user)
    words = options(python)
    after(words, "--ro-bind", user, user)
    assert own not in words  # lies in a prefix that is shown already
    assert python.clean_environment("/tmp", "/bin")["PYTHONPATH"] == user
    assert "PYTHONPATH" not in VENV.clean_environment("/tmp", "/bin")


def test_a_graphics_processor_is_shown_on_request() -> None:
    assert "/sys" not in options(VENV)
    words = options(VENV, (Path("/dev/nvidia0"), Path("/dev/nvidiactl")))
    after(words, "--dev-bind", "/dev/nvidia0", "/dev/nvidia0")
    after(words, "--ro-bind", "/sys", "/sys")


def test_limits_leave_the_watchdog_a_margin() -> None:
    values = resource_limits(LIMITS, tasks_already=3)
    assert values["RLIMIT_NPROC"][0] > LIMITS.processes + 3
    assert values["RLIMIT_DATA"][0] > LIMITS.memory_bytes
    soft, hard = values["RLIMIT_CPU"]
    assert LIMITS.cpu_seconds < soft < hard
    assert values["RLIMIT_FSIZE"] == (1 << 30, 1 << 30)
    assert values["RLIMIT_CORE"] in {(1, 1), (0, 0)}  # 0 where the machine allows no more


def test_a_ceiling_of_the_machines_is_not_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (5, 5))
    assert set(resource_limits(LIMITS, 0).values()) <= {(5, 5), (0, 0), (1, 1), (3, 4)}


def test_the_running_interpreter_is_found() -> None:
    import sys

    found = find_interpreter()
    assert found.executable.is_file()
    assert not found.executable.is_symlink()
    assert any(found.executable.is_relative_to(p) for p in found.prefixes)
    assert all(folder.is_dir() for folder in (*found.prefixes, *found.site_packages))
    project = Path(__file__).parents[3]
    assert project not in (*found.prefixes, *found.site_packages)
    assert (found.environment is not None) is (sys.prefix != sys.base_prefix)

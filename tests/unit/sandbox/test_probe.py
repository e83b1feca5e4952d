from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.errors import SandboxError
from grader.model import CaseStatus
from grader.sandbox import Command, Outcome, choose_backend, probe, probe_backends, probe_gpu
from grader.sandbox import gpu as gpu_module
from grader.sandbox.bubblewrap import BubblewrapBackend
from grader.sandbox.direct import DirectBackend


@pytest.fixture(autouse=True)
def _forget_what_was_tried() -> Iterator[None]:
    probe._try.cache_clear()
    yield
    probe._try.cache_clear()


def fake_program(folder: Path, text: str) -> Path:
    program = folder / "bwrap"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


class Pretender:
    """A back end that runs nothing and answers what it is told to."""

    name = "pretender"
    isolation = "full"
    description = "pretends"

    def __init__(self, answers: dict[str, Any] | None) -> None:
        self.answers = answers

    def run(self, command: Command) -> Outcome:
        if self.answers is not None:
            word = (command.mounts["/shown"] / "word").read_text()
            text = json.dumps({"word": word} | self.answers)
            (command.outputs / "answer.json").write_text(text)
        collected = ("answer.json",) if self.answers is not None else ()
        return Outcome(
            CaseStatus.FINISHED, 0, None, "", 0, 0, 0, "", "", False, False, collected, (), "p"
        )


def candidate(name: str, backend: Any, isolation: Any = "full") -> probe._Candidate:
    return probe._Candidate(name, isolation, lambda: backend, f"install {name}")


@pytest.mark.parametrize(
    "text",
    ["echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "exit 0", "kill -9 $$"],
)
def test_a_program_that_exists_but_fails_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    tmp_path.chmod(0o755)
    broken = BubblewrapBackend(fake_program(tmp_path, text))
    good = Pretender({"files": True})
    monkeypatch.setattr(
        probe, "_CANDIDATES", (candidate("broken", broken), candidate("good", good))
    )
    assert choose_backend() is good
    first, second, bare = probe_backends()
    assert not first.works
    assert "could not be set up" in first.detail
    assert ("No permissions" in first.detail) is ("No permissions" in text)
    assert first.remedy == "install broken"
    assert (second.works, second.remedy) == (True, "")
    assert (bare.name, bare.isolation) == ("none", "none")


def test_a_program_that_is_not_a_program(tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_bytes(b"\0\1\2")
    program.chmod(0o755)
    with pytest.raises(SandboxError):
        probe.find_weakness(BubblewrapBackend(program))


def test_without_any_back_end_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = probe._Candidate("bubblewrap", "full", lambda: "no bwrap on the PATH", "install it")
    monkeypatch.setattr(probe, "_CANDIDATES", (missing,))
    with pytest.raises(SandboxError, match="no bwrap on the PATH") as raised:
        choose_backend()
    assert "--unsafe-no-sandbox" in raised.value.hint
    chosen = choose_backend(allow_unsafe=True)
    assert (chosen.name, chosen.isolation) == ("none", "none")


def test_unsafe_is_the_last_resort_only(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Pretender({})
    monkeypatch.setattr(probe, "_CANDIDATES", (candidate("good", good),))
    assert choose_backend(allow_unsafe=True) is good


def test_a_back_end_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    good = Pretender({})

    def find() -> Any:
        tried.append(1)
        return good

    monkeypatch.setattr(probe, "_CANDIDATES", (probe._Candidate("good", "full", find, ""),))
    assert choose_backend() is choose_backend() is good
    probe_backends()
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"network": False, "files": True}, "does not hold back: network"),
        ({"network": False, "memory": False}, "memory, network"),
        ({"word": "another"}, "does not hold what it holds outside"),
        (None, "ended as finished"),
    ],
)
def test_a_leaking_back_end_does_not_work(answers: dict[str, Any] | None, words: str) -> None:
    assert words in probe.find_weakness(Pretender(answers))


def test_bare_limits_are_recognised_as_no_walls() -> None:
    assert "files" in probe.find_weakness(DirectBackend(abi=0))


def test_the_report_says_what_to_do() -> None:
    for report in probe_backends():
        assert report.detail
        assert bool(report.remedy) is not report.works


def test_elsewhere_than_on_linux_the_grader_starts_and_says_so() -> None:
    program = (
        "import sys\n"
        "sys.platform = 'win32'\n"
        "for name in ('resource', '_ctypes', 'ctypes', 'fcntl', 'grp', 'pwd'):\n"
        "    sys.modules[name] = None\n"
        "from grader.errors import SandboxError\n"
        "from grader.sandbox import choose_backend, probe_backends\n"
        "for report in probe_backends(): print(report.works, report.detail, report.remedy)\n"
        "try:\n"
        "    choose_backend(allow_unsafe=True)\n"
        "except SandboxError as error:\n"
        "    print(error)\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    reports, error = completed.stdout.split("no sandbox works")
    assert reports.count("False needs Linux; this machine runs win32") == 3
    assert "WSL 2" in reports
    assert "needs Linux" in error


def test_a_machine_without_a_graphics_processor(tmp_path: Path) -> None:
    report = probe_gpu(tmp_path, tmp_path)
    assert (report.usable, report.remedy) == (False, "")
    assert "no NVIDIA device" in report.detail
    assert gpu_module.device_nodes(tmp_path) == ()


def test_a_machine_with_a_graphics_processor(tmp_path: Path) -> None:
    devices, driver = tmp_path / "dev", tmp_path / "driver"
    (driver / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (driver / "gpus" / "0000:01:00.0" / "information").write_text(
        "Model: \t\t NVIDIA H200\nIRQ:   100\n"
    )
    (driver / "version").write_text("NVRM version: 570.86\nGCC\n")
    devices.mkdir()
    loaded = probe_gpu(devices, driver)
    assert not loaded.usable
    assert "NVIDIA H200: the driver is loaded" in loaded.detail
    assert "nvidia-modprobe" in loaded.remedy
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-modeset"):
        (devices / name).symlink_to("/dev/null")  # any character device
    (devices / "nvidia-notes.txt").touch()
    names = [path.name for path in gpu_module.device_nodes(devices)]
    assert names == ["nvidia-uvm", "nvidia0", "nvidiactl"]
    assert probe_gpu(devices, driver).detail == "NVIDIA H200 (NVRM version: 570.86)"
